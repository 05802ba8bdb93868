-- Net changes of lines. The checkpoint's lock makes this the only writer of the tenant's rows.
with written as (
insert into reservations (tenant_id, reservation_id, variant_id, location, reserved, committed, released, expired,
                          refund_due, reserved_at, actor, expires_at, position)
-- A line that was made in an earlier stretch is there already. What this stretch does not say of it is given a value that
-- cannot occur, by which the update below knows to leave the column alone.
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
on conflict (tenant_id, reservation_id, variant_id, location) do update
    set reserved = reservations.reserved + excluded.reserved,
        committed = reservations.committed + excluded.committed,
        released = reservations.released + excluded.released,
        expired = reservations.expired + excluded.expired,
        refund_due = reservations.refund_due + excluded.refund_due,
        reserved_at = case when excluded.reserved_at = '-infinity' then reservations.reserved_at
                           else excluded.reserved_at end,
        actor = case when excluded.reserved_at = '-infinity' then reservations.actor else excluded.actor end,
        expires_at = case when excluded.expires_at = '-infinity' then reservations.expires_at
                          else excluded.expires_at end,
        position = excluded.position
returning reserved_at
)
-- Lines that were never made: their rows have been lost.
select count(*) from written where reserved_at = '-infinity'
