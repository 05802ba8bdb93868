-- The last word on each delivery of a stretch. The checkpoint's lock makes this the only writer.
insert into deliveries (tenant_id, id, connection_id, platform, topic, external_id, status, outcome, notes, reason, attempts,
                        body_sha256, body_bytes, source_address, user_agent, correlation_id, recorded_at, position)
select $1, r.id, r.connection_id, r.platform, r.topic, r.external_id, r.status, r.outcome, r.notes::jsonb, r.reason, r.attempts,
       r.body_sha256, r.body_bytes, r.source_address, r.user_agent, r.correlation_id, r.recorded_at, r.position
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
            $11::integer[], $12::text[], $13::bigint[], $14::text[], $15::text[], $16::text[], $17::timestamptz[], $18::bigint[])
    as r (id, connection_id, platform, topic, external_id, status, outcome, notes, reason,
          attempts, body_sha256, body_bytes, source_address, user_agent, correlation_id, recorded_at, position)
on conflict (tenant_id, id) do update
    set status = excluded.status, outcome = excluded.outcome, notes = excluded.notes, reason = excluded.reason,
        attempts = deliveries.attempts + excluded.attempts, body_sha256 = excluded.body_sha256,
        body_bytes = excluded.body_bytes, source_address = excluded.source_address, user_agent = excluded.user_agent,
        topic = excluded.topic, correlation_id = excluded.correlation_id, recorded_at = excluded.recorded_at,
        position = excluded.position
