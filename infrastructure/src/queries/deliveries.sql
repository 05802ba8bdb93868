-- A page of deliveries, newest first. With a text to search for, only so many of the newest are searched.
with narrowed as (
    select d.* from deliveries d
    where d.tenant_id = $1
      and ($2::text is null or exists (select from connections c
           where c.tenant_id = $1 and c.id = d.connection_id and c.brand = $2))
      and ($3::bigint is null or d.position < $3)
      and ($4::text is null or d.status = $4) and ($5::text is null or d.platform = $5)
      and ($6::uuid is null or d.connection_id = $6) and ($7::text is null or d.topic = $7)
      and ($8::text is null or d.outcome = $8)
      and ($9::timestamptz is null or d.recorded_at >= $9) and ($10::timestamptz is null or d.recorded_at < $10)
    order by d.position desc limit $12 -- deliveries_position_idx
)
select d.id, d.connection_id, d.platform, d.topic, d.external_id, d.status, d.outcome, d.notes, d.reason,
       d.attempts, d.body_sha256, d.body_bytes, d.source_address, d.user_agent, d.correlation_id,
       d.recorded_at, d.position, d.contradicted
from narrowed d
where $11::text is null or exists (
    select from delivery_bodies b
    where b.tenant_id = $1 and b.delivery_id = d.id and position(convert_to($11, 'UTF8') in b.body) > 0)
order by d.position desc limit $13
