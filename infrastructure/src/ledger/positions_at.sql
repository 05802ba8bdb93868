-- Where history stood at each of some times: looked for by halves, a probe of events_pkey a step, all times at once.
with recursive search (number, time, low, high) as (
    -- Entry `low` is not later than asked for, what comes after `high` is.
    select a.number, a.time, 0::bigint, h.position
    from unnest($2::timestamptz[]) with ordinality as a (time, number)
    join ledger_heads h on h.tenant_id = $1
    union all
    select s.number, s.time,
           case when at.is_by_then then m.position else s.low end,
           case when at.is_by_then then s.high else m.position - 1 end
    from search s
    cross join lateral (select (s.low + s.high + 1) / 2 as position) m
    cross join lateral (
        -- What is not there, in a history that was tampered with, does not end the search.
        select coalesce(e.recorded_at <= s.time, true) as is_by_then
        from (select) one
        left join events e on e.tenant_id = $1 and e.position = m.position
        limit 1 -- so that each is one probe
    ) at
    where s.low < s.high
)
select low from search where low = high order by number
