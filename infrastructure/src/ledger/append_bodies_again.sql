    -- A failed delivery that was sent again: the last bytes count.
    on conflict (tenant_id, delivery_id) do update
        set received_at = excluded.received_at, headers = excluded.headers, body = excluded.body, person = excluded.person
