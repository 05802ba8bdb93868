//! Chapters 4 to 7: products come in, stock arrives, prices move, customers buy.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, ensure};
use onhand_infrastructure::platforms::kicksdb::sign;
use serde_json::json;
use uuid::Uuid;

use super::{
    goods,
    print::{Cell, Table, number},
    shelves::{Shelf, available, comparison, shelves, shown},
    stage::{Shop, Stage},
};

/// Chapter 4: each shop tells of its products in signed webhooks.
pub(super) async fn products(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    screen.chapter(
        4,
        "The shops show their products",
        "Signed webhooks; the same SKU in both shops becomes one variant with two listings.",
    );
    let begun = Instant::now();
    for (index, shop) in stage.shops.iter().enumerate() {
        goods::window(index == 1).for_each(|product| drop(shop.sandbox.seed(product)));
    }
    stage.calm().await?;
    let took = begun.elapsed();
    let head = stage.head().await?.position;
    let deliveries = stage.rest.list(&format!("/api/deliveries?min_position={head}")).await?;
    let mut counts: BTreeMap<[String; 2], usize> = BTreeMap::new();
    for delivery in &deliveries {
        let text = |name: &str| delivery[name].as_str().unwrap_or("failed").to_owned();
        *counts.entry([text("topic"), text("outcome")]).or_default() += 1;
    }
    let came = number(deliveries.len());
    screen.step(format_args!("{came} webhooks came in and were answered; all is quiet again"), took);
    let mut table = Table::new(&["topic", "outcome", ">webhooks", "meaning"]);
    for ([topic, outcome], count) in &counts {
        let meaning = match outcome.as_str() {
            "applied" => "something new, now in the ledger",
            "echo" => "what we told the shop, told back: recognised, goes no further",
            "unchanged" => "told back what the ledger says already",
            _ => "",
        };
        table.row([Cell::from(topic), Cell::from(outcome), Cell::from(count), Cell::from(meaning)]);
    }
    screen.table(&table);
    let shelves = shelves(stage).await?;
    let few = ["VD1090-9", "VH2204-9", "KE4407-8", "KE4407-10"];
    screen.table(&comparison(stage, shelves.iter().filter(|shelf| few.contains(&shelf.sku.as_str()))));
    let listings: usize = shelves.iter().map(|shelf| shelf.shown.iter().flatten().count()).sum();
    screen.check(
        shelves.iter().all(Shelf::agrees),
        format_args!(
            "{} variants, {listings} listings; where the shops' prices differed, the first one seen counts in both",
            shelves.len()
        ),
    );
    Ok(())
}

/// Chapter 5: units arrive, and both shops show them.
pub(super) async fn restock(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    screen.chapter(
        5,
        "A delivery arrives",
        "POST /api/stock/restock per SKU, each with an Idempotency-Key, so that asking twice counts once.",
    );
    let calls = || stage.shops.iter().map(quantity_calls).sum::<u64>();
    let before = calls();
    let begun = Instant::now();
    let arrived: BTreeMap<String, i64> = goods::arrival().collect();
    let restock =
        |sku: &str, quantity: i64| json!({ "sku": sku, "quantity": quantity, "reference": "PO-1001" });
    for (sku, quantity) in &arrived {
        let key = format!("PO-1001/{sku}");
        let answer = stage.rest.post_once("/api/stock/restock", &key, &restock(sku, *quantity)).await?;
        ensure!(answer.status == 200, "restocking {sku}: {} {}", answer.status, answer.body["detail"]);
    }
    let units = number(arrived.values().sum::<i64>());
    screen.step(format_args!("{} requests, {units} units on the shelves", arrived.len()), begun.elapsed());
    let all = |shop: &Shop| shown(shop).iter().all(|(sku, shown)| arrived.get(sku) == Some(&shown.available));
    stage.until("all of it", Instant::now(), all).await?;
    stage.calm().await?;
    let spent = calls() - before;
    let again =
        stage.rest.post_once("/api/stock/restock", "PO-1001/VD1090-9", &restock("VD1090-9", 20)).await?;
    let shelves = shelves(stage).await?;
    screen.table(&comparison(stage, shelves.iter().filter(|shelf| shelf.sku.starts_with("VD1090"))));
    screen.check(
        shelves.iter().all(Shelf::agrees),
        format_args!("all listings in both shops show what the ledger says, after {spent} API calls"),
    );
    screen.check(
        again.replayed && available(&shelves) == arrived,
        "one request was sent twice: same answer, no unit more",
    );
    Ok(())
}

fn quantity_calls(shop: &Shop) -> u64 {
    shop.sandbox.calls().graphql.get("inventorySetQuantities").copied().unwrap_or_default()
}

/// Chapter 6: the market moves a price, and only a price.
pub(super) async fn prices(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    screen.chapter(
        6,
        "The market moves a price",
        "A signed KicksDB monitor: prices follow, stock never does; no feed may write it.",
    );
    let stock_before = available(&shelves(stage).await?);
    let moved: BTreeMap<String, &str> =
        [("8", "104.00"), ("8.5", "101.50"), ("9", "112.00"), ("9.5", "109.00"), ("10", "118.50")]
            .map(|(size, price)| (format!("{}-{size}", goods::MOVING), price))
            .into();
    let body = monitor(&moved);
    let (path, event) = ("/api/kicks/monitor", Uuid::new_v4().to_string());
    let headers = |signed: &[u8]| {
        [
            ("content-type", "application/json".to_owned()),
            ("x-kicksdb-signature", sign(&stage.feed_secret, signed)),
            ("x-kicksdb-event-id", event.clone()),
            ("x-kicksdb-timestamp", chrono::Utc::now().timestamp().to_string()),
        ]
    };
    let forged = String::from_utf8_lossy(&body).replace("112.00", "1.00");
    let refused = stage.rest.deliver(path, &headers(&body), forged.as_bytes()).await?;
    let begun = Instant::now();
    let first = stage.rest.deliver(path, &headers(&body), &body).await?;
    let status = first.body["status"].as_str().unwrap_or("refused");
    screen.step(format_args!("five new prices sent; the answer is “{status}”"), begun.elapsed());
    let all = |shop: &Shop| {
        let shown = shown(shop);
        moved.iter().all(|(sku, price)| shown.get(sku).is_none_or(|shown| shown.price == **price))
    };
    stage.until("the new prices", begun, all).await?;
    let again = stage.rest.deliver(path, &headers(&body), &body).await?;
    stage.calm().await?;
    let shelves = shelves(stage).await?;
    screen.table(&comparison(stage, shelves.iter().filter(|shelf| shelf.sku.starts_with(goods::MOVING))));
    screen.check(available(&shelves) == stock_before, "stock was not touched");
    screen.check(
        refused.status == 401,
        format_args!("a forged copy (size 9 for 1.00) was answered {}", refused.status),
    );
    screen.check(again.body["status"] == "duplicate", "the same one again was recognised as a duplicate");
    Ok(())
}

/// A monitor's body, with its prices as JSON numbers, as they are sent.
fn monitor(prices: &BTreeMap<String, &str>) -> Vec<u8> {
    let variants = prices.iter().map(|(sku, price)| {
        let size = sku.rsplit('-').next().unwrap_or_default();
        format!(r#"{{"size":"{size}","price":{price}}}"#)
    });
    let variants: Vec<String> = variants.collect();
    let product = format!(r#"{{"sku":"{}","variants":[{}]}}"#, goods::MOVING, variants.join(","));
    format!(r#"{{"data":{{"currency":"USD","market":"US","product":{product}}}}}"#).into_bytes()
}

/// Chapter 7: customers buy in both shops, and one thinks better of it.
pub(super) async fn orders(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    screen.chapter(
        7,
        "Customers buy in both shops",
        "An order in one shop takes its units from the other one's window, too.",
    );
    let [one, two] = &stage.shops;
    let mut expected = available(&shelves(stage).await?);
    let baskets: [(_, &[(&str, i64)]); 4] = [
        (one, &[("VD1090-9", 2), ("KC3310-8", 1)]),
        (two, &[("VD1090-9", 1)]),
        (two, &[("KE4407-8", 3), ("VH2204-10", 1)]),
        (one, &[("VH2204-10", 2)]),
    ];
    let mut table = Table::new(&["shop", "basket", "then"]);
    let begun = Instant::now();
    let mut placed = Vec::new();
    for (index, (shop, basket)) in baskets.into_iter().enumerate() {
        let lines: Vec<_> = basket.iter().map(|(sku, units)| ((*sku).to_owned(), *units)).collect();
        placed.push(shop.sandbox.buy(&lines).await.context("the shop shows enough of everything")?);
        let cancelled = index + 1 == baskets.len();
        for (sku, units) in lines.iter().filter(|_| !cancelled) {
            *expected.entry(sku.clone()).or_default() -= units;
        }
        let text: Vec<String> = lines.iter().map(|(sku, units)| format!("{units} × {sku}")).collect();
        let then = if cancelled { "cancelled" } else { "" };
        table.row([Cell::from(shop.name), Cell::from(text.join(", ")), Cell::from(then)]);
    }
    if let Some(last) = placed.last() {
        ensure!(one.sandbox.cancel(*last).await, "an order that was placed can be cancelled");
    }
    screen.table(&table);
    let all =
        |shop: &Shop| shown(shop).iter().all(|(sku, shown)| expected.get(sku) == Some(&shown.available));
    stage.until("what is left", begun, all).await?;
    stage.calm().await?;
    screen.step("all is quiet again", begun.elapsed());
    let shelves = shelves(stage).await?;
    let bought =
        |shelf: &&Shelf| baskets.iter().any(|(_, basket)| basket.iter().any(|(sku, _)| *sku == shelf.sku));
    screen.table(&comparison(stage, shelves.iter().filter(bought)));
    screen.check(
        available(&shelves) == expected && shelves.iter().all(Shelf::agrees),
        "sold units are held in the ledger, the cancelled ones are for sale again, and both shops agree",
    );
    Ok(())
}
