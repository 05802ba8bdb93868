//! A stand-in for Clover: items, stock and orders as its API shows them, its renewal of tokens, and its webhooks.
//!
//! It is written from Clover's documents and shares no code with the adapter. Each variant is an item of its own, as
//! Clover has no others; the sizes of a product that was seeded come and are deleted together.

use std::{iter::repeat_n, time::Duration};

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::sandbox::{Described, Good, Happened, Order, Parcel, Reply, Request, Shop, Wire};

/// The longest name of an item, in characters. (Unsure.)
const NAME_MAX: usize = 127;
/// Elements of a list when nobody says how many, and the most that one may ask for.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;
/// Parts of a record that are shown with it; of more nobody is told.
const EXPANDED_MAX: usize = 100;

/// Clover's words.
#[derive(Debug)]
pub(in super::super) struct Clover;

impl Wire for Clover {
    fn answer(&self, shop: &mut Shop, request: &Request) -> Reply {
        match (request.method.as_str(), request.steps().as_slice()) {
            ("POST", ["oauth", "v2", "refresh"]) => renewed(shop, &request.json()),
            (method, ["v3", "merchants", merchant, below @ ..]) => {
                let token = request.header("authorization").strip_prefix("Bearer ");
                // A token that is none, and a good one of another merchant, are told in the same way.
                if token != Some(shop.settings.access_token.as_str()) || *merchant != shop.settings.account {
                    return problem(401, "this token is none that is good here");
                }
                merchants(shop, request, method, below)
            }
            _ => problem(404, "Not Found"),
        }
    }

    /// How long to wait is said where too many calls are under way at the same time, and not where too many came within
    /// a second.
    fn throttled(&self, after: Option<Duration>) -> Reply {
        let reply = problem(429, "these are too many calls");
        match after {
            Some(after) => {
                let seconds = after.as_millis().div_ceil(1_000).max(1);
                reply.header("X-RateLimit-tokenConcurrentLimit", &5).header("Retry-After", &seconds)
            }
            None => reply.header("X-RateLimit-tokenLimit", &16),
        }
    }

    /// One post for each who is told: that items or orders are new, changed or gone, and never what they are now. Whether
    /// Clover also speaks of an item whose stock alone has changed is not documented; here it does.
    fn tell(&self, shop: &Shop, happened: &Happened) -> Vec<Parcel> {
        let (sort, kind, ids) = news(shop, *happened);
        if ids.is_empty() {
            return vec![];
        }
        let at = shop.now().timestamp_millis();
        let event = |id: &&str| json!({ "objectId": format!("{sort}:{id}"), "type": kind, "ts": at });
        let events: Vec<_> = ids.iter().map(event).collect();
        let body =
            json!({ "appId": shop.settings.app, "merchants": { shop.settings.account.as_str(): events } });
        let body = body.to_string().into_bytes();
        let topic = format!("{sort}:{kind}");
        let topics = ["*", sort, topic.as_str()];
        let told = shop.subscriptions.iter().filter(|it| topics.contains(&it.topic.as_str()));
        told.map(|it| {
            let code = it.secret.clone().unwrap_or_else(|| shop.settings.webhook_secret.clone());
            let headers = vec![("Content-Type", "application/json".to_owned()), ("X-Clover-Auth", code)];
            Parcel { address: it.address.clone(), headers, body: body.clone() }
        })
        .collect()
    }

    fn handle(&self, good: &Good) -> (String, String, Option<String>) {
        (good.variant.clone(), good.variant.clone(), Some(good.variant.clone()))
    }
}

/// Which sort of thing has become what, and the ids of those that have. An order that is cancelled is deleted.
fn news(shop: &Shop, happened: Happened) -> (&'static str, &'static str, Vec<&str>) {
    match happened {
        Happened::Product(place) => {
            let kind = if shop.goods[place].version == 1 { "CREATE" } else { "UPDATE" };
            ("I", kind, sizes(shop, place, false))
        }
        Happened::Removed(place) if shop.goods[place].hidden => {
            ("I", "UPDATE", vec![shop.goods[place].variant.as_str()])
        }
        Happened::Removed(place) => ("I", "DELETE", sizes(shop, place, true)),
        Happened::Quantity(place) | Happened::Price(place) => {
            ("I", "UPDATE", vec![shop.goods[place].variant.as_str()])
        }
        Happened::Ordered(place) => ("O", "CREATE", vec![shop.orders[place].id.as_str()]),
        Happened::Cancelled(place) => ("O", "DELETE", vec![shop.orders[place].id.as_str()]),
    }
}

fn sizes(shop: &Shop, place: usize, removed: bool) -> Vec<&str> {
    let product = &shop.goods[place].product;
    let of_it = shop.goods.iter().filter(|good| good.product == *product && good.removed == removed);
    of_it.map(|good| good.variant.as_str()).collect()
}

fn merchants(shop: &mut Shop, request: &Request, method: &str, below: &[&str]) -> Reply {
    match (method, below) {
        ("GET", ["items"]) => items(shop, request),
        ("POST", ["items"]) => create(shop, &request.json()),
        ("GET", ["items", id]) => {
            one_item(shop, id, |shop, good| item(shop, good, expands(request, "itemStock")))
        }
        ("POST", ["items", id]) => change(shop, id, &request.json()),
        ("GET", ["item_stocks", id]) => one_item(shop, id, |_, good| stock(good)),
        ("POST", ["item_stocks", id]) => set_quantity(shop, id, &request.json()),
        ("GET", ["orders", id]) => match shop.orders.iter().find(|order| order.id == *id) {
            Some(found) => Reply::ok(order(shop, found, request)),
            None => not_found("there is no such order"),
        },
        (_, ["items" | "orders" | "item_stocks", ..]) => problem(405, "nothing is done like this here"),
        _ => problem(404, "Not Found"),
    }
}

fn problem(status: u16, message: &str) -> Reply {
    Reply::with_status(status, json!({ "message": message }))
}

fn not_found(details: &str) -> Reply {
    Reply::with_status(404, json!({ "message": "Not Found", "details": details }))
}

fn expands(request: &Request, what: &str) -> bool {
    request.query().get("expand").is_some_and(|names| names.split(',').any(|name| name == what))
}

/// The place of an item; what is hidden is there.
fn place(shop: &Shop, id: &str) -> Option<usize> {
    shop.goods.iter().position(|good| good.variant == id && is_there(good))
}

fn is_there(good: &Good) -> bool {
    good.hidden || !good.removed
}

fn one_item(shop: &Shop, id: &str, shown: impl FnOnce(&Shop, &Good) -> Value) -> Reply {
    match place(shop, id) {
        Some(place) => Reply::ok(shown(shop, &shop.goods[place])),
        None => not_found("there is no such item"),
    }
}

/// A page of the items, of all or of those named in a filter; ids that are not there are passed over in silence.
fn items(shop: &Shop, request: &Request) -> Reply {
    let query = request.query();
    let number = |name: &str, otherwise: usize| {
        query.get(name).map_or(Some(otherwise), |text| text.parse::<usize>().ok())
    };
    let (Some(limit), Some(offset)) = (number("limit", PAGE), number("offset", 0)) else {
        return problem(400, "limit and offset are whole numbers");
    };
    let filter = query.get("filter").map(|filter| filtered(filter));
    if matches!(filter, Some(None)) {
        return problem(400, "no filter is written like this");
    }
    let filter = filter.flatten();
    let wanted = |good: &&Good| {
        is_there(good)
            && match &filter {
                None => true,
                Some(Filter::Ids(ids)) => ids.contains(&good.variant.as_str()),
                Some(Filter::Sku(sku)) => good.sku == *sku,
            }
    };
    let page = shop.goods.iter().filter(wanted).skip(offset).take(limit.min(PAGE_MAX));
    let with_stock = expands(request, "itemStock");
    let elements: Vec<_> = page.map(|good| item(shop, good, with_stock)).collect();
    Reply::ok(json!({ "elements": elements, "href": request.path }))
        .header("X-Clover-Allowed-Filter-Fields", "[id, name, sku, modifiedTime, deleted, hidden, price]")
}

/// What a list is about.
enum Filter<'q> {
    Ids(Vec<&'q str>),
    Sku(&'q str),
}

/// `id in ('…','…')`, or `sku=…` with anything behind it; none for any other filter.
fn filtered(filter: &str) -> Option<Filter<'_>> {
    if let Some(sku) = filter.strip_prefix("sku=") {
        return Some(Filter::Sku(sku));
    }
    let list = filter.trim().strip_prefix("id in (")?.strip_suffix(')')?;
    let ids = list.split(',').map(|id| id.trim().strip_prefix('\'')?.strip_suffix('\''));
    Some(Filter::Ids(ids.collect::<Option<Vec<_>>>()?))
}

/// What was sent of an item; of what is not there, nothing was sent.
struct Sent {
    name: Option<String>,
    price: Option<i64>,
    hidden: Option<bool>,
    available: Option<bool>,
}

fn sent(body: &Value) -> Result<Sent, Reply> {
    if !body.is_object() {
        return Err(problem(400, "an item is an object"));
    }
    let name = body.get("name").map(|name| {
        let name = name.as_str().map(str::trim).filter(|name| !name.is_empty());
        name.filter(|name| name.chars().count() <= NAME_MAX).map(str::to_owned)
    });
    let price = body.get("price").map(|price| price.as_i64().filter(|price| *price >= 0));
    let flag = |name: &str| body.get(name).map(Value::as_bool);
    match (name, price, flag("hidden"), flag("available")) {
        (Some(None), ..) => Err(problem(400, "a name has 1 to 127 characters")),
        (_, Some(None), ..) => Err(problem(400, "a price is a whole number of cents, and not below zero")),
        (.., Some(None), _) => Err(problem(400, "an item is hidden, or it is not")),
        (.., Some(None)) => Err(problem(400, "an item is available, or it is not")),
        (name, price, hidden, available) => Ok(Sent {
            name: name.flatten(),
            price: price.flatten(),
            hidden: hidden.flatten(),
            available: available.flatten(),
        }),
    }
}

/// A new item, which takes a name and a price; two may have the same SKU. Nobody has counted it, so that there is no end of
/// it.
fn create(shop: &mut Shop, body: &Value) -> Reply {
    let Sent { name, price, .. } = match sent(body) {
        Ok(sent) => sent,
        Err(refusal) => return refusal,
    };
    let (Some(title), Some(price)) = (name, price) else {
        return problem(400, "an item takes a name and a price");
    };
    let (product, sku) = (shop.number(), body["sku"].as_str().unwrap_or_default().to_owned());
    let described = Described { title, ..Described::default() };
    let places = shop.make(&product, &described, &[(sku, String::new(), price)]);
    let Some(place) = places.first() else { return problem(500, "nothing was made") };
    shop.kept.insert(uncounted(&shop.goods[*place]), json!(true));
    Reply::ok(item(shop, &shop.goods[*place], false))
}

/// A post changes what it names.
fn change(shop: &mut Shop, id: &str, body: &Value) -> Reply {
    let Some(place) = place(shop, id) else { return not_found("there is no such item") };
    let Sent { name, price, hidden, available } = match sent(body) {
        Ok(sent) => sent,
        Err(refusal) => return refusal,
    };
    if let Some(price) = price {
        shop.set_price(place, price);
    }
    if let Some(name) = name {
        rename(shop, place, name);
    }
    match (hidden, shop.goods[place].hidden) {
        (Some(true), false) => {
            // It is hidden alone, and the sizes beside it stay.
            shop.goods[place].product = shop.number();
            let product = shop.goods[place].product.clone();
            shop.goods[place].changed_at = shop.now();
            shop.hide(&product);
        }
        (Some(false), true) => {
            let product = shop.goods[place].product.clone();
            shop.put_back(&product);
        }
        _ => {}
    }
    if let Some(available) = available {
        shop.kept.insert(available_as(&shop.goods[place]), json!(available));
    }
    Reply::ok(item(shop, &shop.goods[place], false))
}

/// From then on the whole name is the title.
fn rename(shop: &mut Shop, place: usize, name: String) {
    let good = &mut shop.goods[place];
    if called(good) == name {
        return;
    }
    good.size.clear();
    let Good { vendor, category, tags, .. } = good.clone();
    // So that it is a change, whichever part of the name was the title.
    good.title.clear();
    shop.describe(&[place], &Described { title: name, vendor, category, tags });
}

/// A quantity replaces the one before. Clover takes less than none, and parts of a unit, which the stand-in has not.
fn set_quantity(shop: &mut Shop, id: &str, body: &Value) -> Reply {
    let Some(place) = place(shop, id) else { return not_found("there is no such item") };
    let Some(quantity) = body.get("quantity").and_then(Value::as_i64) else {
        return problem(400, "a quantity is a number");
    };
    shop.set_quantity(place, quantity);
    shop.kept.remove(&uncounted(&shop.goods[place]));
    Reply::ok(stock(&shop.goods[place]))
}

/// What an item is called.
fn called(good: &Good) -> String {
    if good.size.is_empty() { good.title.clone() } else { format!("{} {}", good.title, good.size) }
}

/// The name under which is kept that nobody has counted an item.
fn uncounted(good: &Good) -> String {
    format!("uncounted: {}", good.variant)
}

/// The name under which is kept whether an item is sold at all, once somebody has said so.
fn available_as(good: &Good) -> String {
    format!("available: {}", good.variant)
}

fn item(shop: &Shop, good: &Good, with_stock: bool) -> Value {
    let mut item = json!({
        "id": good.variant,
        "hidden": good.hidden,
        "available": shop.kept.get(&available_as(good)).unwrap_or(&Value::Bool(true)),
        "name": called(good),
        "sku": good.sku,
        "price": good.price,
        "priceType": "FIXED",
        "defaultTaxRates": true,
        "isRevenue": true,
        "modifiedTime": good.changed_at.timestamp_millis(),
        "deleted": false,
    });
    if with_stock && !shop.kept.contains_key(&uncounted(good)) {
        item["itemStock"] = stock(good);
    }
    item
}

/// The quantity always has a decimal point; the older count beside it never has.
fn stock(good: &Good) -> Value {
    json!({
        "item": { "id": good.variant },
        "stockCount": good.quantity,
        "quantity": good.quantity as f64,
        "modifiedTime": good.changed_at.timestamp_millis(),
    })
}

/// An order, paid in full; each unit is a line of its own.
fn order(shop: &Shop, order: &Order, request: &Request) -> Value {
    let count = |units: i64| usize::try_from(units).unwrap_or_default();
    let units = order.lines.iter().flat_map(|(place, units)| repeat_n(&shop.goods[*place], count(*units)));
    let units: Vec<&Good> = units.collect();
    let total: i64 = units.iter().map(|good| good.price).sum();
    let placed = order.placed_at.timestamp_millis();
    let mut shown = json!({
        "id": order.id,
        "currency": shop.settings.currency,
        "total": total,
        "state": "locked",
        "paymentState": "PAID",
        "payType": "FULL",
        "createdTime": placed,
        "clientCreatedTime": placed,
        "modifiedTime": order.changed_at.timestamp_millis(),
    });
    if order.cancelled {
        shown["deleted"] = json!(true);
    }
    if expands(request, "lineItems") {
        let lines = units.iter().take(EXPANDED_MAX).enumerate().map(|(at, good)| line(order, at, good));
        shown["lineItems"] = json!({ "elements": lines.collect::<Vec<_>>() });
    }
    if expands(request, "payments") {
        let payment = json!({
            "id": format!("{}P", order.id), "order": { "id": order.id }, "amount": total,
            "result": "SUCCESS", "createdTime": placed,
        });
        shown["payments"] = json!({ "elements": [payment] });
    }
    shown
}

fn line(order: &Order, at: usize, good: &Good) -> Value {
    json!({
        "id": format!("{}L{at}", order.id),
        "orderRef": { "id": order.id },
        "item": { "id": good.variant },
        "name": called(good),
        "price": good.price,
        "refunded": false,
        "isRevenue": true,
    })
}

/// A new pair of tokens for a refresh token, which is good for that once; the access token ends soon.
fn renewed(shop: &mut Shop, body: &Value) -> Reply {
    let given = |name: &str| body.get(name).and_then(Value::as_str);
    let known = given("client_id") == Some(shop.settings.app.as_str())
        && given("refresh_token") == Some(shop.settings.refresh_token.as_str());
    if !known {
        return problem(401, "this refresh token is not or no longer good");
    }
    let number = shop.number();
    shop.settings.access_token = format!("token-{number}");
    shop.settings.refresh_token = format!("renewal-{number}");
    let now = shop.now();
    Reply::ok(json!({
        "access_token": shop.settings.access_token,
        "access_token_expiration": (now + TimeDelta::minutes(30)).timestamp(),
        "refresh_token": shop.settings.refresh_token,
        "refresh_token_expiration": (now + TimeDelta::days(365)).timestamp(),
    }))
}
