-- Net changes of shelves. The checkpoint's lock makes this the only writer of the tenant's rows.
insert into stock_levels (tenant_id, variant_id, location, on_hand, reserved, backorder_limit, low_stock_threshold,
                          low, position)
select $1, n.variant_id, n.location, coalesce(n.counted, s.on_hand, 0) + n.on_hand, coalesce(s.reserved, 0) + n.reserved,
       coalesce(n.backorder_limit, s.backorder_limit, 0),
       -- New rules come with a limit always, with a threshold perhaps.
       case when n.backorder_limit is null then s.low_stock_threshold else n.low_stock_threshold end,
       coalesce(n.low, s.low, false), n.position
from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::boolean[], $10::bigint[])
    as n (variant_id, location, counted, on_hand, reserved, backorder_limit, low_stock_threshold, low, position)
left join stock_levels s on s.tenant_id = $1 and s.variant_id = n.variant_id and s.location = n.location
on conflict (tenant_id, variant_id, location) do update
    set on_hand = excluded.on_hand, reserved = excluded.reserved, backorder_limit = excluded.backorder_limit,
        low_stock_threshold = excluded.low_stock_threshold, low = excluded.low, position = excluded.position
