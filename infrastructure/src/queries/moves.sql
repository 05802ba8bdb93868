-- Moves of all shelves, newest first, within one stretch of history.
select e.position, e.recorded_at, e.name, e.name_version, e.payload, v.id as variant_id,
       split_part(e.stream, '/', 3) as location, v.sku, e.version = 1 as first,
       (b.metadata::json->>'on_hand')::bigint as on_hand_before, (e.metadata::json->>'on_hand')::bigint as on_hand_after,
       (b.metadata::json->>'reserved')::bigint as reserved_before, (e.metadata::json->>'reserved')::bigint as reserved_after,
       e.metadata::json->>'actor' as actor, e.metadata::json->>'source' as source, e.metadata::json->>'correlation_id' as correlation_id
from events e
join variants v on v.tenant_id = $1 and v.id = split_part(e.stream, '/', 2)::uuid
join products p on p.tenant_id = $1 and p.id = v.product_id
left join events b on b.tenant_id = $1 and b.stream = e.stream and b.version = e.version - 1
where e.tenant_id = $1 and e.position < $3 and e.position > $8 and e.name = any($5)
  and ($2::text is null or p.brand = $2)
  and ($9::text is null or split_part(e.stream, '/', 3) = $9)
  and ($6::text is null or e.payload::json->>'reservation' = $6) and $7::text[] is not null
  and $10::bigint[] is not null
order by e.position desc limit $4
