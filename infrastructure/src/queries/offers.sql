-- Products on connections: what describes them, their variants with what each costs there, and their listings.
select c.id as connection_id, p.id as product_id, c.platform, c.rules,
       c.enabled and (p.archived or p.brand is null or p.brand = c.brand) as open,
       p.title, p.brand, p.vendor, p.category, p.tags, p.archived,
       p.offers -> c.id::text as known,
       coalesce((
           select jsonb_agg(jsonb_build_object(
               'id', v.id, 'sku', v.sku, 'attributes', v.attributes,
               -- A price in another currency than the shop's is no price there.
               'price', case when v.prices -> c.market ->> 'currency' = c.currency then v.prices -> c.market end) order by v.id)
           from variants v
           where v.tenant_id = p.tenant_id and v.product_id = p.id -- variants_product_idx
       ), '[]') as variants,
       coalesce((
           select jsonb_agg(jsonb_build_object(
               'id', l.id, 'variant', l.variant_id, 'external_product', l.external_product,
               'external_variant', l.external_variant, 'external_inventory', l.external_inventory,
               -- Of those that are gone, one that we took off comes first, and then the one that took a quantity last.
               'removed', l.removed, 'taken_off', l.taken_off)
               order by l.removed, not l.taken_off, case when l.removed then -l.quantity_as_of end, l.id)
           from variants v
           join listings l on l.tenant_id = v.tenant_id and l.variant_id = v.id -- listings_variant_idx
           where v.tenant_id = p.tenant_id and v.product_id = p.id and l.connection_id = c.id
       ), '[]') as listings,
       -- Others of ours are in the same product there. Those that have left the catalogue are no matter to one that has, too.
       exists (
           select from (
               select distinct l.external_product
               from variants v
               join listings l on l.tenant_id = v.tenant_id and l.variant_id = v.id
               where v.tenant_id = p.tenant_id and v.product_id = p.id and l.connection_id = c.id and not l.removed
           ) h
           join listings l on l.tenant_id = p.tenant_id and l.connection_id = c.id
                          and l.external_product = h.external_product -- listings_product_idx
           join products q on q.tenant_id = l.tenant_id and q.id = l.product_id
           where l.product_id <> p.id and not l.removed and not (p.archived and q.archived)
       ) as shared
from unnest($2::uuid[], $3::uuid[]) as o (connection_id, product_id)
join connections c on c.tenant_id = $1 and c.id = o.connection_id
join products p on p.tenant_id = $1 and p.id = o.product_id
