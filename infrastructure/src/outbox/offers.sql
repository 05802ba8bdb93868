-- The offers a batch concerns. Their ids are made elsewhere.
select t.connection_id, t.product_id
from offer_targets t
where t.tenant_id = $1 and t.product_id = any($2) and t.is_lacking
union
select t.connection_id, t.product_id
from offer_targets t
where t.tenant_id = $1 and t.product_id = any($3)
  and (t.is_owed
       -- What is being told at the moment may be what was true before, and nobody knows yet that it is there. Looked up by
       -- outbox_product_idx one by one; as `exists` all leases would be read.
       or (
           select o.id from outbox o
           where o.tenant_id = $1 and o.product_id = t.product_id and o.connection_id = t.connection_id
             and o.status = 'leased'
           limit 1) is not null)
union
-- A variant that is nowhere to be seen may have waited for its price. Only those that have one now are looked for: whether
-- the product lacks others is no matter, and would be looked up for all of them.
select t.connection_id, t.product_id
from unnest($4::uuid[], $5::text[]) as priced (variant_id, market)
join variants v on v.tenant_id = $1 and v.id = priced.variant_id
join offer_targets t on t.tenant_id = $1 and t.product_id = v.product_id and t.market = priced.market
where t.offers_products and not t.archived and not exists (
    select from listings l
    where l.tenant_id = $1 and l.variant_id = v.id and l.connection_id = t.connection_id -- listings_variant_idx
      and not (l.removed and t.taken_off))
