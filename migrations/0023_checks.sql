-- Postgres reads and prepares the conditions of a table anew for each statement that writes to it: a fourteenth of what an append took.
-- Of history they said less than is proven of each entry by the walk along the chain (its place, its hash) and by the unique key of streams
-- and versions; what they said of commands, and that versions have no gaps, is asked of every ledger the tests leave behind.
alter table events
    drop constraint events_position_check,
    drop constraint events_version_check,
    drop constraint events_hash_check;
alter table ledger_heads
    drop constraint ledger_heads_position_check,
    drop constraint ledger_heads_hash_check;
alter table outbox
    drop constraint outbox_kind_check,
    drop constraint outbox_status_check,
    drop constraint outbox_product_check,
    drop constraint outbox_check,
    drop constraint outbox_check1;
