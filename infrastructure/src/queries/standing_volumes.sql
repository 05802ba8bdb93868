-- Volumes after a position and a time: of what, of which kind, how many. Of each at most $5 are looked at.
select 'entries' as what, split_part(e.stream, '/', 1) as kind, count(*) as number
from (
    select stream from events
    where tenant_id = $1 and position > $2 and position <= $3
    order by position desc limit $5 -- events_pkey
) e
group by 2
union all
select 'deliveries', coalesce(d.outcome, d.status), count(*)
from (
    select outcome, status from deliveries
    where tenant_id = $1 and position > $2
    order by position desc limit $5 -- deliveries_position_idx
) d
group by 2
union all
select 'pushes', p.status, count(*)
from (
    select o.status
    from connections c
    cross join lateral (
        select status from outbox
        where tenant_id = c.tenant_id and connection_id = c.id and status in ('done', 'dead') and finished_at > $4
        order by finished_at desc limit $5 -- outbox_ended_idx
    ) o
    where c.tenant_id = $1
    limit $5
) p
group by 2
