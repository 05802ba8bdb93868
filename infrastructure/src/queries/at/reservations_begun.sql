-- The lines of some reservations as they are by now, without those that had not begun at a position.
select r.reservation_id, r.variant_id, r.location, r.reserved, r.committed, r.released, r.expired, r.refund_due,
       r.reserved_at, r.expires_at, r.actor, r.position, b.begun_at
from reservations r
cross join lateral (
    -- Since when a line is there at the earliest. One of an ordinary reservation (its id is of version 7) is made once. One of
    -- an order may be made again, but not before the order was heard of, whose id it has. Of a cart's nothing is known.
    select case
               when substr(r.reservation_id::text, 15, 1) = '7' then r.reserved_at
               else (select o.recorded_at from events o
                     where o.tenant_id = $1 and o.stream = 'order/' || r.reservation_id and o.version = 1)
           end as begun_at
) b
where r.tenant_id = $1 and r.reservation_id = any($2)
  and (r.position <= $3 or b.begun_at is null
       or b.begun_at <= (select e.recorded_at from events e where e.tenant_id = $1 and e.position = $3))
order by r.reservation_id
