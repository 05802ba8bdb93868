-- Volumes, success and latency per platform in a window of time; the primary key begins with tenant and time.
select t.platform,
       count(*) as requests,
       count(*) filter (where result in ('processed', 'duplicate')) as succeeded,
       count(*) filter (where result in ('failed', 'dead_letter', 'unavailable')) as failed,
       count(*) filter (where result = 'rejected') as rejected,
       count(*) filter (where result = 'limited') as limited,
       (count(*) filter (where result in ('processed', 'duplicate')))::double precision
           / nullif(count(*) filter (where result not in ('rejected', 'limited')), 0) as success_rate,
       sum(body_bytes)::bigint as body_bytes,
       percentile_cont(0.5) within group (order by total_us) filter (where result in ('processed', 'duplicate'))
           / 1000 as p50_ms,
       percentile_cont(0.95) within group (order by total_us) filter (where result in ('processed', 'duplicate'))
           / 1000 as p95_ms,
       percentile_cont(0.99) within group (order by total_us) filter (where result in ('processed', 'duplicate'))
           / 1000 as p99_ms
from webhook_traces t
where t.tenant_id = $1 and t.at >= $3 and t.at < $4
  and ($2::text is null or exists (
      select from connections c where c.tenant_id = $1 and c.id = t.connection_id and c.brand = $2))
group by t.platform
order by t.platform
