-- Net changes of shelves. The checkpoint's lock makes this the only writer of the tenant's rows: a shelf that is not there now is new.
with net as (
    -- Side by side in the list: see append.sql.
    select unnest($2::uuid[]) as variant_id, unnest($3::text[]) as location, unnest($4::bigint[]) as counted,
           unnest($5::bigint[]) as on_hand, unnest($6::bigint[]) as reserved, unnest($7::bigint[]) as backorder_limit,
           unnest($8::bigint[]) as low_stock_threshold, unnest($9::boolean[]) as low, unnest($10::bigint[]) as position
),
known as (
    update stock_levels s
    set on_hand = coalesce(n.counted, s.on_hand) + n.on_hand,
        reserved = s.reserved + n.reserved,
        backorder_limit = coalesce(n.backorder_limit, s.backorder_limit),
        -- New rules come with a limit always, with a threshold perhaps.
        low_stock_threshold = case when n.backorder_limit is null then s.low_stock_threshold else n.low_stock_threshold end,
        low = coalesce(n.low, s.low),
        position = n.position
    from net n
    where s.tenant_id = $1 and s.variant_id = n.variant_id and s.location = n.location
    returning s.variant_id, s.location
)
insert into stock_levels (tenant_id, variant_id, location, on_hand, reserved, backorder_limit, low_stock_threshold,
                          low, position)
select $1, n.variant_id, n.location, coalesce(n.counted, 0) + n.on_hand, n.reserved, coalesce(n.backorder_limit, 0),
       n.low_stock_threshold, coalesce(n.low, false), n.position
from net n
where not exists (select from known k where k.variant_id = n.variant_id and k.location = n.location)
