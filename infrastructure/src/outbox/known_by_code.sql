-- Variants that market prices of these codes may mean; variants_of_style.sql and StyledVariant say the same of a price that has just
-- come. For each code a step along an index, however many codes or variants there are.
select c.code, n.by_style, n.sku, n.size, n.brand
from unnest($2::text[]) as c (code)
cross join lateral (
    (
        select false as by_style, v.sku, v.attributes->>'size' as size, p.brand
        from variants v -- variants_sku_c_idx
        join products p on p.tenant_id = $1 and p.id = v.product_id
        where v.tenant_id = $1 and v.sku collate "C" = c.code
    )
    union all
    (
        select false, v.sku, v.attributes->>'size', p.brand
        from variants v -- variants_sku_c_idx
        join products p on p.tenant_id = $1 and p.id = v.product_id
        where v.tenant_id = $1 and v.sku collate "C" >= c.code || '-' and v.sku collate "C" < c.code || '.'
    )
    union all
    (
        select true, v.sku, v.attributes->>'size', p.brand
        from products p -- products_style_code_idx
        join variants v on v.tenant_id = $1 and v.product_id = p.id -- variants_product_idx
        where p.tenant_id = $1 and p.style_code = c.code
    )
) n
