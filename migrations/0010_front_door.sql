-- The front door: platforms beyond the first two, what their hints lead to, limits, monitors, flags, and how each delivery fared.

-- The platform's name for our app, where calls or signatures need it.
alter table connections add column app text;
alter table rebuild.connections add column app text;

alter table connection_secrets drop constraint connection_secrets_name_check;
alter table connection_secrets add constraint connection_secrets_name_check
    check (name in ('webhook_secret', 'previous_webhook_secret', 'access_token', 'app_secret'));

-- What follows from a delivery and is still to be done: something to look at on the platform, a price whose time comes
-- later, deliveries to look at again. One row a thing, however often it was hinted at; gone once it is done.
create table follow_ups (
    tenant_id       uuid not null,
    connection_id   uuid not null,       -- all zeroes: all of the tenant's
    kind            text not null,       -- product, order, catalog, … ; price; unmapped
    external        text not null,
    payload         jsonb,
    -- pending → leased → gone | pending (again) | dead
    status          text not null check (status in ('pending', 'leased', 'dead')),
    position        bigint not null,     -- of the entry that made it owed
    delivery_id     uuid not null,       -- that led to it
    correlation_id  text not null,
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null,
    token           uuid,                -- who holds the lease
    leased_until    timestamptz,
    last_error      text,
    primary key (tenant_id, connection_id, kind, external),
    check ((status = 'leased') = (token is not null and leased_until is not null))
);
create index follow_ups_due_idx on follow_ups (next_attempt_at) where status = 'pending'; -- of all tenants
create index follow_ups_lease_end_idx on follow_ups (leased_until) where status = 'leased'; -- of all tenants
create index follow_ups_dead_idx on follow_ups (tenant_id, position) where status = 'dead';

-- Requests that processes may let in, by whose they are, this minute. Worth nothing after a crash.
create unlogged table webhook_rates (
    name   text primary key,             -- connection/<id> or address/<ip>: known before any tenant is
    minute bigint not null,
    used   bigint not null
);

-- How each request at the front door fared, and how long each stage took. Observation: written aside, never waited for.
create table webhook_traces (
    tenant_id      uuid not null,
    at             timestamptz not null,
    id             uuid not null,
    connection_id  uuid not null,
    delivery_id    uuid,                 -- none if it was not let in
    platform       text not null,
    topic          text,
    result         text not null,        -- processed, duplicate, failed, dead_letter, rejected, limited, unavailable
    correlation_id text not null,
    source_address text,
    user_agent     text,
    body_bytes     bigint not null,
    verifying_us   bigint not null,
    enriching_us   bigint not null,
    deciding_us    bigint not null,
    executing_us   bigint not null,
    total_us       bigint not null,
    primary key (tenant_id, at, id)
);
create index webhook_traces_delivery_idx on webhook_traces (tenant_id, delivery_id) where delivery_id is not null;
create index webhook_traces_at_idx on webhook_traces using brin (at); -- retention, of all tenants

alter table deliveries add column contradicted boolean not null default false;
alter table rebuild.deliveries add column contradicted boolean not null default false;
-- What failed, and what nobody knew at the time: few among many.
create index deliveries_failed_idx on deliveries (tenant_id, position) where status = 'failed';
create index deliveries_unmapped_idx on deliveries (tenant_id, position) where outcome = 'unmapped';
create index deliveries_failed_idx on rebuild.deliveries (tenant_id, position) where status = 'failed';
create index deliveries_unmapped_idx on rebuild.deliveries (tenant_id, position) where outcome = 'unmapped';

create table monitors (
    tenant_id              uuid not null,
    id                     uuid not null,
    connection_id          uuid not null,
    style_code             text not null,
    kind                   text not null,
    frequency_minutes      integer not null,
    markets                text[] not null,
    threshold_basis_points integer not null,
    enabled                boolean not null,
    primary key (tenant_id, id)
);

create table flags (
    tenant_id uuid not null,
    name      text not null,
    value     boolean not null,
    primary key (tenant_id, name)
);

create table rebuild.monitors (like public.monitors including all);
create table rebuild.flags (like public.flags including all);

grant select, insert, update, delete
    on follow_ups, webhook_rates, webhook_traces, monitors, flags, rebuild.monitors, rebuild.flags to onhand_app;

-- Bodies of a few kilobytes are compressed in the commit; where the server was built with lz4, that costs a fraction.
do $$
begin
    alter table delivery_bodies alter column body set compression lz4;
exception
    when others then null;
end $$;
