-- no-transaction
-- What is put off to a later time without having failed, which is little: a change of stock looks whether it is there.
create index concurrently outbox_put_off_idx on outbox (tenant_id)
    where status = 'pending' and last_error is null and next_attempt_at > created_at;
