//! Lists as they were at a position, from the streams themselves: of the same form, narrowed, paged and scoped as the present
//! ones, by what was true then.

pub mod listings;
pub mod moves;
pub mod products;
pub mod reservations;
pub mod stock_levels;

use std::collections::{HashMap, HashSet};

use onhand_domain::{
    State, StreamId,
    values::{ProductId, Sku, TenantId, VariantId},
};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Page, QueryError, Window, cursor};
use crate::ledger::{StateAt, state_at, states_at};

/// Things that are looked at for one page of a list, about; a page may then be short, or empty, and yet not the last.
const LOOKED_AT_MAX: i64 = 4_000;
/// Things that are looked at together.
const CHUNK: usize = 200;

/// A page that is put together from chunks, because not all that is looked at belongs on it.
struct Gathering<'w, T, K> {
    window: &'w Window,
    rows: Vec<T>,
    looked_at: i64,
    /// The key of what was looked at last.
    last: Option<K>,
    over: bool,
}

impl<'w, T, K: Serialize + Clone> Gathering<'w, T, K> {
    fn new(window: &'w Window, after: Option<K>) -> Self {
        Self { window, rows: vec![], looked_at: 0, last: after, over: false }
    }

    /// How many are to be looked at next, after which key; none once the page is complete.
    fn next(&self) -> Option<(i64, Option<K>)> {
        let full = self.rows.len() as i64 >= self.window.fetch();
        if full || self.over || self.looked_at >= LOOKED_AT_MAX {
            return None;
        }
        // As a rule everything belongs on the page; where it does not, it is not asked for by ones and twos.
        let wanted = if self.looked_at == 0 { self.window.fetch() } else { CHUNK as i64 };
        Some((wanted, self.last.clone()))
    }

    /// Takes what came of them: the rows, how many of those wanted there were, and the last one's key.
    fn take(&mut self, rows: Vec<T>, (wanted, found): (i64, usize), last: Option<K>) {
        self.rows.extend(rows);
        self.looked_at += found as i64;
        self.over = (found as i64) < wanted;
        self.last = last.or(self.last.take());
    }

    fn page(self, key: impl Fn(&T) -> K) -> Page<T> {
        let mut page = self.window.page(self.rows, key);
        if page.next_cursor.is_none() && !self.over {
            page.next_cursor = self.last.as_ref().map(cursor);
        }
        page
    }
}

/// A variant as it was.
struct VariantAt {
    product: Uuid,
    sku: String,
    brand: Option<String>,
}

impl VariantAt {
    /// Whether a caller bound to a brand, or to none, could see it then.
    fn visible_to(&self, brand: Option<&str>) -> bool {
        brand.is_none() || brand == self.brand.as_deref()
    }
}

/// Variants as they were; those that were not there yet are left out.
async fn variants_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    variants: HashSet<Uuid>,
) -> Result<HashMap<Uuid, VariantAt>, QueryError> {
    let rows: Vec<(Uuid,)> = sqlx::query_as(
        "select distinct product_id from variants
         where tenant_id = $1 and id = any($2) -- rows never go away, nor to another product",
    )
    .bind(tenant.0)
    .bind(variants.iter().copied().collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let mut found = HashMap::with_capacity(variants.len());
    for chunk in rows.chunks(CHUNK) {
        let products = chunk.iter().map(|(product,)| StreamId::Product(ProductId(*product))).collect();
        for (id, StateAt { state, .. }) in states_at(conn, tenant, position, products).await? {
            let (StreamId::Product(id), State::Product(product)) = (id, state) else { continue };
            let Some(details) = product.details else { continue };
            for (variant, known) in product.variants.into_iter().filter(|(id, _)| variants.contains(&id.0)) {
                let sku = known.details.sku.to_string();
                let at = VariantAt { product: id.0, sku, brand: details.brand.clone() };
                found.insert(variant.0, at);
            }
        }
    }
    Ok(found)
}

/// What a SKU named then.
async fn named_at(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    sku: Sku,
) -> Result<Option<(ProductId, VariantId)>, QueryError> {
    Ok(match state_at(conn, tenant, position, StreamId::Sku(sku)).await?.state {
        State::Sku(claim) => claim.names,
        _ => None,
    })
}

/// The variants a product had then.
async fn variants_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    product: Uuid,
) -> Result<Vec<VariantId>, QueryError> {
    let stream = StreamId::Product(ProductId(product));
    Ok(match state_at(conn, tenant, position, stream).await?.state {
        State::Product(product) => product.variants.into_keys().collect(),
        _ => vec![],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(limit: i64) -> Window {
        Window { tenant: TenantId(Uuid::nil()), brand: None, cursor: None, limit }
    }

    /// Goes through the numbers up to `count`, page by page, keeping those that `keep`. Gives the pages.
    fn pages(count: i64, limit: i64, keep: impl Fn(i64) -> bool) -> Vec<Vec<i64>> {
        let mut window = window(limit);
        let mut pages = vec![];
        loop {
            let after = window.after::<i64>().expect("a cursor of ours");
            let mut page = Gathering::new(&window, after);
            while let Some((wanted, after)) = page.next() {
                let from = after.unwrap_or_default();
                let found: Vec<i64> = (from + 1..=count).take(wanted as usize).collect();
                let rows = found.iter().copied().filter(|number| keep(*number)).collect();
                page.take(rows, (wanted, found.len()), found.last().copied());
            }
            let page = page.page(|number| *number);
            pages.push(page.data);
            match page.next_cursor {
                Some(next) => window.cursor = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_hold_all_that_belongs_on_them_once_and_in_order() {
        for (count, limit, every) in
            [(0, 5, 1), (5, 5, 1), (6, 5, 1), (23, 5, 1), (1_000, 7, 3), (9_999, 50, 40)]
        {
            let pages = pages(count, limit, |number| number % every == 0);
            assert!(pages.iter().all(|page| page.len() as i64 <= limit));
            let expected: Vec<i64> = (1..=count).filter(|number| number % every == 0).collect();
            assert_eq!(pages.concat(), expected, "{count} by {limit}");
        }
    }

    #[test]
    fn a_page_that_looks_in_vain_is_short_and_goes_on() {
        let pages = pages(10_000, 50, |number| number == 9_999);
        assert_eq!(pages.concat(), [9_999]);
        assert!((2..=4).contains(&pages.len()), "{} pages", pages.len());
    }
}
