//! Counts of stock as Square tells them, in answers to changes and when asked for.

use std::collections::BTreeMap;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::{
        outbound::{Api, CallError},
        read,
    },
    PAGES_MAX, call,
    errors::{self, Problem},
};

/// An answer that holds counts.
#[derive(Deserialize)]
pub(super) struct Counts {
    counts: Option<Vec<Count>>,
    /// What went wrong beside them.
    pub(super) errors: Option<Vec<Problem>>,
    cursor: Option<String>,
}

/// What there is of one variation at one location in one state.
#[derive(Deserialize)]
struct Count {
    catalog_object_id: Option<String>,
    location_id: Option<String>,
    state: Option<String>,
    quantity: Option<Value>,
}

impl Counts {
    /// Units for sale at a location, by variation. Parts of a unit cannot be sold here; what is no number is not known.
    pub(super) fn for_sale(&self, location: &str) -> BTreeMap<String, i64> {
        let counts = self.counts.iter().flatten();
        let here = counts.filter(|count| {
            count.state.as_deref() == Some("IN_STOCK") && count.location_id.as_deref() == Some(location)
        });
        let told = |count: &Count| {
            let units = read::floor(count.quantity.as_ref()?)?;
            Some((count.catalog_object_id.clone()?, units))
        };
        here.filter_map(told).collect()
    }
}

/// Units for sale of these variations at a location; what is not counted there is missing.
///
/// `POST /v2/inventory/counts/batch-retrieve`. [src: facts.md 2.2]
pub(super) async fn counts(
    api: &Api,
    location: &str,
    variations: &[&str],
) -> Result<BTreeMap<String, i64>, CallError> {
    let mut known = BTreeMap::new();
    let mut body = json!({
        "catalog_object_ids": variations,
        "location_ids": [location],
        "states": ["IN_STOCK"],
    });
    for _ in 0..PAGES_MAX {
        let call = call(api, Method::POST, "/v2/inventory/counts/batch-retrieve", Some(&body))?;
        let page: Counts = errors::told(&api.read(call).await?)?;
        known.extend(page.for_sale(location));
        let Some(cursor) = read::filled(page.cursor) else { return Ok(known) };
        body["cursor"] = cursor.into();
    }
    Err(CallError::failed("Square's counts have no last page"))
}
