-- Files that entries were copied into: where they begin and end, and what they have to be found with. The files are elsewhere.

create table archives (
    tenant_id     uuid not null,
    from_position bigint not null check (from_position > 0),
    to_position   bigint not null check (to_position >= from_position),
    file          text not null,         -- its name, without the folder
    sha256        bytea not null check (length(sha256) = 32), -- of the file
    bytes         bigint not null,
    previous_hash bytea not null check (length(previous_hash) = 32), -- of the entry before the first
    last_hash     bytea not null check (length(last_hash) = 32),
    archived_at   timestamptz not null,
    primary key (tenant_id, from_position, to_position)
);

-- When a table with what is only kept for a while was last looked through by the clock. Disposable.
create table sweeps (
    rule     text primary key,
    swept_at timestamptz not null
);

grant select, insert, update, delete on archives, sweeps to onhand_app;
