//! Square's webhooks and records: documented ones in goods of our own, recorded ones where they are at hand.

use std::{collections::BTreeSet, fs, path::Path};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use chrono::{DateTime, Utc};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{Currency, ExternalId, LocationCode, Market, Quantity, Sku},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        adapter::{Access, Adapter, Genuine, Hint, Inbound, Sample},
        fact::{Decoded, Fact, Identity, OrderTimes, Rejection, SoldLine, Undecodable},
        read,
    },
    Square,
    inbound::SIGNATURE,
};
use crate::secrets::Secret;

const URL: &str = "https://hooks.quayside.example/v1/square?c=7";
const BODY: &str = "{\"type\":\"order.created\",\"event_id\":\"e-1\",\"note\":\">ü<\"}";
/// Made by hand, of the address and the body, with `quay_key-1`.
const SIGNED: &str = "LuIRMOatTH8mT65WxtRWtDdWUfy98YkEaSlgNmJ9lWg=";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    headers
}

fn shop() -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Square,
        name: "Quay Side".into(),
        brand: "Quay".into(),
        account: None,
        app: None,
        endpoint: None,
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("EUR").expect("a currency"),
    }
}

fn noon() -> DateTime<Utc> {
    read::time("2026-03-01T12:00:00Z").expect("a time")
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn verdict(signatures: &[&str], url: &str, body: &[u8], secrets: &[&str]) -> Result<(), Rejection> {
    let pairs: Vec<_> = signatures.iter().map(|value| (SIGNATURE, *value)).collect();
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    let (headers, details) = (headers(&pairs), shop());
    Square.verify(&Inbound {
        headers: &headers,
        body,
        url,
        now: noon(),
        details: &details,
        secrets: &secrets,
    })
}

fn identity(body: &[u8]) -> Result<Identity, Rejection> {
    let (headers, details) = (HeaderMap::new(), shop());
    Square.identify(&Inbound {
        headers: &headers,
        body,
        url: URL,
        now: noon(),
        details: &details,
        secrets: &[],
    })
}

fn decoded(topic: &str, body: &[u8], details: &ConnectionDetails) -> Result<Decoded, Undecodable> {
    Square.decode(&Genuine { topic, body, at: noon(), details })
}

fn facts(topic: &str, object: &Value) -> Result<Vec<Fact>, Undecodable> {
    let body = json!({ "type": topic, "event_id": "e", "data": { "object": object } }).to_string();
    match decoded(topic, body.as_bytes(), &shop())? {
        Decoded::Facts(facts) => Ok(facts),
        Decoded::UnknownTopic => panic!("{topic} is one of ours"),
    }
}

fn catalog(external: &str) -> Hint {
    Hint { resource: "catalog", external: id(external), titled: None }
}

fn seen(hint: &Hint, body: &Value) -> Result<Vec<Fact>, Undecodable> {
    Square.seen(hint, body.to_string().as_bytes(), noon(), &shop())
}

#[test]
fn the_address_and_the_body_are_signed_with_one_of_the_secrets() {
    let body = BODY.as_bytes();
    assert_eq!(verdict(&[SIGNED], URL, body, &["quay_key-1"]), Ok(()));
    assert_eq!(
        verdict(&[SIGNED], URL, body, &["new", "quay_key-1"]),
        Ok(()),
        "while secrets are changed over"
    );
    assert_eq!(
        verdict(&["AAAA", SIGNED], URL, body, &["quay_key-1"]),
        Ok(()),
        "of two headers one is enough"
    );
}

#[test]
fn a_changed_byte_another_address_or_another_secret_is_refused() {
    let (body, bad) = (BODY.as_bytes(), Err(Rejection::BadSignature));
    assert_eq!(verdict(&[SIGNED], URL, BODY.replace("e-1", "e-2").as_bytes(), &["quay_key-1"]), bad);
    assert_eq!(verdict(&[SIGNED], &format!("{URL}/"), body, &["quay_key-1"]), bad);
    assert_eq!(verdict(&[SIGNED], URL, body, &["Quay_key-1"]), bad);
    assert_eq!(verdict(&[SIGNED], URL, body, &[]), bad);
    // The body before the address, and nonsense.
    for wrong in ["89GygeO8ZJcz7rlU8oa0qwtjbOfM6uMZVDZQPaiMRns=", "%%%", "AAAA", "LuIRMOatTH8mT65WxtRW"] {
        assert_eq!(verdict(&[wrong], URL, body, &["quay_key-1"]), bad, "{wrong}");
    }
    let missing = Err(Rejection::MissingHeader(SIGNATURE));
    assert_eq!(verdict(&[], URL, body, &["quay_key-1"]), missing);
    assert_eq!(verdict(&[" "], URL, body, &["quay_key-1"]), missing);
}

#[test]
fn a_delivery_is_known_by_its_event_or_else_by_its_content() {
    let body = br#"{"type":"order.created","event_id":"e-1","created_at":"2026-03-01T11:59:59.000000001Z"}"#;
    let given = identity(body).expect("an identity");
    assert_eq!((given.topic.as_str(), given.external_id.as_str()), ("order.created", "e-1"));
    assert!(given.signed);
    assert_eq!(given.sent_at, read::time("2026-03-01T11:59:59.000000001Z"));
    for body in [&b"{"[..], b"[1]", b"{}", b"{\"type\":7,\"event_id\":null,\"created_at\":\"soon\"}", b"\xff"]
    {
        let given = identity(body).expect("an identity");
        assert_eq!((given.topic.as_str(), given.sent_at), ("unknown", None));
        assert!(given.external_id.starts_with("sha256:") && given.signed);
    }
    assert_ne!(identity(b"1").map(|it| it.external_id), identity(b"2").map(|it| it.external_id));
    let endless = json!({ "type": "x".repeat(256) }).to_string();
    assert!(identity(endless.as_bytes()).is_err());
}

#[test]
fn what_is_for_sale_is_told_in_whole_units_with_every_digit_of_its_id() {
    let count = |variation: Value, state: &str, quantity: Value| {
        json!({
            "catalog_object_id": variation, "catalog_object_type": "ITEM_VARIATION", "location_id": "L1",
            "state": state, "quantity": quantity, "calculated_at": "2026-03-01T11:00:00.5Z",
        })
    };
    let told = facts(
        "inventory.count.updated",
        &json!({ "inventory_counts": [
            count(json!("9007199254740993"), "IN_STOCK", json!("10")),
            count(json!(9_007_199_254_740_993_u64), "IN_STOCK", json!("2.99999")),
            count(json!("V"), "IN_STOCK", json!("-0.5")),
            count(json!("V"), "IN_STOCK", json!(4)),
            count(json!("V"), "WASTE", json!(null)),
            { "catalog_object_type": "ITEM", "state": "IN_STOCK" },
        ] }),
    );
    let seen: Vec<_> = told
        .expect("counts")
        .into_iter()
        .map(|fact| match fact {
            Fact::StockObserved { inventory, platform_location, available, at } => {
                assert_eq!((platform_location, at), (Some(id("L1")), read::time("2026-03-01T11:00:00.5Z")));
                (inventory.to_string(), available)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("9007199254740993", 10), ("9007199254740993", 2), ("V", -1), ("V", 4)];
    assert_eq!(seen, expected.map(|(variation, units)| (variation.to_owned(), Some(units))));
}

#[test]
fn of_two_counts_of_one_shelf_the_newer_is_told_in_whatever_order_they_stand() {
    let count = |place: &str, quantity: &str, time: &str| {
        json!({
            "catalog_object_id": "V", "catalog_object_type": "ITEM_VARIATION", "location_id": place,
            "state": "IN_STOCK", "quantity": quantity, "calculated_at": time,
        })
    };
    let (older, newer) = (
        count("L1", "12", "2026-03-01T11:00:00.5Z"),
        // The later of the two, though not as a text.
        count("L1", "11", "2026-03-01T10:00:00.7-01:00"),
    );
    let elsewhere = count("L2", "3", "2026-03-01T10:00:00Z");
    for counts in [[&older, &newer, &elsewhere], [&elsewhere, &newer, &older]] {
        let told = facts("inventory.count.updated", &json!({ "inventory_counts": counts })).expect("counts");
        let mut told: Vec<_> = told
            .into_iter()
            .map(|fact| match fact {
                Fact::StockObserved { platform_location, available, .. } => (platform_location, available),
                other => panic!("{other:?}"),
            })
            .collect();
        told.sort();
        assert_eq!(told, [(Some(id("L1")), Some(11)), (Some(id("L2")), Some(3))]);
    }
}

#[test]
fn what_identifies_or_counts_may_not_be_missing_or_wrong() {
    let count = |change: &str, value: Value| {
        let mut count = json!({
            "catalog_object_id": "V", "catalog_object_type": "ITEM_VARIATION", "location_id": "L",
            "state": "IN_STOCK", "quantity": "1",
        });
        count[change] = value;
        json!({ "inventory_counts": [count] })
    };
    let fine = facts("inventory.count.updated", &count("calculated_at", json!("soon"))).expect("a count");
    assert!(matches!(&fine[..], [Fact::StockObserved { at: None, .. }]));
    for (change, value) in [
        ("catalog_object_id", json!(null)),
        ("catalog_object_id", json!("")),
        ("catalog_object_id", json!(1.5)),
        ("location_id", json!(null)),
        ("quantity", json!(null)),
        ("quantity", json!("many")),
        ("quantity", json!("1.x")),
        ("quantity", json!("99999999999999999999")),
    ] {
        assert!(facts("inventory.count.updated", &count(change, value.clone())).is_err(), "{change} {value}");
    }
    let many = vec![count("state", json!("SOLD"))["inventory_counts"][0].clone(); read::FACTS_MAX + 1];
    assert!(facts("inventory.count.updated", &json!({ "inventory_counts": many })).is_err());
    for object in [json!({}), json!(null), json!({ "catalog_version": { "updated_at": "yesterday" } })] {
        assert!(facts("catalog.version.updated", &object).is_err(), "{object}");
    }
    for object in [json!({}), json!({ "order_created": {} }), json!({ "order_updated": { "order_id": " " } })]
    {
        assert!(facts("order.updated", &object).is_err(), "{object}");
    }
    for body in [&b""[..], b"{", b"\xff\xfe", b"null", b"[[[[["] {
        assert!(decoded("unknown", body, &shop()).is_err());
        assert!(decoded("order.created", body, &shop()).is_err());
    }
}

#[test]
fn the_catalogue_and_orders_are_hinted_at_and_a_cancellation_is_told() {
    let changed = json!({ "catalog_version": { "updated_at": "2026-03-01T11:00:00.53Z" } });
    let hint = Fact::Hint(catalog("2026-03-01T11:00:00.53Z"));
    assert_eq!(facts("catalog.version.updated", &changed), Ok(vec![hint]));
    for (topic, kind) in [
        ("order.created", "order_created"),
        ("order.updated", "order_updated"),
        ("order.fulfillment.updated", "order_fulfillment_updated"),
    ] {
        let told = |state: Value| facts(topic, &json!({ kind: { "order_id": "O1", "state": state } }));
        let hint = Fact::Hint(Hint { resource: "order", external: id("O1"), titled: None });
        assert_eq!(told(json!("OPEN")), Ok(vec![hint.clone()]));
        assert_eq!(told(json!(null)), Ok(vec![hint]));
        assert_eq!(
            told(json!("CANCELED")),
            Ok(vec![Fact::OrderCancelled { external: id("O1"), buyer: None, at: None }])
        );
    }
    for topic in ["payment.created", "invoice.canceled", "unknown", ""] {
        assert_eq!(decoded(topic, b"{\"type\":1}", &shop()), Ok(Decoded::UnknownTopic));
    }
}

#[test]
fn the_events_of_another_seller_of_the_app_are_not_this_ones() {
    let body = json!({
        "merchant_id": "M2", "data": { "object": { "order_created": { "order_id": "O1" } } },
    });
    let body = body.to_string();
    let ask = |account: Option<&str>| {
        let details = ConnectionDetails { account: account.map(str::to_owned), ..shop() };
        let told = decoded("order.created", body.as_bytes(), &details).expect("a body");
        let delivery =
            Genuine { topic: "order.created", body: body.as_bytes(), at: noon(), details: &details };
        let Decoded::Facts(facts) = told else { panic!("one of ours") };
        (facts.len(), Square.other_accounts(&delivery))
    };
    assert_eq!(ask(Some("M1")), (0, vec!["M2".to_owned()]));
    assert_eq!(ask(Some("M2")), (1, vec![]));
    assert_eq!(ask(None), (1, vec![]));
}

#[test]
fn the_catalogue_is_searched_from_a_while_before_the_hint_and_an_order_is_read() {
    let (details, token) = (shop(), Secret::new("token-1"));
    let access = Access { details: &details, token: Some(&token), app_secret: None, now: noon() };
    let call = Square.look(&catalog("2026-03-01T12:00:00.53Z"), &access).expect("a call");
    assert_eq!((&call.method, call.target.as_str()), (&Method::POST, "/v2/catalog/search"));
    assert!(call.headers.contains(&("authorization", "Bearer token-1".to_owned())));
    assert!(call.headers.contains(&("square-version", "2025-08-20".to_owned())));
    let search: Value = serde_json::from_str(&call.body.expect("a body")).expect("JSON");
    let expected = json!({
        "object_types": ["ITEM"], "include_deleted_objects": true, "begin_time": "2026-03-01T11:50:00Z",
        "limit": 100,
    });
    assert_eq!(search, expected);

    let order = Hint { resource: "order", external: id("a-B_9/../x"), titled: None };
    let call = Square.look(&order, &access).expect("a call");
    assert_eq!((&call.method, call.target.as_str()), (&Method::GET, "/v2/orders/a-B_9%2F%2E%2E%2Fx"));
    assert_eq!(call.body, None);
    assert_eq!(Square.look(&order, &Access { token: None, ..access }), None);
    assert_eq!(Square.look(&Hint { resource: "document", ..order }, &access), None);
}

#[test]
fn a_further_page_is_asked_for_with_the_search_it_came_from() {
    let first = catalog("2026-03-01T12:00:00Z");
    let next = seen(&first, &json!({ "cursor": "CAAS@x/+=", "objects": [] })).expect("a page");
    let [Fact::Hint(next)] = &next[..] else { panic!("{next:?}") };
    assert_eq!(next.external.as_str(), "2026-03-01T11:50:00Z@CAAS@x/+=");
    let (details, token) = (shop(), Secret::new("token-1"));
    let access = Access { details: &details, token: Some(&token), app_secret: None, now: noon() };
    let call = Square.look(next, &access).and_then(|call| call.body).expect("a body");
    let search: Value = serde_json::from_str(&call).expect("JSON");
    assert_eq!(
        (&search["begin_time"], &search["cursor"]),
        (&json!("2026-03-01T11:50:00Z"), &json!("CAAS@x/+="))
    );

    let after = seen(next, &json!({ "cursor": "D" })).expect("a page");
    assert_eq!(after, [Fact::Hint(catalog("2026-03-01T11:50:00Z@D"))]);
    assert!(seen(next, &json!({ "cursor": "CAAS@x/+=" })).is_err(), "a page that follows itself");
    assert!(seen(next, &json!({ "cursor": "x".repeat(240) })).is_err(), "a cursor that cannot be kept");
    assert_eq!(seen(next, &json!({})), Ok(vec![]));
}

#[test]
fn a_product_is_taken_in_with_its_variations() {
    let money = |amount: Value, currency: &str| json!({ "amount": amount, "currency": currency });
    let page = json!({ "objects": [
        {
            "type": "ITEM", "id": "I1", "updated_at": "2026-03-01T10:00:00Z", "is_deleted": false,
            "item_data": { "name": " Runner ", "variations": [
                { "type": "ITEM_VARIATION", "id": "9007199254740993", "updated_at": "2026-03-01T11:00:00Z",
                  "item_variation_data":
                    { "name": "42", "sku": " RUN-42 ", "price_money": money(json!(12_900), "EUR") } },
                { "id": "V2", "item_variation_data":
                    { "name": "Regular", "price_money": money(json!("5"), "USD") } },
                { "id": "V3", "item_variation_data":
                    { "name": null, "price_money": money(json!(-1), "EUR") } },
                { "id": "V4", "is_deleted": true },
            ] },
        },
        { "type": "ITEM", "id": "I2", "is_deleted": true },
        { "type": "ITEM", "id": "I3", "item_data": { "variations": [{ "id": "V9", "is_deleted": true }] } },
        { "type": "ITEM", "id": "I4", "item_data": { "name": "Bare" } },
        { "type": "ITEM", "id": "I5", "item_data": { "is_archived": true, "variations": [{ "id": "V8" }] } },
        { "type": "CATEGORY", "id": "C1" },
    ] });
    let seen = seen(&catalog("2026-03-01T12:00:00Z"), &page).expect("a page");
    let [Fact::Product(product), second, third, fourth] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(*second, Fact::ProductRemoved { external: id("I2") });
    assert_eq!(*third, Fact::ProductRemoved { external: id("I3") });
    assert_eq!(*fourth, Fact::ProductRemoved { external: id("I5") }, "it is archived");
    assert_eq!((product.external.as_str(), product.details.title.as_str()), ("I1", "Runner"));
    assert_eq!((Some(product.at), product.complete), (read::time("2026-03-01T11:00:00Z"), true));
    assert_eq!(product.variants.len(), 3);
    let runner = &product.variants[0];
    assert_eq!(runner.external.as_str(), "9007199254740993");
    assert_eq!(runner.inventory.as_ref(), Some(&runner.external));
    assert_eq!(runner.sku.as_ref().map(Sku::as_str), Some("RUN-42"));
    assert_eq!(runner.price.map(|price| price.to_string()).as_deref(), Some("129.00 EUR"));
    assert_eq!(runner.attributes, [("size".to_owned(), "42".to_owned())].into());
    for plain in &product.variants[1..] {
        assert_eq!(
            (&plain.price, &plain.sku),
            (&None, &None),
            "no price in another currency, and none below zero"
        );
        assert!(plain.attributes.is_empty());
    }
}

#[test]
fn what_a_variation_costs_is_what_it_costs_at_the_connections_location() {
    let money = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    let variation = json!({ "id": "V1", "item_variation_data": {
        "pricing_type": "FIXED_PRICING", "price_money": money(100),
        "location_overrides": [
            { "location_id": "L1", "pricing_type": "FIXED_PRICING", "price_money": money(200) },
            { "location_id": "L2", "track_inventory": true },
            { "location_id": "L3", "pricing_type": "VARIABLE_PRICING" },
        ],
    } });
    let page =
        json!({ "objects": [{ "type": "ITEM", "id": "I1", "item_data": { "variations": [variation] } }] });
    for (place, minor) in
        [(Some("L1"), Some(200)), (Some("L2"), Some(100)), (Some("L3"), None), (None, Some(100))]
    {
        let details = ConnectionDetails { platform_location: place.map(id), ..shop() };
        let hint = catalog("2026-03-01T12:00:00Z");
        let seen = Square.seen(&hint, page.to_string().as_bytes(), noon(), &details).expect("a page");
        let [Fact::Product(product)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(product.variants[0].price.map(|price| price.minor), minor, "{place:?}");
    }
}

#[test]
fn an_order_is_what_its_state_and_what_is_due_say() {
    let hint = Hint { resource: "order", external: id("O1"), titled: None };
    let order = |state: &str, due: Value, tenders: Value| {
        let order = json!({
            "id": "O1", "state": state, "net_amount_due_money": due, "tenders": tenders,
            "line_items": [
                { "catalog_object_id": "V1", "quantity": "2", "name": "Runner" },
                { "catalog_object_id": "V2", "quantity": "0.25", "name": "Lace, by the metre" },
                { "catalog_object_id": "V3", "quantity": "0", "name": "Nothing" },
                { "quantity": "1", "name": "Gift wrap" },
            ],
        });
        seen(&hint, &json!({ "order": order })).expect("an order")
    };
    let line = |variant: Option<&str>, units| SoldLine {
        external_variant: variant.map(id),
        sku: None,
        quantity: Quantity::new(units).expect("a quantity"),
    };
    let lines = vec![line(Some("V1"), 2), line(Some("V2"), 1), line(None, 1)];
    let placed = vec![Fact::OrderPlaced {
        external: id("O1"),
        lines: lines.clone(),
        buyer: None,
        times: OrderTimes { waits: true, ..OrderTimes::default() },
    }];
    let paid = vec![Fact::OrderPaid { external: id("O1"), lines, buyer: None, times: Default::default() }];
    let due = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    assert_eq!(order("OPEN", due(100), json!([{ "id": "half" }])), placed);
    assert_eq!(order("OPEN", json!(null), json!(null)), placed);
    assert_eq!(order("OPEN", due(0), json!(null)), paid);
    assert_eq!(order("OPEN", json!(null), json!([{ "id": "all" }])), paid);
    assert_eq!(order("COMPLETED", due(5), json!(null)), paid);
    assert_eq!(
        order("CANCELED", due(0), json!(null)),
        [Fact::OrderCancelled { external: id("O1"), buyer: None, at: None }]
    );
    assert!(order("DRAFT", due(0), json!(null)).is_empty());
}

#[test]
fn an_order_at_another_location_is_not_this_ones() {
    let hint = Hint { resource: "order", external: id("O1"), titled: None };
    let told = |own: Option<&str>, told: &Value| {
        let details = ConnectionDetails { platform_location: own.map(id), ..shop() };
        let answer = json!({ "order": told }).to_string();
        Square.seen(&hint, answer.as_bytes(), noon(), &details)
    };
    let order = |state: &str, location: Value| {
        json!({
            "id": "O1", "state": state, "location_id": location,
            "line_items": [{ "catalog_object_id": "V1", "quantity": "2", "name": "Runner" }],
        })
    };
    let quantity = Quantity::new(2).expect("a quantity");
    let line = SoldLine { external_variant: Some(id("V1")), sku: None, quantity };
    let (external, lines) = (id("O1"), vec![line]);
    for (state, fact) in [
        (
            "OPEN",
            Fact::OrderPlaced {
                external: external.clone(),
                lines: lines.clone(),
                buyer: None,
                times: OrderTimes { waits: true, ..OrderTimes::default() },
            },
        ),
        (
            "COMPLETED",
            Fact::OrderPaid { external: external.clone(), lines, buyer: None, times: Default::default() },
        ),
        ("CANCELED", Fact::OrderCancelled { external, buyer: None, at: None }),
    ] {
        let expected = Ok(vec![fact]);
        assert_eq!(told(Some("L1"), &order(state, json!("L1"))), expected, "{state}: its own");
        assert_eq!(told(Some("L1"), &order(state, json!(null))), expected, "{state}: none is told");
        assert_eq!(told(None, &order(state, json!("L2"))), expected, "{state}: the connection has all");
        assert_eq!(told(None, &order(state, json!(null))), expected, "{state}");
        let mut nowhere = order(state, json!(null));
        nowhere.as_object_mut().expect("an object").remove("location_id");
        assert_eq!(told(Some("L1"), &nowhere), expected, "{state}: none is told");
        for other in ["L2", "l1", "L", "L11"] {
            assert_eq!(told(Some("L1"), &order(state, json!(other))), Ok(vec![]), "{state}: {other}");
        }
    }
    assert_eq!(told(Some("L1"), &order("DRAFT", json!("L1"))), Ok(vec![]));
    let mut another = order("OPEN", json!("L2"));
    another["id"] = json!("O2");
    assert!(told(Some("L1"), &another).is_err(), "it was not asked for");
}

#[test]
fn an_order_of_nothing_is_still_being_made() {
    let hint = Hint { resource: "order", external: id("O1"), titled: None };
    let nothing = json!([{ "catalog_object_id": "V1", "quantity": "0", "name": "Runner" }]);
    for lines in [json!(null), json!([]), nothing] {
        let told = |state: &str, due: i64| {
            let due = json!({ "amount": due, "currency": "EUR" });
            let order =
                json!({ "id": "O1", "state": state, "net_amount_due_money": due, "line_items": lines });
            seen(&hint, &json!({ "order": order }))
        };
        for (state, due) in [("OPEN", 100), ("OPEN", 0), ("COMPLETED", 0), ("DRAFT", 0)] {
            assert_eq!(told(state, due), Ok(vec![]), "{state} {due} {lines}");
        }
        let cancelled = Ok(vec![Fact::OrderCancelled { external: id("O1"), buyer: None, at: None }]);
        assert_eq!(told("CANCELED", 100), cancelled, "{lines}");
    }
}

#[test]
fn an_answer_that_shows_something_else_is_refused() {
    let hint = Hint { resource: "order", external: id("O1"), titled: None };
    let line = |quantity: Value| json!({ "order": { "id": "O1", "line_items": [{ "quantity": quantity }] } });
    let many = vec![json!({ "quantity": "1" }); read::LINES_MAX + 1];
    for answer in [
        json!({}),
        json!({ "order": { "id": "O2", "state": "OPEN" } }),
        json!({ "order": { "id": "O1", "state": "BAKED" } }),
        json!({ "errors": [{ "code": "UNAUTHORIZED", "detail": "no" }] }),
        json!({ "errors": [{ "code": "NOT_FOUND" }] }),
        json!({ "errors": [{ "category": "INVALID_REQUEST_ERROR", "code": "NOT_FOUND", "detail": "none" }] }),
        json!({ "errors": [{}] }),
        line(json!(null)),
        line(json!("-1")),
        line(json!("two")),
        line(json!("9999999999")),
        json!({ "order": { "id": "O1", "line_items": many } }),
    ] {
        assert!(seen(&hint, &answer).is_err(), "{answer}");
    }
    let page = catalog("2026-03-01T12:00:00Z");
    assert!(seen(&page, &json!({ "errors": [{ "code": "NOT_FOUND" }] })).is_err());
    assert_eq!(seen(&hint, &json!({ "order": { "id": "O1", "state": "DRAFT" } })), Ok(vec![]));
    assert!(Square.seen(&hint, b"<html>", noon(), &shop()).is_err());
}

#[test]
fn a_sample_of_each_topic_is_genuine_and_tells_something() {
    let details =
        ConnectionDetails { account: Some("M1".into()), platform_location: Some(id("L1")), ..shop() };
    let secrets = [Secret::new("quay_key-1")];
    for topic in Square.topics() {
        let sample = Sample {
            id: Uuid::from_u128(7),
            now: noon(),
            url: URL,
            secret: "quay_key-1",
            details: &details,
            sku: "RUN-42",
        };
        let (pairs, body) = Square.sample(topic, &sample).expect("a sample");
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = headers(&pairs);
        let request = Inbound {
            headers: &headers,
            body: &body,
            url: URL,
            now: noon(),
            details: &details,
            secrets: &secrets,
        };
        assert_eq!(Square.verify(&request), Ok(()), "{topic}");
        let identity = Square.identify(&request).expect("an identity");
        assert_eq!((identity.topic.as_str(), identity.sent_at), (*topic, Some(noon())));
        let Ok(Decoded::Facts(facts)) = decoded(topic, &body, &details) else { panic!("{topic}") };
        assert_eq!(facts.len(), 1, "{topic}");
    }
    let sample =
        Sample { id: Uuid::nil(), now: noon(), url: URL, secret: "s", details: &details, sku: "RUN-42" };
    assert_eq!(Square.sample("refund.created", &sample), None);
}

/// Recordings of the real platform, where they lie next to the repository.
fn recordings() -> Option<&'static Path> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads"));
    folder.is_dir().then_some(folder)
}

#[test]
fn recorded_bodies_are_understood() {
    let Some(folder) = recordings() else { return };
    let mut understood = BTreeSet::new();
    for entry in fs::read_dir(folder.join("square")).expect("a folder of recordings") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = fs::read(&path).expect("a recording");
        let Identity { topic, external_id, sent_at, .. } = identity(&body).expect("an identity");
        assert!(!external_id.starts_with("sha256:") && sent_at.is_some(), "{}", path.display());
        match decoded(&topic, &body, &shop()).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            Decoded::Facts(facts) => assert_eq!((facts.len(), understood.insert(topic)), (1, true)),
            Decoded::UnknownTopic => {}
        }
    }
    assert_eq!(understood.len(), 4, "{understood:?}");
}

#[test]
fn recorded_records_are_understood() {
    let Some(folder) = recordings() else { return };
    let answer =
        fs::read(folder.join("square/api/UpsertCatalogObjectResponse__1.json")).expect("a recording");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let page = json!({ "objects": [answer["catalog_object"]] });
    let seen = seen(&catalog("2026-03-01T12:00:00Z"), &page).expect("a page");
    let [Fact::Product(product)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(product.variants.len(), 2);
}

#[test]
fn published_signatures_verify_or_fail_as_published() {
    let Some(folder) = recordings() else { return };
    let vectors = fs::read(folder.join("signature_vectors.json")).expect("the vectors");
    let vectors: Vec<Value> = serde_json::from_slice(&vectors).expect("JSON");
    let mut checked = 0;
    for vector in vectors.iter().filter(|vector| vector["platform"] == "square") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let given = text(&vector["headers"][SIGNATURE]);
        let (url, body, secret) = (text(&vector["url"]), text(&vector["body"]), text(&vector["secret"]));
        let verdict = verdict(&[&given], &url, body.as_bytes(), &[&secret]);
        assert_eq!(verdict.is_ok(), vector["valid"] == true, "{}", vector["note"]);
        checked += 1;
    }
    assert!(checked >= 5);
}
