-- Makes due the market prices that sleep and mean one of these variants.
with known as (
    select * from unnest($4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[])
        as k (code, by_style, sku, size, brand)
)
update follow_ups f set next_attempt_at = $2
from connections c, known k
where f.tenant_id = $1 and f.kind = 'price' and f.status = 'pending' and f.next_attempt_at = $3
  and c.tenant_id = $1 and c.id = f.connection_id
  and k.code = f.payload->>'style_code' and (k.brand is null or k.brand = c.brand)
  and (f.payload->>'size' is null and (k.by_style or k.sku = k.code)
       or k.sku = k.code || '-' || (f.payload->>'size')
       or k.by_style and k.size = f.payload->>'size')
