-- The bodies of new deliveries, as a part of the statement in append.sql.
, bodies as (
    insert into delivery_bodies (tenant_id, delivery_id, received_at, headers, body, person)
    select $1, b.delivery_id, $5, b.headers::json, b.body, b.person
    from head
    cross join unnest($25::uuid[], $26::text[], $27::bytea[], $28::text[]) as b (delivery_id, headers, body, person)
)
