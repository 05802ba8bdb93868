-- Gives leases back. A command that is to be tried again while a newer one for the same listing and kind waits
-- already is superseded: the newer one takes over its attempts and its time, so that a listing that is
-- changed often does not escape its backoff or its last attempt.
with settled as (
    select * from unnest($3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::text[], $8::boolean[],
                         $9::boolean[], $10::boolean[])
        as s (id, token, status, due, error, uncounted, in_doubt, unheard)
),
mine as (
    select o.id, o.connection_id, o.listing_id, o.kind, coalesce(s.in_doubt, o.forced) as forced, s.unheard,
           -- What is owed to a listing that went meanwhile is closed, as what waited for it was.
           case when exists (select from listings l where l.tenant_id = $1 and l.id = o.listing_id and l.removed)
                then 'superseded' else s.status end as status, s.due,
           s.error, o.attempts - s.uncounted::integer as attempts, o.created_at
    from settled s
    join outbox o on o.tenant_id = $1 and o.id = any($3) and o.id = s.id and o.token = s.token -- as in `end`
    for update of o -- waits for whoever takes the lease over, and then looks at the token again
),
heirs as (
    update outbox heir
    set attempts = mine.attempts, next_attempt_at = mine.due, last_error = mine.error,
        forced = heir.forced or mine.forced, unheard = heir.unheard or mine.unheard,
        created_at = least(heir.created_at, mine.created_at)
    from mine
    where mine.status = 'pending'
      and heir.tenant_id = $1 and heir.connection_id = mine.connection_id and heir.listing_id = mine.listing_id
      and heir.kind = mine.kind and heir.status = 'pending'
    returning mine.id
)
update outbox o
set status = case when heirs.id is null then mine.status else 'superseded' end,
    attempts = mine.attempts,
    answered = o.answered + 1,
    forced = mine.forced,
    unheard = mine.unheard,
    next_attempt_at = coalesce(mine.due, o.next_attempt_at),
    last_error = mine.error,
    token = null,
    leased_until = null,
    finished_at = case when mine.status = 'pending' and heirs.id is null then null else $2 end
from mine
left join heirs on heirs.id = mine.id
where o.tenant_id = $1 and o.id = any($3) and o.id = mine.id
returning o.id
