-- How far each projection is behind, for the tenant for which it is furthest behind.
select m.model,
       max(h.position - coalesce(c.position, 0)) as entries,
       coalesce(max(extract(epoch from $2 - e.recorded_at)), 0)::double precision as seconds,
       count(*) filter (where c.parked is not null) as parked
from ledger_heads h
cross join unnest($1::text[]) as m (model)
left join checkpoints c on c.tenant_id = h.tenant_id and c.model = m.model
left join events e on e.tenant_id = h.tenant_id and e.position = coalesce(c.position, 0) + 1 -- the first that waits
group by m.model
