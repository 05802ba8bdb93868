-- Which words of a product each platform can be told, and what is owed of them, word by word.

-- Names of what `offers` holds: title, vendor, category, tags.
alter table connections add column told_words text[] not null default '{}';
alter table rebuild.connections add column told_words text[] not null default '{}';
update connections
set told_words = case platform
                     when 'shopify' then array['title', 'vendor', 'category', 'tags']
                     when 'woocommerce' then array['title', 'category', 'tags']
                     else array['title'] end
where platform in ('shopify', 'woocommerce', 'square', 'clover', 'shopee', 'tiktokshop');

-- By connection: our words as of which what is shown there is in order, the words it is known to show, whether some of ours
-- were taken that are not to be seen yet, and whether we took it off:
-- { "<connection>": { "settled": { title, vendor, category, tags } | null, "shown": … | null, "is_awaited": false,
--                     "taken_off": false } }
-- In rows of the release before `pushed` stands in the place of `settled`, which was none where a shop shows words of its own.

create or replace view offer_targets as
    select c.tenant_id, c.id as connection_id, p.id as product_id, c.brand, c.market, p.archived, c.offers_products,
           c.describes_products, c.takes_off_products, o.taken_off, s.lacks, s.is_listed,
           case when p.archived then c.takes_off_products and s.is_listed
                else (c.offers_products and s.lacks) or (c.describes_products and s.is_listed) end as may_be_told,
           not p.archived and c.offers_products and s.lacks as is_lacking,
           -- Ours are others than those as of which what is shown is in order, and are not shown either.
           not p.archived and c.describes_products and o.is_settled and o.differs and s.is_listed as is_outdated,
           -- Nothing is known of what is shown: mapped by hand, or given up. A shop's words are not rewritten for that.
           not p.archived and c.describes_products and not o.is_settled and s.is_listed as is_untold,
           p.archived and c.takes_off_products and s.is_listed as is_left_over,
           c.rules ? 'conditions' as conditional,
           coalesce(c.rules -> 'conditions' ?| array['priceMin', 'priceMax'], false) as asks_price
    from connections c
    join products p on p.tenant_id = c.tenant_id
    cross join lateral (
        select coalesce((k.known ->> 'taken_off')::boolean, false) as taken_off,
               coalesce(jsonb_typeof(k.settled) = 'object', false) as is_settled,
               exists (
                   select from unnest(c.told_words) as word
                   where w.words -> word is distinct from k.settled -> word
                     -- What is shown while ours are waited for is what was there before them.
                     and (coalesce(k.known ->> 'is_awaited', 'false') = 'true'
                          or w.words -> word is distinct from k.known -> 'shown' -> word)) as differs
        from (
            select known, coalesce(known -> 'settled', known -> 'pushed') as settled
            from (select p.offers -> c.id::text as known) it
        ) k
        cross join (
            -- As they are written in `offers`: without what is not said, the tags in order and each once.
            select jsonb_strip_nulls(jsonb_build_object(
                'title', p.title, 'vendor', p.vendor, 'category', p.category,
                'tags', (select jsonb_agg(distinct tag collate "C") from unnest(p.tags) as tag))) as words
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
