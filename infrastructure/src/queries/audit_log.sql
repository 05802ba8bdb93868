-- Entries as an auditor sees them, of one stretch of history. The caller adds an order and a limit: of some streams each
-- by its versions, along events_tenant_id_stream_version_key, else by position, along the primary key.
select e.position, e.event_id, e.stream, e.version, e.name, e.name_version, e.recorded_at, e.payload, e.metadata, e.hash
from events e
-- What an entry is about, for callers bound to a brand: said by its stream, or by its payload.
cross join lateral (
    select case split_part(e.stream, '/', 1) when 'product' then split_part(e.stream, '/', 2)::uuid
               else (e.payload::json->>'product')::uuid end as product_id,
           case split_part(e.stream, '/', 1) when 'stock' then split_part(e.stream, '/', 2)::uuid
               else (e.payload::json->>'variant')::uuid end as variant_id,
           case split_part(e.stream, '/', 1)
               when 'connection' then split_part(e.stream, '/', 2)::uuid
               when 'listing' then coalesce((e.payload::json->>'connection')::uuid,
                   (select connection_id from listings l
                    where l.tenant_id = $1 and l.id = split_part(e.stream, '/', 2)::uuid))
               else (e.payload::json->>'connection')::uuid end as connection_id
) about
where e.tenant_id = $1
  and ($2::text is null
       or exists (select from products p where p.tenant_id = $1 and p.brand = $2
                  and p.id = coalesce(about.product_id, (select product_id from variants v
                                                         where v.tenant_id = $1 and v.id = about.variant_id)))
       or exists (select from connections c where c.tenant_id = $1 and c.brand = $2 and c.id = about.connection_id))
  and e.position > $3 and e.position <= $4
  and ($5::text is null or e.name = $5)
  and ($6::text is null or split_part(e.stream, '/', 1) = $6)
  and ($7::boolean is null or (split_part(e.stream, '/', 1) = any($8)) = $7)
  and ($9::text is null or e.metadata::json->>'actor' = $9)
  and ($10::text is null or e.metadata::json->>'correlation_id' = $10)
  -- `webhook` is said of `webhook/shopify`, too.
  and ($11::text is null or e.metadata::json->>'source' = $11 or starts_with(e.metadata::json->>'source', $11 || '/'))
  and ($12::text is null or e.metadata::json->>'address' = $12)
