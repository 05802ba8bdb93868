-- Proof that can be kept elsewhere: what is signed about a ledger, the key it is signed with, and the tree it rests on.

-- A tenant's signing key (Ed25519), made when it is first needed and sealed like every other secret.
create table signing_keys (
    tenant_id  uuid primary key,
    public_key bytea not null check (length(public_key) = 32),
    key_id     text not null,             -- the master key it is sealed with
    nonce      bytea not null,
    sealed     bytea not null,
    created_at timestamptz not null
);

-- Signed checkpoints, as they were given out. What they protect against can change these rows too: keep a copy elsewhere.
create table signed_checkpoints (
    tenant_id uuid not null,
    position  bigint not null check (position > 0),
    signed_at timestamptz not null,
    document  text not null,              -- JSON, the very text that was given out
    primary key (tenant_id, position)
);

-- Nodes of the tree over a ledger's entries, each over 256 of the level below; level 0 is the entries. Disposable.
create table merkle_nodes (
    tenant_id uuid not null,
    level     smallint not null check (level between 1 and 3),
    index     bigint not null,
    hash      bytea not null check (length(hash) = 32),
    primary key (tenant_id, level, index),
    check (index >= 0 and index < 9223372036854775807 >> (8 * level)) -- over positions that there can be
);

grant select, insert, update, delete on signing_keys, signed_checkpoints, merkle_nodes to onhand_app;
