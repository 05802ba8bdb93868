-- The last quantity of ours that the platform took was none: what it shows since then is not ours to sell out.
alter table listings add column emptied boolean not null default false;
alter table rebuild.listings add column emptied boolean not null default false;
