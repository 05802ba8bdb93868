-- Appends a batch, in one statement and therefore one transaction, if nobody has written since the head was seen.
-- Everything hangs on `head`: it is locked first, and if it has moved nothing at all is written. How it ends is in append.rs.
with head as (
    update ledger_heads
    set position = $3, hash = $4, recorded_at = $5
    where tenant_id = $1 and position = $2 and recorded_at = $22 -- the time, too: see `fence` in sequencer/outcome.rs
    returning position
),
entries as (
    insert into events (tenant_id, position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash)
    -- Side by side in the list and not `from unnest(…)`, which would write each array down in full before its first row is read.
    select $1, unnest($6::bigint[]), unnest($7::uuid[]), unnest($8::text[]), unnest($9::bigint[]), unnest($10::text[]),
           unnest($11::smallint[]), unnest($12::timestamptz[]), unnest($13::text[]), unnest($14::text[]), unnest($15::bytea[])
    from head
),
answers as (
    -- No `on conflict`: a key that was used before must undo the whole batch, to be decided again without it.
    insert into idempotency_keys (tenant_id, key_digest, fingerprint, position, answer, created_at)
    select $1, unnest($16::uuid[]), unnest($17::bytea[]), unnest($18::bigint[]), unnest($19::text[]), $5
    from head
),
commands as (
    insert into outbox (tenant_id, id, connection_id, listing_id, kind, status, position, next_attempt_at, created_at,
                        correlation_id)
    select $1, gen_random_uuid(), t.connection_id, t.listing_id, 'quantity', 'pending', $3, $24, $24, moved.correlation_id
    from head
    cross join unnest($20::uuid[], $21::text[], $23::text[]) as moved (variant_id, location, correlation_id)
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
    update outbox o set next_attempt_at = $24, created_at = least(o.created_at, $24)
    from head, outbox_targets t, unnest($20::uuid[], $21::text[]) as moved (variant_id, location)
    where exists (
        select from outbox w
        where w.tenant_id = $1 and w.status = 'pending' and w.forced and w.last_error is null
          and w.next_attempt_at > w.created_at -- outbox_put_off_idx
    )
      and o.tenant_id = $1 and o.status = 'pending' and o.forced and o.last_error is null
      and o.next_attempt_at > o.created_at and o.kind = 'quantity'
      and o.next_attempt_at > $24 + interval '2 seconds' -- what a stray figure has moved there: SETTLING in derive.rs
      and t.tenant_id = $1 and t.connection_id = o.connection_id and t.listing_id = o.listing_id
      and moved.variant_id = t.variant_id and moved.location = t.location
)
