-- The ledger: what happened, numbered without gaps in commit order, each entry carrying the hash of the one before.

create table tenants (
    id         uuid primary key,
    name       text not null unique check (length(name) between 1 and 200),
    created_at timestamptz not null
);

-- One row a tenant: the only row writers contend for. Whoever moves it owns the next positions.
create table ledger_heads (
    tenant_id   uuid primary key references tenants,
    position    bigint not null check (position >= 0),
    hash        bytea not null check (length(hash) = 32),
    recorded_at timestamptz not null
) with (fillfactor = 50); -- moved with every commit: room for heap-only updates.

create table events (
    tenant_id    uuid not null,
    position     bigint not null check (position > 0),
    event_id     uuid not null,
    stream       text not null,          -- kind/id, as StreamId writes it
    version      bigint not null check (version > 0),
    name         text not null,          -- stock.reserved
    name_version smallint not null,      -- shape of the payload
    recorded_at  timestamptz not null,   -- never earlier than the entry before
    payload      json not null,          -- json, not jsonb: the hash covers these very bytes
    metadata     json not null,          -- actor, source, correlation_id, causation_id, traceparent
    hash         bytea not null check (length(hash) = 32),
    primary key (tenant_id, position),
    unique (tenant_id, stream, version)
);

-- Statement triggers cost an insert nothing. They bind everybody, the owner of the table included;
-- a superuser can still switch them off, which is what the hash chain is for.
create function refuse_change_of_history() returns trigger language plpgsql as $$
begin
    raise exception 'events are immutable: % refused; record a correcting event instead', tg_op
        using errcode = 'insufficient_privilege';
end $$;

create trigger events_are_immutable before update or delete or truncate on events
    for each statement execute function refuse_change_of_history();

-- States of streams, so that a long stream is not read from its beginning. Disposable.
create table snapshots (
    tenant_id uuid not null,
    stream    text not null,
    version   bigint not null,
    position  bigint not null,
    format    smallint not null,
    state     text not null,             -- JSON; only the program reads it
    primary key (tenant_id, stream)
);
-- Written often, read seldom: compressing it costs more than the room it takes.
alter table snapshots alter column state set storage external;

-- What a command with an Idempotency-Key was answered. Written in the transaction of its entries.
create table idempotency_keys (
    tenant_id   uuid not null,
    key_digest  uuid not null,           -- of actor and key: half of their SHA-256
    fingerprint bytea not null,          -- SHA-256 of method, path and body
    position    bigint not null,
    answer      json not null,
    created_at  timestamptz not null,
    primary key (tenant_id, key_digest)
);
-- Rows lie in the order of their age; a summary of each stretch finds the old ones, and costs an insert nothing.
create index idempotency_keys_age_idx on idempotency_keys using brin (created_at);
