-- Ends leases for good, and closes what was given up before on the same figure or the same product.
with ended as (
    update outbox o
    set status = case
            -- It went while it was told: nobody has to see to what was given up on it.
            when s.status = 'dead' and exists (
                select from listings l where l.tenant_id = $1 and l.id = o.listing_id and l.removed)
            then 'superseded' else s.status end,
        answered = o.answered + 1, last_error = s.error, token = null, leased_until = null,
        finished_at = $2
    from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[]) as s (id, token, status, error)
    -- The ids twice: by the list of them the rows are found one by one, and not by reading the whole table. Who has a token is
    -- leased; asked for that, Postgres would rather go through all leases of the tenant.
    where o.tenant_id = $1 and o.id = any($3) and o.id = s.id and o.token = s.token
    returning o.id, o.listing_id, o.kind, o.status
),
closed as (
    -- What was given up is shown by now, or was given up anew: nobody has to see to the old one. As a rule the tenant has none,
    -- and then nothing is looked for: nobody can have given one up since, for that moves the head.
    update outbox d set status = 'superseded'
    from ended e
    where exists (select from outbox w where w.tenant_id = $1 and w.status = 'dead') -- outbox_dead_idx: one probe a statement
      and e.status in ('done', 'dead')
      and d.tenant_id = $1 and d.listing_id = e.listing_id and d.kind = e.kind -- an offer has its id in the listing's place
      and d.status = 'dead' -- outbox_dead_listing_idx: one probe a row. What has just ended is leased, as this sees it.
)
select id from ended
