-- Lines as they are.
with lines as (
    select r.reservation_id, r.variant_id, r.location, r.reserved, r.committed, r.released, r.expired, r.refund_due,
           r.reserved_at, r.expires_at, r.actor, v.sku, p.brand
    from reservations r
    left join variants v on v.tenant_id = r.tenant_id and v.id = r.variant_id
    left join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
    where r.tenant_id = $3 and r.reservation_id = any($4)
)
