-- Who waits for a tenant's head, and whom for. Whoever waits for a row has, or waits for, the lock of its place in the table;
-- whoever has the row itself is found as what they wait for.
with waiting as (
    select l.pid, pg_blocking_pids(l.pid) as blockers, a.query_start
    from ledger_heads head
    join pg_locks l on l.locktype = 'tuple' and l.relation = 'public.ledger_heads'::regclass
        and l.database = (select oid from pg_database where datname = current_database())
        and l.page = (head.ctid::text::point)[0]::integer and l.tuple = (head.ctid::text::point)[1]::smallint
    left join pg_stat_activity a on a.pid = l.pid
    where head.tenant_id = $1
)
select blocker.pid as blocked_by, a.application_name as application, a.state as activity,
       extract(epoch from clock_timestamp() - a.xact_start)::bigint as held_seconds,
       (select count(distinct pid) from waiting) as transactions,
       (select extract(epoch from clock_timestamp() - min(query_start))::bigint from waiting) as seconds
from (select distinct unnest(blockers) as pid from waiting) blocker
left join pg_stat_activity a on a.pid = blocker.pid
where blocker.pid not in (select pid from waiting)
order by blocker.pid
