-- The lines that were there at a position of the next reservations that have one, as they are by now.
with begun as (
    select distinct reservation_id from reservations
    where tenant_id = $1 and since <= $2 and ($3::uuid is null or reservation_id > $3)
      and ($4::uuid is null or reservation_id = $4)
    order by reservation_id limit $5
)
select r.reservation_id, r.variant_id, r.location, r.reserved, r.committed, r.released, r.expired, r.refund_due,
       r.reserved_at, r.expires_at, r.actor, r.position, r.since
from begun b
join reservations r on r.tenant_id = $1 and r.reservation_id = b.reservation_id and r.since <= $2
order by r.reservation_id
