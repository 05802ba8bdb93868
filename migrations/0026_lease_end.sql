-- Every lease paid for its place in it. Leases that ran out are looked for once a second, and `outbox_leased_idx` holds no more than
-- what relays have in hand.
drop index outbox_lease_end_idx;
