-- Deliveries that spoke of what nobody knew: a few among many, by an index of their own. But for prices of the market.
select d.id, d.connection_id as connection, d.topic, d.external_id, d.body_sha256, d.body_bytes, d.source_address,
       d.user_agent, d.position
from deliveries d
where d.tenant_id = $1 and d.outcome = 'unmapped' and (d.platform <> 'kicksdb' or not $11)
  and d.position > $3 and d.position <= $4 -- deliveries_unmapped_idx
  and ($2::text is null or exists (select from connections c
       where c.tenant_id = $1 and c.id = d.connection_id and c.brand = $2))
  and ($5::uuid[] is null or d.id = any($5)) and ($6::uuid is null or d.connection_id = $6)
  and ($7::text is null or d.platform = $7) and ($8::text is null or d.topic = $8)
  and ($9::timestamptz is null or d.recorded_at < $9)
order by d.position limit $10
