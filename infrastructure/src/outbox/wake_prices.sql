-- Market prices that wait for somebody to know what they speak of, and mean a variant that is known by now. Looked for by their
-- codes, of which there are fewer; variants_of_style.sql and StyledVariant say the same of a price that has just come.
with asleep as (
    select f.connection_id, f.external, f.payload->>'style_code' as code, f.payload->>'size' as size
    from follow_ups f
    where f.tenant_id = $1 and f.kind = 'price' and f.status = 'pending' and f.next_attempt_at = $3
),
codes as (select distinct code from asleep),
named as (
    -- variants_sku_c_idx, twice.
    select c.code, v.id, false as by_style from codes c
    join variants v on v.tenant_id = $1 and v.sku collate "C" = c.code
    union all
    select c.code, v.id, false from codes c
    join variants v on v.tenant_id = $1 and v.sku collate "C" >= c.code || '-' and v.sku collate "C" < c.code || '.'
    union all
    -- products_style_code_idx, then variants_product_idx.
    select c.code, v.id, true from codes c
    join products p on p.tenant_id = $1 and p.style_code = c.code
    join variants v on v.tenant_id = $1 and v.product_id = p.id
),
known as (
    select n.code, n.by_style, v.sku, v.attributes->>'size' as size, p.brand
    from named n
    join variants v on v.tenant_id = $1 and v.id = n.id
    join products p on p.tenant_id = $1 and p.id = v.product_id
)
update follow_ups f set next_attempt_at = $2
from asleep a
join connections c on c.tenant_id = $1 and c.id = a.connection_id
join known k on k.code = a.code and (k.brand is null or k.brand = c.brand)
     and (a.size is null and (k.by_style or k.sku = a.code)
          or k.sku = a.code || '-' || a.size
          or k.by_style and k.size = a.size)
where f.tenant_id = $1 and f.connection_id = a.connection_id and f.kind = 'price' and f.external = a.external
  and f.status = 'pending' and f.next_attempt_at = $3
