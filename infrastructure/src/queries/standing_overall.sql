-- What is still to be done for all tenants together, and what waits for a person. Each count ends at $2 rows and goes by a
-- partial index, so that what is over, which is most of each table, is not read.
select pending.outbox_pending, longest.outbox_due_seconds, dead.outbox_dead, given_up.follow_ups_dead,
       failed.deliveries_failed, disputed.conflicts
from (
    select count(*) as outbox_pending
    from (
        (select 1 from outbox
         where status = 'pending'
         order by tenant_id, connection_id, kind desc, next_attempt_at limit $2) -- outbox_due_idx
        union all
        -- Whose relay has vanished: where there is no other, nobody makes them pending again.
        (select 1 from outbox
         where status = 'leased' and leased_until < $1
         order by tenant_id, connection_id, listing_id, kind limit $2) -- outbox_leased_idx
        limit $2
    ) o
) pending
cross join (
    -- What is owed to an account that was paused waits because somebody wants it to.
    select coalesce(extract(epoch from $1 - min(o.due_at)), 0)::double precision as outbox_due_seconds
    from (
        -- Exact, however much is due: one step along outbox_due_idx for each account and kind.
        select d.next_attempt_at as due_at
        from connections c
        cross join (values ('quantity'), ('price'), ('content')) as k (kind)
        cross join lateral (
            select next_attempt_at from outbox
            where tenant_id = c.tenant_id and connection_id = c.id and kind = k.kind and status = 'pending'
              and next_attempt_at <= $1
            order by next_attempt_at limit 1
        ) d
        where not c.paused
        union all
        -- No more than relays had in hand.
        select l.leased_until
        from outbox l
        join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
        where l.status = 'leased' and l.leased_until < $1 -- outbox_leased_idx
          and not c.paused
    ) o
) longest
cross join (
    select count(*) as outbox_dead
    from (
        select from outbox
        where status = 'dead'
        order by tenant_id, finished_at limit $2 -- outbox_dead_idx
    ) o
) dead
cross join (
    select count(*) as follow_ups_dead
    from (
        select from follow_ups
        where status = 'dead'
        order by tenant_id, position limit $2 -- follow_ups_dead_idx
    ) f
) given_up
cross join (
    select count(*) as deliveries_failed
    from (
        select from deliveries
        where status = 'failed'
        order by tenant_id, position limit $2 -- deliveries_failed_idx
    ) d
) failed
cross join (
    select count(*) as conflicts
    from (
        select from listings
        where quantity_conflict is not null or price_conflict is not null
        order by tenant_id, id limit $2 -- listings_conflict_idx
    ) l
) disputed
