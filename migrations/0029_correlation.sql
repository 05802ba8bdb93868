-- The request that first made it owed; none in rows from before there was this.
alter table outbox add column correlation_id text;
