-- Commands to platforms: what to make true on a listing, never what to add. Derived inside the commit.

create table outbox (
    tenant_id       uuid not null,
    id              uuid not null,
    connection_id   uuid not null,
    listing_id      uuid not null,
    kind            text not null check (kind in ('quantity', 'price')),
    -- pending → leased → done | pending (again) | dead; superseded: a newer command took its place.
    status          text not null check (status in ('pending', 'leased', 'done', 'dead', 'superseded')),
    position        bigint not null,     -- of the fact that first made it owed
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null,
    token           uuid,                -- who holds the lease
    leased_until    timestamptz,
    last_error      text,
    created_at      timestamptz not null,
    finished_at     timestamptz,
    primary key (tenant_id, id),
    check ((status = 'leased') = (token is not null and leased_until is not null)),
    check ((status in ('done', 'dead', 'superseded')) = (finished_at is not null))
) with (fillfactor = 70); -- pending rows of hot listings are moved forward again and again.

-- Coalescing: at most one pending command for a listing and kind.
create unique index outbox_pending_idx on outbox (tenant_id, connection_id, listing_id, kind)
    where status = 'pending';
-- Order: at most one command for a listing and kind under way.
create unique index outbox_leased_idx on outbox (tenant_id, connection_id, listing_id, kind)
    where status = 'leased';
create index outbox_due_idx on outbox (next_attempt_at) where status = 'pending';
create index outbox_lease_end_idx on outbox (leased_until) where status = 'leased';
create index outbox_dead_idx on outbox (tenant_id, finished_at) where status = 'dead';

-- Listings something may be pushed to, with what it depends on.
create view outbox_targets as
    select l.tenant_id, l.id as listing_id, l.connection_id, l.variant_id,
           c.location, c.market, c.pushes_quantity, c.pushes_price
    from listings l
    join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
    where not l.removed and c.enabled and (c.pushes_quantity or c.pushes_price);
