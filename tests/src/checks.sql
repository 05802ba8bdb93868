-- What holds of each row. The product does without, for these are paid for with every commit (migrations 0023 to 0025); here every
-- write of every test is asked.
alter table ledger_heads
    add check (position >= 0),
    add check (length(hash) = 32);
alter table events
    add check (version > 0),
    add check (length(hash) = 32);
alter table outbox
    add check (kind in ('quantity', 'price', 'content')),
    add check ((kind = 'content') = (product_id is not null)),
    add check (status in ('pending', 'leased', 'done', 'dead', 'superseded')),
    -- Who settles goes by the token alone.
    add check ((status = 'leased') = (token is not null)),
    add check ((token is null) = (leased_until is null)),
    add check ((status in ('done', 'dead', 'superseded')) = (finished_at is not null));
