-- The listings a batch concerns beyond moved stock. Several reasons may name one listing and kind: the
-- earliest time counts, and the row is written once.
with owed as (
    select t.connection_id, t.listing_id, 'price' as kind, $3 as due, t.pushes_quantity, t.pushes_price, t.product_id as cause
    from unnest($5::uuid[], $6::text[]) as priced (variant_id, market)
    join outbox_targets t on t.tenant_id = $1 and t.variant_id = priced.variant_id and t.market = priced.market
    union all
    select t.connection_id, t.listing_id, k.kind, $3, t.pushes_quantity, t.pushes_price, t.listing_id
    from outbox_targets t
    cross join (values ('quantity'), ('price')) as k (kind)
    where t.tenant_id = $1 and t.listing_id = any($7)
    union all
    select t.connection_id, t.listing_id, s.kind, $4, t.pushes_quantity, t.pushes_price, t.listing_id
    from unnest($8::uuid[], $9::text[]) as s (listing_id, kind)
    join outbox_targets t on t.tenant_id = $1 and t.listing_id = s.listing_id
    union all
    -- Whether a thing is pushed at all may hang on its price, its name and the like.
    select t.connection_id, t.listing_id, k.kind, $3, t.pushes_quantity, t.pushes_price, t.product_id
    from outbox_targets t
    cross join (values ('quantity'), ('price')) as k (kind)
    where t.tenant_id = $1 and t.conditional and (t.product_id = any($12) or t.variant_id = any($5))
    union all
    select t.connection_id, t.listing_id, s.kind, $3, t.pushes_quantity, t.pushes_price, t.listing_id
    from unnest($10::uuid[], $11::text[]) as s (listing_id, kind)
    join outbox_targets t on t.tenant_id = $1 and t.listing_id = s.listing_id
),
commands as (
    insert into outbox (tenant_id, id, connection_id, listing_id, kind, status, position, next_attempt_at, created_at,
                        correlation_id)
    select $1, gen_random_uuid(), o.connection_id, o.listing_id, o.kind, 'pending', $2, min(o.due), $3, min(c.correlation_id)
    from owed o
    left join unnest($13::uuid[], $14::text[]) as c (id, correlation_id) on c.id = o.cause
    where (o.kind = 'quantity' and o.pushes_quantity) or (o.kind = 'price' and o.pushes_price)
    group by o.connection_id, o.listing_id, o.kind
    on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending'
        do update set -- Position and correlation stay those of the fact that first made it owed.
                created_at = least(outbox.created_at, excluded.created_at),
                -- What is owed now does not wait for what was owed later; what is in its backoff stays there.
                next_attempt_at = case when outbox.last_error is null
                    then least(outbox.next_attempt_at, excluded.next_attempt_at) else outbox.next_attempt_at end
)
-- Whether products are made anywhere, and whether anywhere what is told of them hangs on conditions: as a rule not, and then a
-- feed of prices has nothing more to look at.
select exists (
           select from connections c
           where c.tenant_id = $1 and c.enabled and c.offers_products -- connections_offering_idx
       ),
       exists (
           select from connections c
           where c.tenant_id = $1 and c.enabled and (c.offers_products or c.describes_products)
             and c.rules ? 'conditions'
       )
