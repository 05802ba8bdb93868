-- no-transaction
-- What is to be told once more at a later time, which is little: a change of stock looks whether it is there.
create index concurrently outbox_put_off_idx on outbox (tenant_id, listing_id)
    where status = 'pending' and forced and last_error is null and next_attempt_at > created_at;
