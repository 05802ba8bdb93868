-- Persons can be forgotten: what history says of a buyer is sealed, and the keys lie beside it, to be destroyed.

-- One row an order whose buyer is known: the key that opens its entry, sealed with the master key. Nothing else does.
create table person_keys (
    tenant_id     uuid not null,
    person        text collate "C" not null, -- as entries call the buyer; empty in the row of the key that makes such names
    order_id      uuid not null,          -- all zeroes in that row
    connection_id uuid not null,
    address       text collate "C",       -- what somebody is called of whom this e-mail address is all that is known
    key_id        text not null,
    nonce         bytea not null,
    sealed        bytea not null,
    created_at    timestamptz not null,
    primary key (tenant_id, person, order_id)
);
create index person_keys_address_idx on person_keys (tenant_id, address) where address is not null;

-- Whom a body tells of, as far as it is understood, whatever came of it. No index: to be forgotten is rare, and then all bodies are
-- looked through.
alter table delivery_bodies add column person text;

grant select, insert, update, delete on person_keys to onhand_app;
