-- Which version each stream had at the position beside it. Versions and positions of a stream grow together: looked for
-- by halves, a probe of events_tenant_id_stream_version_key a step, all streams at once.
with recursive search (number, stream, asked, low, position, high) as (
    -- Entry `low` is not later than asked for, and stands at `position`; what comes after `high` is later.
    select a.number, a.stream, a.asked,
           case when last.position <= a.asked then last.version else 0 end,
           case when last.position <= a.asked then last.position else 0 end,
           case when last.position <= a.asked then last.version else last.version - 1 end
    from unnest($2::text[], $3::bigint[]) with ordinality as a (stream, asked, number)
    cross join lateral (
        select e.version, e.position from events e
        where e.tenant_id = $1 and e.stream = a.stream
        order by e.version desc limit 1
    ) last
    union all
    select s.number, s.stream, s.asked,
           case when at.is_by_then then m.version else s.low end,
           case when at.is_by_then then coalesce(at.position, s.position) else s.position end,
           case when at.is_by_then then s.high else m.version - 1 end
    from search s
    cross join lateral (select (s.low + s.high + 1) / 2 as version) m
    cross join lateral (
        -- What is not there, in a history that was tampered with, does not end the search.
        select e.position, coalesce(e.position <= s.asked, true) as is_by_then
        from (select) one
        left join events e on e.tenant_id = $1 and e.stream = s.stream and e.version = m.version
        limit 1 -- so that each is a probe, however many streams there are
    ) at
    where s.low < s.high
)
select number, low, position from search where low = high
