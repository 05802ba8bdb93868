-- The end of deliveries.sql where some were tried in an earlier stretch.
on conflict (tenant_id, id) do update
    set status = excluded.status, outcome = excluded.outcome, notes = excluded.notes, reason = excluded.reason,
        attempts = deliveries.attempts + excluded.attempts, body_sha256 = excluded.body_sha256,
        body_bytes = excluded.body_bytes, source_address = excluded.source_address, user_agent = excluded.user_agent,
        topic = excluded.topic, correlation_id = excluded.correlation_id, recorded_at = excluded.recorded_at,
        position = excluded.position
