//! A stand-in for Trackstar: a cart's products, the same goods as a warehouse has them, and webhooks as Svix sends
//! them.
//!
//! An access token opens one cart or one warehouse. Here it opens both, so that both ways of adjusting can be
//! tried; what is told to those who listen to everything, and the ids that goods are known by, are the cart's. Only goods
//! that were made through the API are a warehouse's alone: their product and their variant have one number.

mod adjust;
mod making;
mod records;
mod webhooks;

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::super::sandbox::{Good, Happened, Parcel, Reply, Request, Shop, Wire};
use records::Shelf;

/// The most values in one filter.
const FILTERED_MAX: usize = 100;
/// The most records on one page, which is also what there are if nobody says.
const PAGE_MAX: usize = 1_000;

/// The stand-in's words.
#[derive(Debug)]
pub(in super::super) struct Trackstar;

impl Wire for Trackstar {
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply {
        if request.header("x-trackstar-api-key") != shop.settings.app_secret {
            return refused(401, "Nobody has this API key");
        }
        if request.header("x-trackstar-access-token") != shop.settings.access_token {
            return refused(401, "No connection has this access token");
        }
        let steps = request.steps();
        let get = request.method == Method::GET;
        match steps.as_slice() {
            [api, resource] if get => match Shelf::of(api, resource) {
                Some(shelf) => page(shop, shelf, request),
                None => nothing(),
            },
            [api, resource, id] if get => match Shelf::of(api, resource).and_then(|it| it.record(shop, id)) {
                Some(record) => Reply::ok(json!({ "data": record })),
                None => nothing(),
            },
            ["wms", "products"] if request.method == Method::POST => making::answer(shop, request),
            ["cart", "products", id, "adjust-inventory"] if request.method == Method::PUT => {
                adjust::answer(shop, request, Shelf::Cart, id)
            }
            ["wms", "inventory", id, "adjust"] if request.method == Method::PUT => {
                adjust::answer(shop, request, Shelf::Inventory, id)
            }
            _ => nothing(),
        }
    }

    fn throttled(&self, after: Option<Duration>) -> Reply {
        let reply = refused(429, "More came at once than is let in")
            .header("x-ratelimit-limit", &10)
            .header("x-ratelimit-remaining", &0);
        match after {
            Some(after) => {
                reply.header("retry-after", &(after.as_secs() + u64::from(after.subsec_nanos() > 0)))
            }
            None => reply,
        }
    }

    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel> {
        webhooks::tell(shop, *happened)
    }

    fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        if is_item(good) {
            let (product, item) = (format!("prod_{}", good.variant), format!("inv_{}", good.variant));
            return (product.clone(), product, Some(item));
        }
        (good.product.clone(), good.variant.clone(), Some(good.variant.clone()))
    }
}

/// Whether it is in a warehouse and in no cart.
fn is_item(good: &Good) -> bool {
    good.product == good.variant
}

/// What records are filtered by, and how many of them are shown.
const ASKED: [&str; 4] = ["ids[in]", "limit", "sku", "sku[in]"];

/// A list: of all records, or of those that are named by their ids, which is all that counts then, or by their SKUs. A filter
/// that is not known is refused.
fn page(shop: &Shop, shelf: Shelf, request: &Request) -> Reply {
    let query = request.query();
    if let Some(name) = query.keys().find(|name| !ASKED.contains(&name.as_str())) {
        return refused(422, &format!("query: {name}: nothing is filtered by this"));
    }
    let limit = query.get("limit").map_or(Some(PAGE_MAX), |limit| limit.parse().ok());
    let Some(limit) = limit.filter(|limit| (1..=PAGE_MAX).contains(limit)) else {
        return refused(422, "query: limit: a page has 1 to 1000 records");
    };
    let listed = |name: &str| query.get(name).map(|values| values.split(',').collect::<Vec<_>>());
    let (ids, skus) = (listed("ids[in]"), listed("sku[in]"));
    if [&ids, &skus].into_iter().flatten().any(|values| values.len() > FILTERED_MAX) {
        return refused(422, "query: a filter takes 100 values");
    }
    let skus = query.get("sku").map(|sku| vec![sku.as_str()]).or(skus);
    let of_skus = |record: &Value| {
        skus.as_ref().is_none_or(|skus| record["sku"].as_str().is_some_and(|sku| skus.contains(&sku)))
    };
    let records: Vec<Value> = match ids {
        None => shelf.all(shop).into_iter().filter(of_skus).collect(),
        Some(ids) => ids.into_iter().filter_map(|id| shelf.record(shop, id)).collect(),
    };
    let (count, records) = (records.len(), records.into_iter().take(limit).collect::<Vec<_>>());
    Reply::ok(json!({ "data": records, "next_token": null, "total_count": count }))
}

/// There is nothing at an address, or no record of an id.
fn nothing() -> Reply {
    refused(404, "Nothing is here")
}

/// A refusal of Trackstar's own.
fn refused(status: u16, error: &str) -> Reply {
    Reply::with_status(status, json!({ "error": error, "origin": "trackstar" }))
}

/// A refusal of the system behind it.
fn refused_behind(status: u16, error: &str) -> Reply {
    Reply::with_status(status, json!({ "error": error, "origin": "integration" }))
}
