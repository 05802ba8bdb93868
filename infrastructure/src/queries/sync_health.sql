-- How pushing to each connection fares. Percentiles and rates are of the newest pushes that ended within a day.
select c.id, c.name, c.platform, c.brand, c.enabled, c.paused, c.alerts,
       coalesce(b.state, 'closed') as breaker, b.retry_at,
       case when b.held_until > $3 then b.held_until end as held_until, b.reason,
       waiting.queued, waiting.oldest_queued_seconds, given_up.dead,
       ended.ended_24h, ended.failed_per_mille_24h, ended.lag_p50_ms, ended.lag_p95_ms, ended.lag_p99_ms,
       budget.calls_today
from connections c
left join breakers b on b.tenant_id = c.tenant_id and b.connection_id = c.id
cross join lateral (
    select count(*) as queued, greatest(extract(epoch from $3 - min(o.created_at))::bigint, 0) as oldest_queued_seconds
    from (
        -- Two index ranges; one condition with both would read the whole table.
        select created_at from outbox
        where tenant_id = c.tenant_id and connection_id = c.id and status = 'pending' -- outbox_pending_idx
        union all
        select created_at from outbox
        where tenant_id = c.tenant_id and connection_id = c.id and status = 'leased' -- outbox_leased_idx
    ) o
) waiting
cross join lateral (
    select count(*) as dead from outbox o
    where o.tenant_id = c.tenant_id and o.connection_id = c.id and o.status = 'dead' -- outbox_dead_idx
) given_up
cross join lateral (
    select count(*) as ended_24h,
           coalesce(1000 * sum(greatest(e.attempts - (e.status = 'done')::integer, 0)) / nullif(sum(e.attempts), 0), 0)::bigint
               as failed_per_mille_24h,
           (percentile_cont(0.5) within group (order by e.took) filter (where e.recent))::bigint as lag_p50_ms,
           (percentile_cont(0.95) within group (order by e.took) filter (where e.recent))::bigint as lag_p95_ms,
           (percentile_cont(0.99) within group (order by e.took) filter (where e.recent))::bigint as lag_p99_ms
    from (
        select o.status, o.attempts, extract(epoch from o.finished_at - o.created_at) * 1000 as took,
               o.status = 'done' and o.finished_at > $3 - interval '15 minutes' as recent
        from outbox o
        where o.tenant_id = c.tenant_id and o.connection_id = c.id and o.status in ('done', 'dead')
          and o.finished_at > $4 -- outbox_ended_idx
        order by o.finished_at desc limit $5
    ) e
) ended
cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_object('within_ms', g.within_ms, 'used', g.used, 'day', g.day)), '[]') as calls_today
    from budgets g
    where g.tenant_id = c.tenant_id and g.connection_id = c.id and g.within_ms >= 86400000
) budget
where c.tenant_id = $1 and ($2::text is null or c.brand = $2) and ($7::uuid is null or c.id = $7)
order by c.id limit $6
