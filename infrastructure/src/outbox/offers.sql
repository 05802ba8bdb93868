-- The offers a batch concerns, and those of them that are described whatever they are believed to be. Their ids are made
-- elsewhere.
select o.connection_id, o.product_id, bool_or(o.forced) as forced, (array_agg(o.cause))[1] as cause
from (
    select t.connection_id, t.product_id, false as forced, t.product_id as cause
    from offer_targets t
    where t.tenant_id = $1 and t.product_id = any($2) and t.is_lacking
    union all
    select t.connection_id, t.product_id, false, t.product_id
    from offer_targets t
    where t.tenant_id = $1 and t.product_id = any($3)
      and (t.is_lacking or t.is_outdated or t.is_left_over
           -- What is being told at the moment may be what was true before, and nobody knows yet that it is there. Looked up by
           -- outbox_product_idx one by one; as `exists` all leases would be read.
           or (
               select o.id from outbox o
               where o.tenant_id = $1 and o.product_id = t.product_id and o.connection_id = t.connection_id
                 and o.status = 'leased'
               limit 1) is not null)
    union all
    -- Somebody has chosen other words, and nothing is known of those that are there: ours are said, all of them.
    select t.connection_id, t.product_id, true, t.product_id
    from offer_targets t
    where t.tenant_id = $1 and t.product_id = any($4) and t.is_untold
    union all
    -- Whether a thing is described at all may hang on its price, its name and the like.
    select t.connection_id, t.product_id, false, t.product_id
    from offer_targets t
    where t.tenant_id = $1 and t.product_id = any($5) and t.conditional and t.is_outdated
    union all
    -- What has left the catalogue, and turns up somewhere after that: made by a call whose answer was lost, or put back.
    select t.connection_id, t.product_id, false, l.id
    from listings l
    join offer_targets t on t.tenant_id = $1 and t.connection_id = l.connection_id and t.product_id = l.product_id
    where l.tenant_id = $1 and l.id = any($6) and t.is_left_over
    union all
    -- A variant that is nowhere to be seen may have waited for its price; not for another one, unless that is asked about. Only
    -- those that have one now are looked for: whether the product lacks others is no matter, and would be looked up for all.
    select t.connection_id, t.product_id, false, t.product_id
    from unnest($7::uuid[], $8::text[], $9::boolean[]) as priced (variant_id, market, is_first)
    join variants v on v.tenant_id = $1 and v.id = priced.variant_id
    join offer_targets t on t.tenant_id = $1 and t.product_id = v.product_id and t.market = priced.market
    where t.offers_products and not t.archived and (priced.is_first or t.asks_price) and not exists (
        select from listings l
        where l.tenant_id = $1 and l.variant_id = v.id and l.connection_id = t.connection_id -- listings_variant_idx
          and not (l.removed and t.taken_off))
) o
group by o.connection_id, o.product_id
