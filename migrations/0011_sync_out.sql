-- Sync out: every platform is told, within its limits, and one that is in trouble is left alone for a while.

-- How each account's platform fares, shared by all relays. Worth nothing more than a few minutes.
create table breakers (
    tenant_id     uuid not null,
    connection_id uuid not null,
    -- closed → open → half_open (one probe under way) → closed | open
    state         text not null check (state in ('closed', 'open', 'half_open')),
    failures      timestamptz[] not null, -- while closed: those of the last five minutes
    retry_at      timestamptz,            -- open: when it may be probed; half open: when the probe is given up
    held_until    timestamptz,            -- asked to wait, the allowance is used up, or let in no longer
    locked_out    boolean not null default false, -- somebody has to see to it
    reason        text,
    primary key (tenant_id, connection_id),
    check ((state = 'closed') = (retry_at is null))
);

-- What of its allowance an account has used, shared by all processes; one row a limit. Any moment counts, so that no window
-- begins with a fresh allowance beside the rest of the last one.
create table budgets (
    tenant_id     uuid not null,
    connection_id uuid not null,
    within_ms     bigint not null,        -- the length of the limit's window
    -- The time at which all that was taken would have been earned; in the past: the full burst is there.
    earned_at     timestamptz not null,
    day           date not null,          -- the day the count is of, by the platform's calendar
    used          bigint not null,        -- calls that day
    primary key (tenant_id, connection_id, within_ms)
);

-- What is due is taken account by account, stock before prices: kinds in falling order of their names.
drop index outbox_due_idx;
create index outbox_due_idx on outbox (tenant_id, connection_id, kind desc, next_attempt_at) where status = 'pending';

-- It is told whatever it is believed to show: somebody asked for it, or an earlier attempt may have got through unheard.
alter table outbox add column forced boolean not null default false,
                   add column unheard boolean not null default false, -- a process died with it in hand
                   add column answered integer not null default 0; -- attempts that came to an end we know of

-- How pushes to an account have ended, the newest first.
create index outbox_ended_idx on outbox (tenant_id, connection_id, finished_at) where status in ('done', 'dead');

-- A connection may be given a rest: what is owed to it is kept until it goes on.
alter table connections add column paused boolean not null default false,
                        add column alerts jsonb not null default '[]'; -- thresholds crossed at the moment
alter table rebuild.connections add column paused boolean not null default false,
                                add column alerts jsonb not null default '[]';

-- A foreign change that somebody has to judge: nothing of that kind is pushed to the listing meanwhile.
alter table listings add column quantity_conflict jsonb, add column price_conflict jsonb;
alter table rebuild.listings add column quantity_conflict jsonb, add column price_conflict jsonb;
create index listings_conflict_idx on listings (tenant_id, id)
    where quantity_conflict is not null or price_conflict is not null;

-- Platforms that nothing could be pushed to before.
update connections
set pushes_quantity = coalesce((rules->>'realtimeSyncEnabled')::boolean and (rules->>'propagateInventory')::boolean, false),
    pushes_price = platform <> 'trackstar' -- it has no call for it
                   and coalesce((rules->>'realtimeSyncEnabled')::boolean and (rules->>'propagateUpdates')::boolean, false)
where platform in ('square', 'clover', 'shopee', 'tiktokshop', 'trackstar', 'woocommerce');

create or replace view outbox_targets as
    select l.tenant_id, l.id as listing_id, l.connection_id, l.variant_id,
           c.location, c.market,
           c.pushes_quantity and l.quantity_conflict is null as pushes_quantity,
           c.pushes_price and l.price_conflict is null as pushes_price,
           l.product_id, c.rules ? 'conditions' as conditional
    from listings l
    join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
    where not l.removed and c.enabled and (c.pushes_quantity or c.pushes_price);

-- Credentials that end, and when they are to be renewed. Under a lease, for some platforms take each renewal once.
create table renewals (
    tenant_id     uuid not null,
    connection_id uuid not null,
    due_at        timestamptz not null,
    attempts      integer not null default 0,
    token         uuid,                   -- who renews
    leased_until  timestamptz,
    last_error    text,
    primary key (tenant_id, connection_id),
    check ((token is null) = (leased_until is null))
);
create index renewals_due_idx on renewals (due_at); -- of all tenants

alter table connection_secrets drop constraint connection_secrets_name_check;
alter table connection_secrets add constraint connection_secrets_name_check check (
    name in ('webhook_secret', 'previous_webhook_secret', 'access_token', 'refresh_token', 'app_secret'));

-- Reading back what platforms show: one run an account, resumed where it stopped.
create table reconciliations (
    tenant_id     uuid not null,
    id            uuid not null,
    connection_id uuid not null,
    preview       boolean not null,       -- drift is told and left alone
    status        text not null check (status in ('running', 'done', 'failed')),
    begun_at      timestamptz not null,
    ended_at      timestamptz,
    cursor        uuid,                   -- the last listing that was read back
    due_at        timestamptz not null,   -- not before; a platform may ask to wait
    token         uuid,                   -- who is at it
    leased_until  timestamptz,
    checked       bigint not null default 0,
    drifted       bigint not null default 0,
    repaired      bigint not null default 0,
    missing       bigint not null default 0, -- not there on the platform
    unknown       bigint not null default 0, -- the platform does not say
    failures      integer not null default 0, -- of the page it is at
    last_error    text,
    requested_by  text not null,
    correlation_id text not null,
    primary key (tenant_id, id),
    check ((token is null) = (leased_until is null)),
    check ((status = 'running') = (ended_at is null))
);
create unique index reconciliations_running_idx on reconciliations (tenant_id, connection_id) where status = 'running';
create index reconciliations_due_idx on reconciliations (due_at) where status = 'running'; -- of all tenants
create index reconciliations_of_idx on reconciliations (tenant_id, connection_id, begun_at desc);

-- What a run has found amiss, the first thousand of each run.
create table drifts (
    tenant_id         uuid not null,
    reconciliation_id uuid not null,
    listing_id        uuid not null,
    kind              text not null check (kind in ('quantity', 'price', 'missing')),
    shows             jsonb,              -- what the platform shows
    owed              jsonb,              -- what it is to show
    primary key (tenant_id, reconciliation_id, listing_id, kind)
);

grant select, insert, update, delete on breakers, budgets, renewals, reconciliations, drifts to onhand_app;
