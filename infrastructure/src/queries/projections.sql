-- Read models with their checkpoints, and who has locked one: the transaction that stands in the row's xmax, if it is still
-- under way. Nothing is locked here, so that nobody passes a checkpoint over because somebody looks at it.
select m.name, m.follows, head.position as head,
       case when m.follows then coalesce(c.position, 0) else head.position end as position,
       (select e.recorded_at from events e -- events_pkey
        where m.follows and e.tenant_id = $1 and e.position = coalesce(c.position, 0) + 1) as waiting_since,
       c.parked, c.parked_at, c.paused_by, c.paused_at, c.advanced_at,
       holder.pid as holder, a.application_name as application, a.state as activity,
       extract(epoch from clock_timestamp() - a.xact_start)::bigint as held_seconds
from unnest($2::text[], $3::boolean[]) with ordinality as m (name, follows, place)
join ledger_heads head on head.tenant_id = $1
left join checkpoints c on m.follows and c.tenant_id = $1 and c.model = m.name
left join lateral (
    select l.pid from pg_locks l
    where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted and l.transactionid = c.xmax
    limit 1
) holder on true
left join pg_stat_activity a on a.pid = holder.pid
order by m.place
