-- Offers: products as they stand on connections, and what these are still to be told of them.

-- By connection: our words as they were last taken there, the words it is known to show, and whether we took it off:
-- { "<connection>": { "pushed": { title, vendor, category, tags } | null, "shown": … | null, "taken_off": false } }
alter table products add column offers jsonb not null default '{}';
alter table rebuild.products add column offers jsonb not null default '{}';

-- What the rules, the switch and the platform's skills together let out of whole products, ready for the views below.
alter table connections add column offers_products boolean not null default false,
                        add column describes_products boolean not null default false,
                        add column takes_off_products boolean not null default false;
alter table rebuild.connections add column offers_products boolean not null default false,
                                add column describes_products boolean not null default false,
                                add column takes_off_products boolean not null default false;
update connections
set offers_products = platform not in ('shopee', 'tiktokshop')
                      and coalesce((rules->>'propagateCreates')::boolean, false),
    describes_products = platform <> 'trackstar' and coalesce((rules->>'propagateUpdates')::boolean, false),
    takes_off_products = platform <> 'trackstar' and coalesce((rules->>'propagateDeletes')::boolean, false)
where platform in ('shopify', 'woocommerce', 'square', 'clover', 'shopee', 'tiktokshop', 'trackstar')
  and coalesce((rules->>'realtimeSyncEnabled')::boolean, false);
-- Where products are made: few, and looked at with every price.
create index connections_offering_idx on connections (tenant_id) where enabled and offers_products;

-- A third kind of command, about an offer: its id stands where that of a listing does, and its product beside it.
alter table outbox drop constraint outbox_kind_check;
alter table outbox add column product_id uuid,
                   add constraint outbox_kind_check check (kind in ('quantity', 'price', 'content')),
                   add constraint outbox_product_check check ((kind = 'content') = (product_id is not null));
create index outbox_product_idx on outbox (tenant_id, product_id) where product_id is not null;

-- Products on connections that they belong to. What may be told there by the rules, and what is owed as far as can be told
-- here: prices and conditions are not looked at, and a command that then comes to nothing is settled without a call.
create view offer_targets as
    select c.tenant_id, c.id as connection_id, p.id as product_id, c.brand, c.market, p.archived, c.offers_products,
           c.describes_products, c.takes_off_products, o.taken_off, s.lacks, s.is_listed,
           case when p.archived then c.takes_off_products and s.is_listed
                else (c.offers_products and s.lacks) or (c.describes_products and s.is_listed) end as may_be_told,
           not p.archived and c.offers_products and s.lacks as is_lacking,
           -- Our words were taken there, and are others now.
           not p.archived and c.describes_products and o.is_told and not o.says_so and s.is_listed as is_outdated,
           -- Nobody knows of any words of ours there, and others are seen, or none. A shop's words are not rewritten for that.
           not p.archived and c.describes_products and not o.is_told and not o.says_so and s.is_listed as is_untold,
           p.archived and c.takes_off_products and s.is_listed as is_left_over,
           c.rules ? 'conditions' as conditional,
           coalesce(c.rules -> 'conditions' ?| array['priceMin', 'priceMax'], false) as asks_price
    from connections c
    join products p on p.tenant_id = c.tenant_id
    cross join lateral (
        select coalesce((p.offers -> c.id::text ->> 'taken_off')::boolean, false) as taken_off,
               coalesce(jsonb_typeof(p.offers -> c.id::text -> 'pushed') = 'object', false) as is_told,
               coalesce(w.words = p.offers -> c.id::text -> 'pushed', false)
                   -- What is shown while ours are waited for is what was there before them.
                   or coalesce(not p.offers -> c.id::text ? 'awaited'
                       and w.words - w.kept = (p.offers -> c.id::text -> 'shown') - w.kept, false) as says_so
        from (
            select
                -- As they are written in `offers`: without what is not said, the tags in order and each once.
                jsonb_strip_nulls(jsonb_build_object(
                    'title', p.title, 'vendor', p.vendor, 'category', p.category,
                    'tags', (select jsonb_agg(distinct tag collate "C") from unnest(p.tags) as tag))) as words,
                -- What the platform does not tell or cannot be told, so that it differs for good, and a title not told now.
                case when c.platform in ('square', 'clover', 'shopee', 'tiktokshop') then array['vendor', 'category', 'tags']
                     when c.platform = 'woocommerce' then array['vendor']
                     else '{}'::text[] end
                || case when p.offers -> c.id::text -> 'shown' ->> 'title' = '' then array['title'] else '{}'::text[] end as kept
        ) w
    ) o
    cross join lateral (
        select
            -- A variant was never there, or went with our own taking off. What the platform removed stays away.
            exists (
                select from variants v
                where v.tenant_id = p.tenant_id and v.product_id = p.id and not exists (
                    select from listings l
                    where l.tenant_id = v.tenant_id and l.variant_id = v.id and l.connection_id = c.id
                      and not (l.removed and o.taken_off))
            ) as lacks,
            exists (
                select from variants v
                join listings l on l.tenant_id = v.tenant_id and l.variant_id = v.id
                where v.tenant_id = p.tenant_id and v.product_id = p.id and l.connection_id = c.id and not l.removed
            ) as is_listed
    ) s
    where c.enabled and (p.archived or p.brand is null or p.brand = c.brand);

grant select on offer_targets to onhand_app;
