-- Moves of some shelves, newest first: each shelf is followed back by itself.
select e.position, e.recorded_at, e.name, e.name_version, e.payload, v.id as variant_id,
       split_part(e.stream, '/', 3) as location, v.sku, e.version = 1 as first,
       (b.metadata::json->>'on_hand')::bigint as on_hand_before, (e.metadata::json->>'on_hand')::bigint as on_hand_after,
       (b.metadata::json->>'reserved')::bigint as reserved_before, (e.metadata::json->>'reserved')::bigint as reserved_after,
       e.metadata::json->>'actor' as actor, e.metadata::json->>'source' as source, e.metadata::json->>'correlation_id' as correlation_id
from unnest($7::text[], $10::bigint[]) as s (stream, upto)
cross join lateral (
    select * from events
    where tenant_id = $1 and stream = s.stream and version <= s.upto and position < $3 and position > $8 and name = any($5)
      and ($6::text is null or payload::json->>'reservation' = $6)
    order by version desc limit $4 -- events_tenant_id_stream_version_key
) e
join variants v on v.tenant_id = $1 and v.id = split_part(e.stream, '/', 2)::uuid
join products p on p.tenant_id = $1 and p.id = v.product_id
left join events b on b.tenant_id = $1 and b.stream = e.stream and b.version = e.version - 1
where ($2::text is null or p.brand = $2) and ($9::text is null or split_part(e.stream, '/', 3) = $9)
order by e.position desc limit $4
