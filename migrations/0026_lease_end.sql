-- Every lease paid for its place in it, and it was looked into once a second: `outbox_leased_idx` holds no more than what relays
-- have in hand.
drop index outbox_lease_end_idx;
