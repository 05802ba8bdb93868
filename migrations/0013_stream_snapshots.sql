-- Time travel: states of long streams as they were again and again on the way.

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

-- The first ones; those in between are made up for by maintenance.
insert into stream_snapshots (tenant_id, stream, version, position, format, state)
select tenant_id, stream, version, position, format, state from snapshots;
