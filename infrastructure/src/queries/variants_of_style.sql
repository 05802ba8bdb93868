-- Variants a market feed may mean, each arm with an index of its own.
with codes as (select distinct code from unnest($2::text[]) as code),
named as (
    -- variants_sku_c_idx, twice: the code itself, and SKUs of the form <code>-<size>, which lie between "<code>-" and "<code>."
    select c.code, v.id from codes c
    join variants v on v.tenant_id = $1 and v.sku collate "C" = c.code
    union
    select c.code, v.id from codes c
    join variants v on v.tenant_id = $1 and v.sku collate "C" >= c.code || '-' and v.sku collate "C" < c.code || '.'
    union
    -- products_style_code_idx, then variants_product_idx.
    select c.code, v.id from codes c
    join products p on p.tenant_id = $1 and p.style_code = c.code
    join variants v on v.tenant_id = $1 and v.product_id = p.id
)
select n.code, v.product_id, v.id, v.sku, v.attributes->>'size', coalesce(p.style_code = n.code, false)
from named n
join variants v on v.tenant_id = $1 and v.id = n.id
join products p on p.tenant_id = $1 and p.id = v.product_id
where p.brand is null or p.brand = $3
