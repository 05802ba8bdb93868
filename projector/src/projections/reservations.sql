-- Net changes of lines. The checkpoint's lock makes this the only writer of the tenant's rows.
insert into reservations (tenant_id, reservation_id, variant_id, location, reserved, committed, released, expired,
                          refund_due, reserved_at, expires_at, actor, position)
select $1, n.reservation_id, n.variant_id, n.location,
       coalesce(r.reserved, 0) + n.reserved, coalesce(r.committed, 0) + n.committed,
       coalesce(r.released, 0) + n.released, coalesce(r.expired, 0) + n.expired,
       coalesce(r.refund_due, 0) + n.refund_due, coalesce(n.made_at, r.reserved_at),
       coalesce(n.extended, case when n.made_at is null then r.expires_at else n.expires_at end),
       coalesce(n.actor, r.actor), n.position
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::bigint[], $13::text[], $14::bigint[])
    as n (reservation_id, variant_id, location, reserved, committed, released, expired, made_at, expires_at, extended,
          refund_due, actor, position)
left join reservations r on r.tenant_id = $1 and r.reservation_id = n.reservation_id
                        and r.variant_id = n.variant_id and r.location = n.location
on conflict (tenant_id, reservation_id, variant_id, location) do update
    set reserved = excluded.reserved, committed = excluded.committed, released = excluded.released,
        expired = excluded.expired, refund_due = excluded.refund_due, reserved_at = excluded.reserved_at,
        expires_at = excluded.expires_at, actor = excluded.actor, position = excluded.position
