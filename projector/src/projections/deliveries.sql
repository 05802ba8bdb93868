-- The last word on each delivery of a stretch. The checkpoint's lock makes this the only writer.
insert into deliveries (tenant_id, id, connection_id, platform, topic, external_id, status, outcome, notes, reason, attempts,
                        body_sha256, body_bytes, source_address, user_agent, correlation_id, recorded_at, position)
select $1, r.id, r.connection_id, r.platform, r.topic, r.external_id, r.status, r.outcome, r.notes, r.reason, r.attempts,
       r.body_sha256, r.body_bytes, r.source_address, r.user_agent, r.correlation_id, r.recorded_at, r.position
from jsonb_to_recordset($2) as r (id uuid, connection_id uuid, platform text, topic text, external_id text, status text,
    outcome text, notes jsonb, reason text, attempts integer, body_sha256 text, body_bytes bigint, source_address text,
    user_agent text, correlation_id text, recorded_at timestamptz, position bigint)
on conflict (tenant_id, id) do update
    set status = excluded.status, outcome = excluded.outcome, notes = excluded.notes, reason = excluded.reason,
        attempts = deliveries.attempts + excluded.attempts, body_sha256 = excluded.body_sha256,
        body_bytes = excluded.body_bytes, source_address = excluded.source_address, user_agent = excluded.user_agent,
        topic = excluded.topic, correlation_id = excluded.correlation_id, recorded_at = excluded.recorded_at,
        position = excluded.position
