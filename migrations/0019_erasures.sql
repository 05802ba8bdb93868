-- Bodies still to be destroyed: asked for every moment, and a few among all that waits. They are leased for all tenants at once.
create index follow_ups_erase_idx on follow_ups (tenant_id, next_attempt_at) where kind = 'erase';
