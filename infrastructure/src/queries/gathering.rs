//! Pages that are put together from chunks, where not all that is looked at belongs on them.

use serde::Serialize;

use super::{Page, Window, cursor};

/// Things that are looked at for one page of a list, about; a page may then be short, or empty, and yet not the last.
const LOOKED_AT_MAX: i64 = 4_000;
/// Things that are looked at together.
pub(super) const CHUNK: usize = 200;

/// A page that is put together from chunks, because not all that is looked at belongs on it.
pub(super) struct Gathering<'w, T, K> {
    window: &'w Window,
    rows: Vec<T>,
    looked_at: i64,
    /// The key of what was looked at last.
    last: Option<K>,
    over: bool,
}

impl<'w, T, K: Serialize + Clone> Gathering<'w, T, K> {
    pub(super) fn new(window: &'w Window, after: Option<K>) -> Self {
        Self { window, rows: vec![], looked_at: 0, last: after, over: false }
    }

    /// How many are to be looked at next, after which key; none once the page is complete.
    pub(super) fn next(&self) -> Option<(i64, Option<K>)> {
        let full = self.rows.len() as i64 >= self.window.fetch();
        if full || self.over || self.looked_at >= LOOKED_AT_MAX {
            return None;
        }
        // As a rule everything belongs on the page; where it does not, it is not asked for by ones and twos.
        let wanted = if self.looked_at == 0 { self.window.fetch() } else { CHUNK as i64 };
        Some((wanted, self.last.clone()))
    }

    /// Takes what came of them: the rows, how many of those wanted there were, and the last one's key.
    pub(super) fn take(&mut self, rows: Vec<T>, (wanted, found): (i64, usize), last: Option<K>) {
        self.rows.extend(rows);
        self.looked_at += found as i64;
        self.over = (found as i64) < wanted;
        self.last = last.or(self.last.take());
    }

    pub(super) fn page(self, key: impl Fn(&T) -> K) -> Page<T> {
        let mut page = self.window.page(self.rows, key);
        if page.next_cursor.is_none() && !self.over {
            page.next_cursor = self.last.as_ref().map(cursor);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use onhand_domain::values::TenantId;
    use uuid::Uuid;

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
