-- Projections as operators see them: why one stands still, and runs in which a read model is grown again and compared.

alter table checkpoints add column parked_at   timestamptz,
                        add column paused_by   text,        -- who told it to stand still, if somebody did
                        add column paused_at   timestamptz,
                        add column advanced_at timestamptz, -- when it last moved
                        add column told_at     bigint not null default 0, -- the entry by which it was last told to stand or go
                        add constraint checkpoints_paused_check check ((paused_by is null) = (paused_at is null));

-- Runs in which a read model is grown again beside the live one. Where a run has got to moves in the transaction of the
-- rows in schema rebuild, so that whoever goes on with it applies nothing twice.
create table rebuilds (
    tenant_id      uuid not null,
    id             uuid not null,
    model          text not null,
    -- running → done | differs (the live rows were kept) | failed
    status         text not null check (status in ('running', 'done', 'differs', 'failed')),
    replaces       boolean not null,      -- whether live rows that differ are to be replaced
    program        text,                  -- the code and schema that made the rows so far; another one begins anew
    grown          boolean not null default false, -- its rows stand in schema rebuild: one run a model at most
    position       bigint not null default 0,      -- what is grown is of this position
    cursor         text collate "C",      -- the last stream that was folded, where streams are folded one by one
    reached        bigint not null default 0,      -- entries or streams behind it …
    target         bigint not null default 0,      -- … of so many
    rate           double precision not null default 0, -- entries a second
    seconds_left   bigint,                -- at that pace
    begun_at       timestamptz not null,
    updated_at     timestamptz not null,
    ended_at       timestamptz,
    rows           bigint not null default 0,
    differences    bigint not null default 0,      -- rows in which the live one differed
    sample         jsonb not null default '[]',    -- the first few of them
    replaced       boolean not null default false, -- the live rows that differed were replaced
    failure        text,
    settled        boolean not null default false, -- its end is an entry, and rows nobody needs are gone
    requested_by   text not null,
    correlation_id text not null,
    primary key (tenant_id, id),
    check ((status = 'running') = (ended_at is null))
) with (fillfactor = 50);                 -- moved with every stretch
create unique index rebuilds_running_idx on rebuilds (tenant_id, model) where status = 'running';
create unique index rebuilds_grown_idx on rebuilds (tenant_id, model) where grown;
create index rebuilds_of_idx on rebuilds (tenant_id, model, begun_at desc);
create index rebuilds_unsettled_idx on rebuilds (begun_at) where not settled; -- of all tenants

grant select, insert, update, delete on rebuilds to onhand_app;

-- A rebuild keeps the keys of rows that differ in a temporary table. Everybody may make those, unless somebody has forbidden it.
do $$
begin
    execute format('grant temporary on database %I to onhand_app', current_database());
exception
    when insufficient_privilege then null;
end $$;

-- Twins are written by key and read as a whole: another index on them is only paid for.
do $$
declare
    twin_index regclass;
begin
    for twin_index in
        select i.indexrelid from pg_index i
        join pg_class c on c.oid = i.indrelid
        where c.relnamespace = 'rebuild'::regnamespace and not i.indisprimary
    loop
        execute format('drop index %s', twin_index);
    end loop;
end $$;
