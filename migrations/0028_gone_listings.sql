-- What was given up on listings that go is closed with them: found without going through all that was ever given up.
create index outbox_dead_listing_idx on outbox (tenant_id, listing_id) where status = 'dead';
-- It is gone because we took it off, and may be offered again in its old place.
alter table listings add column taken_off boolean not null default false;
alter table rebuild.listings add column taken_off boolean not null default false;
