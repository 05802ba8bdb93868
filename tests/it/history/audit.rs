//! The audit log: who did what to what, when, from where, and what it changed.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{Extension, extract::ConnectInfo};
use chrono::{DateTime, TimeDelta, Utc};
use onhand::{App, router};
use onhand_domain::{Event, StreamId, stock::StockEvent, values::Quantity};
use onhand_infrastructure::ledger::{Context, Decision, Submission};
use onhand_tests::{Client, World, shop::Webhook};
use serde_json::{Value, json};

/// A little of everything: two brands, a webhook, settings, prices, and moves of one shelf.
pub(super) async fn busy() -> World {
    let world = World::new().await;
    world.stocked(&[("KITE-1", 50), ("KITE-2", 5)]).await;
    let heron = json!({ "title": "Heron", "brand": "heron", "variants": [{ "sku": "HERON-1" }] });
    world.admin.post("/api/products", heron).await.expect(201);
    restock(&world, "HERON-1", 5).await;
    world.clock.advance(TimeDelta::minutes(1));
    let connection = world.connect(None, json!({})).await;
    let line = json!({ "variant_id": null, "sku": "KITE-1", "quantity": 2, "title": "x" });
    let order = Webhook::new("orders/create", "o-1", &json!({ "id": 9, "line_items": [line] }));
    order.send(&world.admin, &connection).await.expect(200);
    world.reserve(&[("KITE-1", 4)]).await.expect(201);
    world.clock.advance(TimeDelta::minutes(1));
    adjust(&world, "KITE-1", -1).await;
    restock(&world, "KITE-1", 7).await;
    adjust(&world, "KITE-1", -2).await;
    for amount in ["120.00", "119.00"] {
        let price = json!({ "amount": amount, "currency": "USD" });
        world.admin.put("/api/variants/KITE-1/prices/US", price).await.expect(200);
    }
    let off = json!({ "value": false });
    world.admin.put("/api/flags/FEATURE_ORDERS_MOVE_STOCK", off).await.expect(200);
    world
}

async fn restock(world: &World, sku: &str, quantity: i64) {
    let body = json!({ "sku": sku, "quantity": quantity });
    world.admin.post("/api/stock/restock", body).await.expect(200);
}

pub(super) async fn adjust(world: &World, sku: &str, delta: i64) {
    let body = json!({ "sku": sku, "delta": delta, "reason": "counted again" });
    world.admin.post("/api/stock/adjust", body).await.expect(200);
}

/// Every row of the log that fits, page by page. What it is narrowed to begins with `&`.
pub(super) async fn log(client: &Client, narrowed: &str, limit: usize) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/api/audit?limit={limit}{narrowed}{cursor}")).await.expect(200);
        let rows = page["data"].as_array().expect("a page has rows").clone();
        assert!(rows.len() <= limit, "{narrowed}");
        seen.extend(rows);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

/// The stream of a shelf.
pub(crate) async fn shelf(world: &World, sku: &str) -> StreamId {
    let found = world.admin.get(&format!("/api/products?sku={sku}")).await.expect(200);
    let variants = found["data"][0]["variants"].as_array().expect("variants");
    let variant = variants.iter().find(|variant| variant["sku"] == sku).expect("it is there");
    format!("stock/{}/main", variant["id"].as_str().expect("an id")).parse().expect("a shelf")
}

/// Has a shelf restocked a unit at a time, so many times, in one commit.
pub(super) async fn flood(world: &World, sku: &str, times: usize) {
    let quantity = Quantity::new(1).expect("in range");
    let unit = StockEvent::Restocked { quantity, reference: None, occurred_at: None, origin: None };
    repeat(world, sku, unit, times).await;
}

/// Has a shelf adjusted so many times, in one commit, for a reason of a million letters each.
pub(super) async fn burden(world: &World, sku: &str, times: usize) {
    let reason = "x".repeat(1_000_000);
    let heavy = StockEvent::Adjusted { delta: 1, reason, reference: None, occurred_at: None };
    repeat(world, sku, heavy, times).await;
}

async fn repeat(world: &World, sku: &str, event: StockEvent, times: usize) {
    let shelf = shelf(world, sku).await;
    let entry = (shelf.clone(), Event::from(event));
    let submission = Submission {
        context: Context::internal(world.tenant, "test"),
        idempotency: None,
        reads: vec![shelf],
        fresh: vec![],
        decide: Arc::new(move |_, _| {
            Ok(Decision { changes: vec![entry.clone(); times], ..Decision::default() })
        }),
    };
    world.onhand.ledger().submit(submission).await.expect("they are appended");
}

fn text<'r>(row: &'r Value, name: &str) -> &'r str {
    row[name].as_str().unwrap_or_default()
}

fn kind(row: &Value) -> &str {
    text(row, "stream").split('/').next().unwrap_or_default()
}

fn time(row: &Value) -> DateTime<Utc> {
    text(row, "recorded_at").parse().expect("a time")
}

fn position(row: &Value) -> i64 {
    row["position"].as_i64().expect("a position")
}

/// The old and the new value at a path, if an entry has changed it.
fn change(row: &Value, path: &str) -> Option<(Value, Value)> {
    let changes = row["changes"].as_array().expect("a list");
    let found = changes.iter().find(|change| change["path"] == path);
    found.map(|change| (change["before"].clone(), change["after"].clone()))
}

/// Expects a filter to find what fits, all of it and nothing else, in the order of the whole log.
async fn finds(world: &World, everything: &[Value], narrowed: &str, fits: impl Fn(&Value) -> bool) {
    let fitting: Vec<&Value> = everything.iter().filter(|row| fits(row)).collect();
    assert!(!fitting.is_empty() && fitting.len() < everything.len(), "{narrowed} tells something apart");
    for limit in [2, 200] {
        let found = log(&world.admin, narrowed, limit).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), fitting, "{narrowed}");
    }
}

#[tokio::test]
async fn each_filter_finds_what_it_names_and_nothing_else() {
    let world = busy().await;
    let everything = log(&world.admin, "", 200).await;
    assert_eq!(everything.len(), world.history().await.len());
    let (world, all) = (&world, everything.as_slice());

    let sold = everything.iter().find(|row| text(row, "source") == "webhook/shopify").expect("an order");
    for name in ["action", "actor", "source", "stream", "correlation_id"] {
        let wanted = text(sold, name);
        finds(world, all, &format!("&{name}={wanted}"), |row| text(row, name) == wanted).await;
    }
    finds(world, all, "&source=webhook", |row| text(row, "source").starts_with("webhook/")).await;
    finds(world, all, "&entity=stock", |row| kind(row) == "stock").await;
    finds(world, all, "&entity=key", |row| kind(row) == "key").await;
    let settings = |row: &Value| ["connection", "flag", "key"].contains(&kind(row));
    finds(world, all, "&administrative=true", settings).await;
    finds(world, all, "&administrative=false", |row| !settings(row)).await;
    finds(world, all, "&administrative=true&entity=flag", |row| kind(row) == "flag").await;

    let middle = &everything[everything.len() / 2];
    let (at, when) = (position(middle), time(middle));
    finds(world, all, &format!("&since={at}"), |row| position(row) >= at).await;
    finds(world, all, &format!("&until={at}"), |row| position(row) <= at).await;
    finds(world, all, &format!("&since={}&until={at}", at - 3), |row| (at - 3..=at).contains(&position(row)))
        .await;
    finds(world, all, &format!("&since={}", text(middle, "recorded_at")), |row| time(row) >= when).await;
    finds(world, all, &format!("&until={}", text(middle, "recorded_at")), |row| time(row) <= when).await;
    assert_eq!(log(&world.admin, "&since=2999-01-01T00:00:00Z", 200).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_sku_leads_to_its_shelves_its_product_and_its_claim() {
    let world = busy().await;
    let everything = log(&world.admin, "", 200).await;
    let found = world.admin.get("/api/products?sku=KITE-1").await.expect(200);
    let product = format!("product/{}", found["data"][0]["id"].as_str().expect("an id"));
    let variants = found["data"][0]["variants"].as_array().expect("variants");
    let variant = variants.iter().find(|variant| variant["sku"] == "KITE-1").expect("it is there");
    let shelves = format!("stock/{}/", variant["id"].as_str().expect("an id"));
    let of_it = |row: &Value| {
        let stream = text(row, "stream");
        stream == "sku/KITE-1" || stream == product || stream.starts_with(&shelves)
    };
    finds(&world, &everything, "&sku=KITE-1", of_it).await;
    let adjusted = |row: &Value| of_it(row) && row["action"] == "stock.adjusted";
    finds(&world, &everything, "&sku=KITE-1&action=stock.adjusted", adjusted).await;
    assert_eq!(log(&world.admin, "&sku=NOBODYS", 200).await, Vec::<Value>::new());
}

#[tokio::test]
async fn old_and_new_values_stand_beside_each_entry_and_agree_from_page_to_page() {
    let world = busy().await;
    let bare = log(&world.admin, "", 200).await;
    assert!(bare.iter().all(|row| row.get("changes").is_none()));
    let whole = log(&world.admin, "&changes=true", 200).await;
    assert_eq!(whole.len(), bare.len());
    for limit in [1, 3] {
        assert_eq!(log(&world.admin, "&changes=true", limit).await, whole);
    }

    // What one entry leaves on a shelf is what the next one finds.
    let mut left: HashMap<(&str, &str), &Value> = HashMap::new();
    for row in whole.iter().rev() {
        for change in row["changes"].as_array().expect("a list") {
            let (path, before, after) = (text(change, "path"), &change["before"], &change["after"]);
            assert_ne!(before, after, "{row}");
            if ["/on_hand", "/reserved", "/available"].contains(&path)
                && let Some(known) = left.insert((text(row, "stream"), path), after)
            {
                assert_eq!(known, before, "{row}");
            }
        }
    }

    // Others came between these, which the filter leaves out.
    let adjusted = log(&world.admin, "&sku=KITE-1&action=stock.adjusted&changes=true", 1).await;
    let on_hand: Vec<_> = adjusted.iter().map(|row| change(row, "/on_hand")).collect();
    assert_eq!(on_hand, [Some((json!(56), json!(54))), Some((json!(50), json!(49)))]);
    let priced = log(&world.admin, "&action=product.priced&changes=true", 200).await;
    let variant = text(&priced[0]["data"], "variant");
    let minor = change(&priced[0], &format!("/variants/{variant}/prices/US/minor"));
    assert_eq!(minor, Some((json!(12_000), json!(11_900))));
    let first = change(&priced[1], &format!("/variants/{variant}/prices/US")).expect("it had no price");
    assert_eq!((&first.0, &first.1["minor"]), (&Value::Null, &json!(12_000)));
}

#[tokio::test]
async fn a_long_history_is_looked_through_a_stretch_at_a_time() {
    let world = World::new().await;
    world.stocked(&[("A", 1), ("B", 1)]).await;
    adjust(&world, "A", -1).await;
    flood(&world, "A", 21_000).await;
    adjust(&world, "A", -1).await;
    // Of the newer half of history A is next to nothing, of the older one almost all.
    flood(&world, "B", 22_000).await;

    let nothing = world.admin.get("/api/audit?action=stock.evaporated").await.expect(200);
    assert_eq!(nothing["data"], json!([]));
    assert!(nothing["next_cursor"].is_string(), "it is not all that there is");
    assert_eq!(log(&world.admin, "&action=stock.adjusted", 50).await.len(), 2);
    assert_eq!(log(&world.admin, "&action=stock.adjusted&sku=A", 50).await.len(), 2);

    let all = world.admin.get(&format!("/api/audit/export?stream={}", shelf(&world, "A").await)).await;
    let versions =
        all.text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["version"].as_i64());
    assert!(versions.eq((1..=21_003).map(Some)), "each once, and in order");

    // What lies between two rows is too much to look through for one page.
    let (mut rows, mut cursor) = (vec![], String::new());
    loop {
        let page =
            world.admin.get(&format!("/api/audit?action=stock.adjusted&sku=A{cursor}")).await.expect(200);
        rows.push(page["data"].as_array().map(Vec::len));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(rows.len() > 1 && rows.iter().all(|rows| *rows <= Some(1)), "{rows:?}");
    let both = log(&world.admin, "&action=stock.adjusted&sku=A&changes=true", 50).await;
    let on_hand: Vec<_> = both.iter().map(|row| change(row, "/on_hand")).collect();
    assert_eq!(on_hand, [Some((json!(21_000), json!(20_999))), Some((json!(1), json!(0)))]);
}

#[tokio::test]
async fn a_page_ends_before_it_weighs_too_much() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    burden(&world, "A", 9).await;
    for narrowed in ["&action=stock.adjusted", "&action=stock.adjusted&sku=A"] {
        let page = world.admin.get(&format!("/api/audit?limit=200{narrowed}")).await.expect(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(4), "{narrowed}");
        let positions: Vec<_> = log(&world.admin, narrowed, 200).await.iter().map(position).collect();
        assert_eq!(positions.len(), 9, "{narrowed}");
        assert!(positions.is_sorted_by(|a, b| a > b), "{narrowed}: {positions:?}");
    }
}

#[tokio::test]
async fn an_entry_tells_from_which_address_it_was_asked_for() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let at = |address: &str| {
        let peer = SocketAddr::new(address.parse().expect("an address"), 40_000);
        let app = router(App::new(world.onhand.clone(), None, None)).layer(Extension(ConnectInfo(peer)));
        Client::new(app, Some(world.key.clone()))
    };
    let body = json!({ "sku": "A", "quantity": 1 });
    for address in ["203.0.113.7", "127.0.0.1", "::ffff:203.0.113.9"] {
        at(address).post("/api/stock/restock", body.clone()).await.expect(200);
    }
    for address in ["203.0.113.7", "127.0.0.1", "203.0.113.9"] {
        let found = log(&world.admin, &format!("&address={address}"), 50).await;
        assert_eq!(found.len(), 1, "{address}");
        assert_eq!(found[0]["address"], address);
    }
    let unknown = log(&world.admin, "&entity=product", 50).await;
    assert_eq!(unknown[0]["address"], Value::Null, "nobody has seen where that came from");
}

#[tokio::test]
async fn a_key_of_one_brand_finds_nothing_of_another_brand_by_any_filter() {
    let world = busy().await;
    let connection = log(&world.admin, "&entity=connection", 50).await[0]["stream"].clone();
    let id = connection.as_str().and_then(|stream| stream.strip_prefix("connection/")).expect("an id");
    world.admin.post(&format!("/api/connections/{id}/test"), json!({})).await.expect(200);
    let heron = world.client("viewer", Some("heron")).await;
    let kite = world.client("viewer", Some("kite")).await;
    for narrowed in ["", "&changes=true", "&entity=stock", "&administrative=true", "&since=1"] {
        let seen = json!(log(&heron, narrowed, 200).await).to_string();
        assert!(!seen.contains("KITE") && !seen.contains(id), "{narrowed}: {seen}");
    }
    assert!(json!(log(&heron, "", 200).await).to_string().contains("HERON"));
    let stream = format!("&stream={}", connection.as_str().expect("a stream"));
    for foreign in ["&sku=KITE-1", &stream] {
        assert_eq!(log(&heron, foreign, 200).await, Vec::<Value>::new(), "{foreign}");
        assert_ne!(log(&kite, foreign, 200).await, Vec::<Value>::new(), "{foreign}");
    }
    let own = log(&kite, "&entity=administration", 200).await;
    assert_eq!(own[0]["action"], "administration.connection_tested", "it is about its own connection");
}

#[tokio::test]
async fn what_is_done_to_accounts_is_on_record() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    world.admin.post(&format!("/api/connections/{connection}/test"), json!({})).await.expect(200);
    let wanted = json!({ "connection": connection, "preview": true });
    let begun = world.admin.post("/api/reconciliations", wanted.clone()).await.expect(202);
    // What does not begin is not on record as begun.
    let refused = world.admin.post("/api/reconciliations", wanted).await;
    assert_eq!(refused.problem(409), "reconciliation.running");
    let noted = log(&world.admin, "&entity=administration", 50).await;
    let noted: Vec<_> = noted.iter().map(|row| (text(row, "action"), row["data"].clone())).collect();
    let expected = [
        (
            "administration.reconciliation_begun",
            json!({ "connection": connection, "reconciliation": begun["id"], "preview": true }),
        ),
        ("administration.connection_tested", json!({ "connection": connection, "status": "fail" })),
    ];
    assert_eq!(noted, expected);
    world.expect_intact().await;
}

#[tokio::test]
async fn a_reconciliation_that_cannot_be_put_on_record_does_not_begin() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let mut owner = world.database.owner().await;
    let nothing_is_taken = sqlx::raw_sql("revoke insert on events from onhand_app");
    nothing_is_taken.execute(&mut owner).await.expect("a right is taken away");
    let wanted = json!({ "connection": connection, "preview": false });
    world.admin.post("/api/reconciliations", wanted.clone()).await.expect(500);
    let runs = world.admin.get("/api/reconciliations").await.expect(200);
    assert_eq!(runs["data"], json!([]));
    sqlx::raw_sql("grant insert on events to onhand_app")
        .execute(&mut owner)
        .await
        .expect("it is given back");
    world.admin.post("/api/reconciliations", wanted).await.expect(202);
}

#[tokio::test]
async fn a_filter_that_makes_no_sense_is_refused() {
    let world = World::new().await;
    let endless = format!("actor={}", "x".repeat(1_001));
    for narrowed in ["since=yesterday", "until=-1", "entity=Stock%2F1", "stream=%00", "sku=%20", &endless] {
        for path in ["/api/audit", "/api/audit/export"] {
            let refused = world.admin.get(&format!("{path}?{narrowed}")).await;
            assert_eq!(refused.problem(400), "filter.invalid", "{path}?{narrowed}");
        }
    }
    assert_eq!(world.admin.get("/api/audit?administrative=perhaps").await.problem(400), "query.invalid");
    assert_eq!(world.history().await.len(), 1, "and nothing was exported");
}
