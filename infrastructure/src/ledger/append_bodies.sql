-- The bodies of any deliveries, as a part of the statement in append.sql: where one may be there already, each costs a third more.
, bodies as (
    insert into delivery_bodies (tenant_id, delivery_id, received_at, headers, body, person)
    select $1, b.delivery_id, $5, b.headers::json, b.body, b.person
    from head
    cross join unnest($25::uuid[], $26::text[], $27::bytea[], $28::text[]) as b (delivery_id, headers, body, person)
    -- A failed delivery that was sent again: the last bytes count.
    on conflict (tenant_id, delivery_id) do update
        set received_at = excluded.received_at, headers = excluded.headers, body = excluded.body, person = excluded.person
)
