-- What is still to be done for a tenant, and what waits for a person. Each count ends at $3 rows and goes along a partial index,
-- in its order, so that what is over, which is most of each table, is not read.
select pending.outbox_due, longest.outbox_due_since, pending.outbox_put_off, leased.outbox_leased, dead.outbox_dead,
       waiting.follow_ups_due, given_up.follow_ups_dead, failed.deliveries_failed, disputed.conflicts
from (
    select count(*) filter (where o.next_attempt_at <= $2) as outbox_due,
           count(*) filter (where o.next_attempt_at > $2) as outbox_put_off
    from (
        select next_attempt_at from outbox
        where tenant_id = $1 and status = 'pending'
        order by connection_id, kind desc, next_attempt_at limit $3 -- outbox_due_idx
    ) o
) pending
cross join (
    -- Exact, however much is due: one step along outbox_due_idx for each account and kind. What is owed to an account that was
    -- paused waits because somebody wants it to.
    select min(o.next_attempt_at) as outbox_due_since
    from connections c
    cross join (values ('quantity'), ('price'), ('content')) as k (kind)
    cross join lateral (
        select next_attempt_at from outbox
        where tenant_id = c.tenant_id and connection_id = c.id and kind = k.kind and status = 'pending'
          and next_attempt_at <= $2
        order by next_attempt_at limit 1
    ) o
    where c.tenant_id = $1 and not c.paused
) longest
cross join (
    select count(*) as outbox_leased
    from (
        select from outbox
        where tenant_id = $1 and status = 'leased'
        order by connection_id, listing_id, kind limit $3 -- outbox_leased_idx
    ) o
) leased
cross join (
    select count(*) as outbox_dead
    from (
        select from outbox
        where tenant_id = $1 and status = 'dead'
        order by finished_at limit $3 -- outbox_dead_idx
    ) o
) dead
cross join (
    select count(*) as follow_ups_due
    from (
        select from follow_ups
        where tenant_id = $1 and status = 'pending' and next_attempt_at <= $2
        order by next_attempt_at limit $3 -- follow_ups_due_idx: of all tenants, but only what is due
    ) f
) waiting
cross join (
    select count(*) as follow_ups_dead
    from (
        select from follow_ups
        where tenant_id = $1 and status = 'dead'
        order by position limit $3 -- follow_ups_dead_idx
    ) f
) given_up
cross join (
    select count(*) as deliveries_failed
    from (
        select from deliveries
        where tenant_id = $1 and status = 'failed'
        order by position limit $3 -- deliveries_failed_idx
    ) d
) failed
cross join (
    select count(*) as conflicts
    from (
        select from listings
        where tenant_id = $1 and (quantity_conflict is not null or price_conflict is not null)
        order by id limit $3 -- listings_conflict_idx
    ) l
) disputed
