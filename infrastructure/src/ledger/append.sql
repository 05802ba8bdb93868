-- Appends a batch, in one statement and therefore one transaction, if nobody has written since the head was seen.
-- Everything hangs on `head`: it is locked first, and if it has moved nothing at all is written. How it ends is in append.rs.
with head as (
    update ledger_heads
    set position = $3, hash = $4, recorded_at = $5
    where tenant_id = $1 and position = $2 and recorded_at = $21 -- the time, too: see `fence` in sequencer/outcome.rs
    returning position
),
entries as (
    insert into events (tenant_id, position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash)
    select $1, e.position, e.event_id, e.stream, e.version, e.name, e.name_version, $5, e.payload, e.metadata, e.hash
    from head
    cross join unnest($6::bigint[], $7::uuid[], $8::text[], $9::bigint[], $10::text[], $11::smallint[], $12::text[], $13::text[], $14::bytea[])
        as e (position, event_id, stream, version, name, name_version, payload, metadata, hash)
),
answers as (
    -- No `on conflict`: a key that was used before must undo the whole batch, to be decided again without it.
    insert into idempotency_keys (tenant_id, key_digest, fingerprint, position, answer, created_at)
    select $1, a.key_digest, a.fingerprint, a.position, a.answer, $5
    from head
    cross join unnest($15::uuid[], $16::bytea[], $17::bigint[], $18::text[])
        as a (key_digest, fingerprint, position, answer)
),
commands as (
    insert into outbox (tenant_id, id, connection_id, listing_id, kind, status, position, next_attempt_at, created_at)
    select $1, gen_random_uuid(), t.connection_id, t.listing_id, 'quantity', 'pending', $3, $5, $5
    from head
    cross join unnest($19::uuid[], $20::text[]) as moved (variant_id, location)
    -- listings_variant_idx: one probe a moved variant.
    join outbox_targets t on t.tenant_id = $1 and t.variant_id = moved.variant_id and t.location = moved.location
    where t.pushes_quantity
    -- Coalesce: what is pending already will show the newest truth, for the relay reads that after its lease, and
    -- after the commit that found the command still pending: see Head::settled.
    on conflict (tenant_id, connection_id, listing_id, kind) where status = 'pending' do nothing
),
sooner as (
    -- But for what is told once more at a later time: the newest truth does not wait for that. What waits a moment for the
    -- order behind a stray figure is not `forced`. As a rule there is none, and then nothing is looked for: nobody can have put
    -- one off since, for that moves the head.
    update outbox o set next_attempt_at = $5
    from head, outbox_targets t,
        unnest(case when exists (
            select from outbox w
            where w.tenant_id = $1 and w.status = 'pending' and w.forced and w.last_error is null
              and w.next_attempt_at > w.created_at -- outbox_put_off_idx
        ) then $19::uuid[] end, $20::text[]) as moved (variant_id, location)
    where o.tenant_id = $1 and o.status = 'pending' and o.forced and o.last_error is null
      and o.next_attempt_at > o.created_at and o.kind = 'quantity'
      and o.next_attempt_at > $5 + interval '2 seconds' -- what a stray figure has moved there: SETTLING in derive.rs
      and t.tenant_id = $1 and t.connection_id = o.connection_id and t.listing_id = o.listing_id
      and moved.variant_id = t.variant_id and moved.location = t.location
)
