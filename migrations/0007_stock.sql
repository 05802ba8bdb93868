-- The rules of shelves, refunds that are owed, and locations. Columns are added to the twins in the same order.

alter table stock_levels
    add column backorder_limit     bigint not null default 0,
    add column low_stock_threshold bigint,
    add column low                 boolean not null default false; -- told to be low, and not recovered since
alter table rebuild.stock_levels
    add column backorder_limit     bigint not null default 0,
    add column low_stock_threshold bigint,
    add column low                 boolean not null default false;

create index stock_levels_low_idx on stock_levels (tenant_id) where low;
create index stock_levels_low_idx on rebuild.stock_levels (tenant_id) where low;

-- Units that were paid for when others had them already; the money has to go back.
alter table reservations add column refund_due bigint not null default 0;
alter table rebuild.reservations add column refund_due bigint not null default 0;

-- A state table, written in the commit: how locations are sold from.
create table locations (
    tenant_id uuid not null,
    code      text not null,
    priority  integer not null,          -- lower comes first
    sells     boolean not null,          -- to reservations that name no location
    primary key (tenant_id, code)
);
create table rebuild.locations (like public.locations including all);
grant select, insert, update, delete on locations, rebuild.locations to onhand_app;
