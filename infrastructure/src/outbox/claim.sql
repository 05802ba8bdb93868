-- Leases what is due, account by account, so that one with much to do keeps no other waiting.
with ready as (
    select a.tenant_id, a.connection_id, a.probe, a.troubled, a.priority
    from (
        select a.tenant_id, a.connection_id, b.state is not null and b.state <> 'closed' as probe,
               b.reason is not null as troubled, coalesce((c.rules ->> 'priority')::bigint, 0) as priority
        from unnest($6::uuid[], $7::uuid[]) as a (tenant_id, connection_id)
        join connections c on c.tenant_id = a.tenant_id and c.id = a.connection_id
        left join breakers b on b.tenant_id = a.tenant_id and b.connection_id = a.connection_id
        where not c.paused and a.connection_id <> all($5)
          and coalesce(b.held_until <= $1, true) and coalesce(b.retry_at <= $1, true)
        order by a.tenant_id, a.connection_id -- in here, so that below no more of them are looked at than there is room for
    ) a
    -- What waits for its time keeps no room from what is due. One step along outbox_due_idx for each kind.
    where (
        select true from (values ('quantity'), ('price'), ('content')) as k (kind)
        cross join lateral (
            select from outbox o
            where o.status = 'pending' and o.tenant_id = a.tenant_id and o.connection_id = a.connection_id
              and o.kind = k.kind and o.next_attempt_at <= $1
            limit 1
        ) d
        limit 1)
    order by a.tenant_id, a.connection_id
    limit $8
),
due as (
    select d.tenant_id, d.id, d.connection_id, false as probe, r.troubled, r.priority
    from ready r
    -- Products are told one after the other: more of them would only be given back.
    cross join (values ('quantity', $2::bigint), ('price', $2), ('content', least($2, 50))) as k (kind, most)
    cross join lateral (
        select o.tenant_id, o.id, o.connection_id from outbox o
        where o.status = 'pending' and o.tenant_id = r.tenant_id and o.connection_id = r.connection_id
          and o.kind = k.kind and o.next_attempt_at <= $1 -- outbox_due_idx
          and ( -- order: not while an older command for the same is under way. Looked up by outbox_leased_idx one by one;
                -- as `not exists` it becomes a join that reads all leases of the account for each command.
              select l.id from outbox l
              where l.tenant_id = o.tenant_id and l.connection_id = o.connection_id
                and l.listing_id = o.listing_id and l.kind = o.kind and l.status = 'leased') is null
        order by o.next_attempt_at
        limit k.most
        for update skip locked -- what another relay is taking is not waited for
    ) d
    where not r.probe
    union all
    select d.tenant_id, d.id, d.connection_id, true, true, r.priority
    from ready r
    cross join lateral (
        select o.tenant_id, o.id, o.connection_id from outbox o
        where o.status = 'pending' and o.tenant_id = r.tenant_id and o.connection_id = r.connection_id
          and o.next_attempt_at <= $1
          and (
              select l.id from outbox l
              where l.tenant_id = o.tenant_id and l.connection_id = o.connection_id
                and l.listing_id = o.listing_id and l.kind = o.kind and l.status = 'leased') is null
        order by o.kind desc, o.next_attempt_at
        limit 1
        for update skip locked
    ) d
    where r.probe
),
-- One relay probes at a time: whoever is second waits here, finds the time not come any more, and leases nothing.
probing as (
    update breakers b set state = 'half_open', retry_at = $4
    from due d
    where d.probe and b.tenant_id = d.tenant_id and b.connection_id = d.connection_id and b.retry_at <= $1
    returning b.tenant_id, b.connection_id
),
leased as (
    update outbox o
    set status = 'leased', token = $3, leased_until = $4, attempts = o.attempts + 1
    from due
    where o.tenant_id = due.tenant_id and o.id = due.id
      and (not due.probe
           or exists (select from probing p where p.tenant_id = due.tenant_id and p.connection_id = due.connection_id))
    returning o.tenant_id, o.id, o.connection_id, o.listing_id, o.product_id, o.kind, o.attempts, due.probe,
        due.troubled, due.priority, o.forced, o.unheard, o.answered, o.next_attempt_at,
        o.correlation_id
)
-- With each, the account that took up the last room, if one did: also if nothing was to be had of any, as where others are at
-- it. There is always a row, then without a command.
select last.tenant_id as last_tenant, last.connection_id as last_connection, leased.*
from (values (true)) as always (so)
left join (
    select tenant_id, connection_id from ready order by tenant_id, connection_id offset $8 - 1 limit 1
) last on true
left join leased on true
