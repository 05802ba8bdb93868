-- Time travel: states of long streams as they were again and again on the way, and since when a line of a reservation is there.

-- States of streams, so that a long stream is not read from its beginning, be it for the present or for a look into the
-- past. Disposable. They take the place of `snapshots`, which had one a stream; the previous release still writes those, a
-- later one drops them.
create table stream_snapshots (
    tenant_id uuid not null,
    stream    text collate "C" not null, -- as in events
    version   bigint not null,           -- entries it stands for
    position  bigint not null,           -- true from the newest of them up to here at least
    format    smallint not null,
    state     text not null,             -- JSON; only the program reads it
    primary key (tenant_id, stream, version)
);
-- Written often, read seldom: compressing it costs more than the room it takes.
alter table stream_snapshots alter column state set storage external;

grant select, insert, update, delete on stream_snapshots to onhand_app;

-- Where a line was made first. Rows of the previous release, written while both run, have 0: at any time.
alter table reservations add column since bigint not null default 0;
alter table rebuild.reservations add column since bigint not null default 0;

update reservations r
set since = made.position
from (
    select tenant_id, stream, payload::json->>'reservation' as reservation, min(position) as position
    from events
    where name = 'stock.reserved'
    group by tenant_id, stream, reservation
) made
where r.tenant_id = made.tenant_id and r.reservation_id = made.reservation::uuid
  and 'stock/' || r.variant_id || '/' || r.location = made.stream;
