-- The keys of persons, as a part of the statement in append.sql.
, person_keys as (
    -- No `on conflict`: an order is placed once, and a key that took another's place would leave an entry nobody can read.
    insert into person_keys (tenant_id, person, order_id, connection_id, address, key_id, nonce, sealed, created_at)
    select $1, k.person, k.order_id, k.connection_id, k.address, k.key_id, k.nonce, k.sealed, $5
    from head
    cross join unnest($29::text[], $30::uuid[], $31::uuid[], $32::text[], $33::text[], $34::bytea[], $35::bytea[])
        as k (person, order_id, connection_id, address, key_id, nonce, sealed)
)
