-- Net changes of lines. The checkpoint's lock makes this the only writer of the tenant's rows.
insert into reservations (tenant_id, reservation_id, variant_id, location, reserved, committed, released, expired,
                          refund_due, reserved_at, actor, expires_at, position)
-- What a stretch does not say of a line is given a value that cannot occur, by which reservations_known.sql knows to leave the
-- column alone.
select $1, n.reservation_id, n.variant_id, n.location, n.reserved, n.committed, n.released, n.expired, n.refund_due,
       coalesce(n.made_at, '-infinity'), coalesce(n.actor, ''),
       case when n.has_end then n.expires_at else '-infinity' end, n.position
from (
    -- Side by side in the list: see append.sql.
    select unnest($2::uuid[]) as reservation_id, unnest($3::uuid[]) as variant_id, unnest($4::text[]) as location,
           unnest($5::bigint[]) as reserved, unnest($6::bigint[]) as committed, unnest($7::bigint[]) as released,
           unnest($8::bigint[]) as expired, unnest($9::bigint[]) as refund_due, unnest($10::timestamptz[]) as made_at,
           unnest($11::text[]) as actor, unnest($12::boolean[]) as has_end, unnest($13::timestamptz[]) as expires_at,
           unnest($14::bigint[]) as position
) n
