-- Reservations put together from their lines.
with together as (
    select r.reservation_id as id,
           min(r.reserved_at) as reserved_at,
           max(r.expires_at) as expires_at,
           min(r.actor) as actor,
           bool_and(p.brand is not distinct from $2) as of_brand,
           case
               when sum(r.reserved - r.committed - r.released - r.expired) > 0 then 'held'
               when sum(r.refund_due) > 0 then 'refund_due'
               when sum(r.committed) = sum(r.reserved) then 'committed'
               when sum(r.released) = sum(r.reserved) then 'released'
               when sum(r.expired) = sum(r.reserved) then 'expired'
               else 'ended'
           end as status,
           jsonb_agg(jsonb_build_object(
               'sku', v.sku, 'variant_id', r.variant_id, 'location', r.location, 'reserved', r.reserved,
               'held', r.reserved - r.committed - r.released - r.expired,
               'committed', r.committed, 'released', r.released, 'expired', r.expired,
               'refund_due', r.refund_due)
               order by r.variant_id, r.location) as lines
    from reservations r
    left join variants v on v.tenant_id = r.tenant_id and v.id = r.variant_id
    left join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
    where r.tenant_id = $1 and ($3::uuid is null or r.reservation_id > $3) and ($4::uuid is null or r.reservation_id = $4)
    group by r.reservation_id
)
select id, status, reserved_at, expires_at, actor, lines
from together
where ($2::text is null or of_brand) and ($5::text is null or status = $5)
order by id
limit $6
