-- The newest follow-ups that were given up. With a text to search for, only so many of the newest are searched.
with narrowed as (
    select f.* from follow_ups f
    where f.tenant_id = $1 and f.status = 'dead' -- follow_ups_dead_idx
      and ($2::text is null and $3::text is null or exists (select from connections c
           where c.tenant_id = $1 and c.id = f.connection_id and ($2::text is null or c.brand = $2)
             and ($3::text is null or c.platform = $3)))
      and ($4::uuid is null or f.connection_id = $4)
      -- What a delivery may be narrowed by, only the delivery that led to it has. Some have come of none.
      and ($5::text is null and $6::timestamptz is null and $7::timestamptz is null or exists (
          select from deliveries d
          where d.tenant_id = $1 and d.id = f.delivery_id and ($5::text is null or d.topic = $5)
            and ($6::timestamptz is null or d.recorded_at >= $6) and ($7::timestamptz is null or d.recorded_at < $7)))
    order by f.position desc limit $9
)
select n.connection_id, n.kind, n.external, n.delivery_id, n.attempts, n.last_error, n.position
from narrowed n
where $8::text is null or exists (
    select from delivery_bodies b
    where b.tenant_id = $1 and b.delivery_id = n.delivery_id and position(convert_to($8, 'UTF8') in b.body) > 0)
order by n.position desc limit $10
