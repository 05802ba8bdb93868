-- The server samples a growing table again and again, as many rows as its most detailed column asks for, and sorts each column of
-- the sample. Nothing is ever looked for by what an entry, a body or an answer holds, so nothing has to be known of that; and of
-- what is looked for, by unique indexes as a rule, a small sample tells enough.
alter table events
    alter column tenant_id set statistics 25,
    alter column position set statistics 25,
    alter column event_id set statistics 0,
    alter column stream set statistics 25,
    alter column version set statistics 25,
    alter column name set statistics 25,
    alter column name_version set statistics 25,
    alter column recorded_at set statistics 25,
    alter column payload set statistics 0,
    alter column metadata set statistics 0,
    alter column hash set statistics 0;
alter table delivery_bodies
    alter column tenant_id set statistics 10,
    alter column delivery_id set statistics 10,
    alter column received_at set statistics 10,
    alter column person set statistics 10,
    alter column headers set statistics 0,
    alter column body set statistics 0;
alter table idempotency_keys
    alter column tenant_id set statistics 10,
    alter column key_digest set statistics 10,
    alter column position set statistics 10,
    alter column created_at set statistics 10,
    alter column fingerprint set statistics 0,
    alter column answer set statistics 0;
