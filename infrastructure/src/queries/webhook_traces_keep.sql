insert into webhook_traces (tenant_id, at, id, connection_id, delivery_id, platform, topic, result, correlation_id,
                            source_address, user_agent, body_bytes, verifying_us, enriching_us, deciding_us,
                            executing_us, total_us)
select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[],
                     $15::bigint[], $16::bigint[], $17::bigint[])
