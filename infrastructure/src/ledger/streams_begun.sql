-- Streams by what their names begin with, from one to the next: a probe of events_tenant_id_stream_version_key a stream,
-- however many entries each has.
select w.stream, w.position
from unnest($2::text[]) as p (prefix)
cross join lateral (
    -- No more of them is walked than the limit lets through.
    with recursive walk (stream, position) as (
        (select e.stream, e.position from events e
         -- `0` comes right after `/`, and streams are compared by their bytes.
         where e.tenant_id = $1 and e.stream > $3 and e.stream > p.prefix || '/' and e.stream < p.prefix || '0'
         order by e.stream, e.version limit 1)
        union all
        select n.stream, n.position
        from walk
        cross join lateral (
            select e.stream, e.position from events e
            where e.tenant_id = $1 and e.stream > walk.stream and e.stream < p.prefix || '0'
            order by e.stream, e.version limit 1
        ) n
    )
    select * from walk limit $4
) w
order by w.stream limit $4
