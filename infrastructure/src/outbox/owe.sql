-- What is to be told again, or for the first time, as far as the rules let it out; and the end of commands whose places these
-- take. An offer has its id in the place of the listing's; the connection of a listing is looked up.
with asked as (
    select * from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::timestamptz[], $9::uuid[], $10::boolean[],
                         $11::text[])
        as a (connection_id, listing_id, product_id, kind, due, instead_of, forced, correlation_id)
),
owed as (
    select coalesce(t.connection_id, c.id) as connection_id, a.listing_id, a.product_id, a.kind, a.due, a.instead_of, a.forced,
           a.correlation_id
    from asked a
    left join outbox_targets t on t.tenant_id = $1 and t.listing_id = a.listing_id and a.product_id is null
    left join connections c on c.tenant_id = $1 and c.id = a.connection_id and a.product_id is not null
    where (a.kind = 'quantity' and t.pushes_quantity) or (a.kind = 'price' and t.pushes_price)
       or (a.kind = 'content' and c.enabled and (c.offers_products or c.describes_products or c.takes_off_products))
),
closed as (
    -- Also where the rules do not let it out any more: then it is given up for good.
    update outbox o set status = 'superseded'
    from asked a
    where o.tenant_id = $1 and o.id = a.instead_of and o.status = 'dead'
)
insert into outbox (tenant_id, id, connection_id, listing_id, product_id, kind, status, position, next_attempt_at, created_at,
                    forced, correlation_id)
-- What is owed at a later time is not late before that. That it was put off is still to be seen: see `sooner` in append.sql.
select $1, gen_random_uuid(), w.connection_id, w.listing_id, w.product_id, w.kind, 'pending', $2, min(w.due),
       greatest($3, min(w.due) - interval '1 microsecond'), bool_or(w.forced), min(w.correlation_id)
from owed w
group by w.connection_id, w.listing_id, w.product_id, w.kind
on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
    do update set forced = outbox.forced or excluded.forced,
            created_at = least(outbox.created_at, excluded.created_at),
            -- What is in its backoff stays there, as in derive.sql, unless somebody has asked for it.
            next_attempt_at = case when excluded.forced or outbox.last_error is null
                then least(outbox.next_attempt_at, excluded.next_attempt_at) else outbox.next_attempt_at end
