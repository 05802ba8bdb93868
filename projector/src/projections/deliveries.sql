-- The last word on each delivery of a stretch. The checkpoint's lock makes this the only writer.
insert into deliveries (tenant_id, id, connection_id, platform, topic, external_id, status, outcome, notes, reason, attempts,
                        body_sha256, body_bytes, source_address, user_agent, correlation_id, recorded_at, position)
select $1, r.id, r.connection_id, r.platform, r.topic, r.external_id, r.status, r.outcome, r.notes::jsonb, r.reason, r.attempts,
       r.body_sha256, r.body_bytes, r.source_address, r.user_agent, r.correlation_id, r.recorded_at, r.position
from (
    -- Side by side in the list: see append.sql.
    select unnest($2::uuid[]) as id, unnest($3::uuid[]) as connection_id, unnest($4::text[]) as platform,
           unnest($5::text[]) as topic, unnest($6::text[]) as external_id, unnest($7::text[]) as status,
           unnest($8::text[]) as outcome, unnest($9::text[]) as notes, unnest($10::text[]) as reason,
           unnest($11::integer[]) as attempts, unnest($12::text[]) as body_sha256, unnest($13::bigint[]) as body_bytes,
           unnest($14::text[]) as source_address, unnest($15::text[]) as user_agent, unnest($16::text[]) as correlation_id,
           unnest($17::timestamptz[]) as recorded_at, unnest($18::bigint[]) as position
) r
