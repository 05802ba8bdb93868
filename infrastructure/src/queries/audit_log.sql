-- Entries as an auditor sees them. The caller adds an order: of one stream by version, along
-- events_tenant_id_stream_version_key, else by position, along the primary key.
select e.position, e.recorded_at, e.metadata::json->>'actor' as actor, e.metadata::json->>'source' as source,
       e.metadata::json->>'correlation_id' as correlation_id, e.name as action, e.stream, e.payload::jsonb as data
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
  and e.position < $3 and e.position > $8
  and ($4::text is null or e.stream = $4) and ($5::text is null or e.name = $5)
  and ($6::text is null or e.metadata::json->>'actor' = $6)
  and ($7::text is null or e.metadata::json->>'correlation_id' = $7)
