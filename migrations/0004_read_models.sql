-- Read models that follow the ledger at a distance, each with a checkpoint moved in the transaction of its rows.

create table checkpoints (
    model      text not null,
    tenant_id  uuid not null,
    position   bigint not null default 0,
    parked     text,                     -- why it stopped, if it stopped
    primary key (tenant_id, model)
);

create table stock_levels (
    tenant_id  uuid not null,
    variant_id uuid not null,
    location   text not null,
    on_hand    bigint not null,
    reserved   bigint not null,
    position   bigint not null,          -- of the newest entry that changed it
    primary key (tenant_id, variant_id, location)
);

-- One row a line: the units one reservation took from one shelf, and what became of them.
create table reservations (
    tenant_id      uuid not null,
    reservation_id uuid not null,
    variant_id     uuid not null,
    location       text not null,
    reserved       bigint not null,
    committed      bigint not null,
    released       bigint not null,
    expired        bigint not null,
    reserved_at    timestamptz not null,
    expires_at     timestamptz,
    actor          text not null,
    position       bigint not null,      -- of the newest entry that changed it
    primary key (tenant_id, reservation_id, variant_id, location)
);
-- What is due: read by the expiry of every process.
create index reservations_due_idx on reservations (tenant_id, expires_at)
    where expires_at is not null and reserved > committed + released + expired;

create table audit_log (
    tenant_id      uuid not null,
    position       bigint not null,
    recorded_at    timestamptz not null,
    actor          text not null,
    source         text not null,
    correlation_id text not null,
    action         text not null,
    stream         text not null,
    product_id     uuid,                 -- what the entry is about, for scoping by brand
    variant_id     uuid,
    connection_id  uuid,
    data           jsonb not null,
    primary key (tenant_id, position)
);
create index audit_log_stream_idx on audit_log (tenant_id, stream, position);

create table deliveries (
    tenant_id      uuid not null,
    id             uuid not null,
    connection_id  uuid not null,
    platform       text not null,
    topic          text not null,
    external_id    text not null,
    status         text not null check (status in ('completed', 'failed')),
    outcome        text,
    notes          jsonb not null,
    reason         text,
    attempts       integer not null,
    body_sha256    text not null,
    body_bytes     bigint not null,
    source_address text,
    user_agent     text,
    correlation_id text not null,
    recorded_at    timestamptz not null,
    position       bigint not null,
    primary key (tenant_id, id)
);
create index deliveries_position_idx on deliveries (tenant_id, position);

-- The raw bytes of deliveries, beside the ledger (which holds their hash) so that retention can drop them.
create table delivery_bodies (
    tenant_id   uuid not null,
    delivery_id uuid not null,
    received_at timestamptz not null,
    headers     json not null,           -- secrets masked
    body        bytea not null,
    primary key (tenant_id, delivery_id)
);

-- Rebuilds grow in a second set of the same tables: the same statements run there under another search path.
create schema rebuild;
create table rebuild.connections  (like public.connections  including all);
create table rebuild.products     (like public.products     including all);
create table rebuild.variants     (like public.variants     including all);
create table rebuild.listings     (like public.listings     including all);
create table rebuild.api_keys     (like public.api_keys     including all);
create table rebuild.stock_levels (like public.stock_levels including all);
create table rebuild.reservations (like public.reservations including all);
create table rebuild.audit_log    (like public.audit_log    including all);
create table rebuild.deliveries   (like public.deliveries   including all);
