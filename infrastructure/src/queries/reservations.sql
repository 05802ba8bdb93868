-- Reservations put together from `lines`, which the caller provides as the first part of this statement: lines of
-- reservations, each with the SKU and the brand of its variant.
, together as (
    select l.reservation_id as id,
           min(l.reserved_at) as reserved_at,
           -- The whole of it is held until the first of its holds ends.
           case
               when sum(l.reserved - l.committed - l.released - l.expired) > 0
                   then min(l.expires_at) filter (where l.reserved > l.committed + l.released + l.expired)
               else max(l.expires_at)
           end as expires_at,
           min(l.actor) as actor,
           bool_and(l.brand is not distinct from $1) as of_brand,
           case
               when sum(l.reserved - l.committed - l.released - l.expired) > 0 then 'held'
               when sum(l.refund_due) > 0 then 'refund_due'
               when sum(l.committed) = sum(l.reserved) then 'committed'
               when sum(l.released) = sum(l.reserved) then 'released'
               when sum(l.expired) = sum(l.reserved) then 'expired'
               else 'ended'
           end as status,
           jsonb_agg(jsonb_build_object(
               'sku', l.sku, 'variant_id', l.variant_id, 'location', l.location, 'reserved', l.reserved,
               'held', l.reserved - l.committed - l.released - l.expired,
               'committed', l.committed, 'released', l.released, 'expired', l.expired,
               'refund_due', l.refund_due)
               order by l.variant_id, l.location) as lines
    from lines l
    group by l.reservation_id
)
select id, status, reserved_at, expires_at, actor, lines
from together
where ($1::text is null or of_brand) and ($2::text is null or status = $2)
order by id
