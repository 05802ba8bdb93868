-- State tables: one row says what the entries of one stream add up to. Written in the transaction of
-- those entries, so they are never behind; rebuilt from the ledger like every other read model.

create table connections (
    tenant_id             uuid not null,
    id                    uuid not null,
    platform              text not null,
    name                  text not null,
    brand                 text not null,
    account               text,
    endpoint              text,
    platform_location     text,
    location              text not null,
    market                text not null,
    currency              text not null,
    rules                 jsonb not null,
    -- What the rules and the switch together let out, ready for the join that derives the outbox.
    pushes_quantity       boolean not null,
    pushes_price          boolean not null,
    enabled               boolean not null,
    primary key (tenant_id, id)
);
-- A webhook names its connection only; the tenant follows from it.
create index connections_id_idx on connections (id);

-- Sealed with AES-256-GCM under the key `key_id`; not part of the ledger, so that they can be destroyed.
create table connection_secrets (
    tenant_id     uuid not null,
    connection_id uuid not null,
    name          text not null check (name in ('webhook_secret', 'access_token')),
    key_id        text not null,
    nonce         bytea not null,
    sealed        bytea not null,
    primary key (tenant_id, connection_id, name)
);

create table products (
    tenant_id  uuid not null,
    id         uuid not null,
    title      text not null,
    brand      text,
    vendor     text,
    category   text,
    style_code text,
    tags       text[] not null,
    archived   boolean not null,
    primary key (tenant_id, id)
);
create index products_style_code_idx on products (tenant_id, style_code) where style_code is not null;

create table variants (
    tenant_id  uuid not null,
    id         uuid not null,
    product_id uuid not null,
    sku        text not null,
    attributes jsonb not null,
    prices     jsonb not null,           -- market → { minor, currency }
    primary key (tenant_id, id)
);
create index variants_product_idx on variants (tenant_id, product_id);
create index variants_sku_idx on variants (tenant_id, sku);
-- SKUs by their beginning, whatever the database's collation.
create index variants_sku_c_idx on variants (tenant_id, sku collate "C");

create table listings (
    tenant_id          uuid not null,
    id                 uuid not null,
    connection_id      uuid not null,
    product_id         uuid not null,
    variant_id         uuid not null,
    external_product   text not null,
    external_variant   text not null,
    external_inventory text,
    removed            boolean not null,
    shown_quantity     bigint,           -- what the platform is believed to show
    quantity_as_of     bigint not null,  -- ledger position of the newest quantity it took
    shown_price        jsonb,
    price_as_of        bigint not null,
    primary key (tenant_id, id)
);
-- Which listings a moved variant touches: the join inside every commit.
create index listings_variant_idx on listings (tenant_id, variant_id);
create index listings_inventory_idx on listings (tenant_id, connection_id, external_inventory);
create index listings_product_idx on listings (tenant_id, connection_id, external_product);

create table api_keys (
    tenant_id uuid not null,
    id        uuid not null,
    name      text not null,
    role      text not null check (role in ('viewer', 'editor', 'admin')),
    brand     text,
    sha256    text not null,
    revoked   boolean not null,
    primary key (tenant_id, id)
);
-- A caller shows its key only; the tenant follows from it.
create index api_keys_sha256_idx on api_keys (sha256);
