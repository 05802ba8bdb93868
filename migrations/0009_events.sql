-- Cheaper appends. Every commit pays for each comparison in the index on streams and for each check of a text, so:
-- streams compare as bytes, whatever the database's collation, and payload and metadata are plain texts. They are JSON
-- still, written by the program and covered by the hash as they stand; cast them to look inside.
alter table events
    alter column stream type text collate "C",
    alter column payload type text,
    alter column metadata type text;

comment on column events.payload is 'JSON, the very text the hash covers';
comment on column events.metadata is 'JSON, the very text the hash covers: actor, source, correlation_id, …';

-- Rows that move often find room for their next version on their own page.
alter table stock_levels set (fillfactor = 50);
alter table rebuild.stock_levels set (fillfactor = 50);
alter table checkpoints set (fillfactor = 50);

-- Nothing dies in a table that is only added to: looking through it anew each time it has grown by a fifth is work for
-- nothing while it is small.
alter table events set (autovacuum_vacuum_insert_threshold = 1000000);
