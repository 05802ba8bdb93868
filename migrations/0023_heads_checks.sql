-- Postgres reads and prepares the conditions of a table anew for each statement that writes rows of it: a fourteenth of what an append took,
-- with those of 0024 and 0025. The place and the hash of each entry are proven by the walk along the chain.
alter table ledger_heads
    drop constraint ledger_heads_position_check,
    drop constraint ledger_heads_hash_check;
