-- The end of reservations.sql for lines some of which were made in an earlier stretch.
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
