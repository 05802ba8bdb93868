//! Trackstar's webhooks as they are documented, in goods of our own; and as published, where copies are.

use std::{collections::BTreeMap, fs, path::PathBuf};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::Platform,
    product::ProductDetails,
    values::{Currency, ExternalId, LocationCode, Market, Money, Quantity, Sku},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{super::fact::SoldLine, *};
use crate::secrets::Secret;

const SECRET: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
const API: &str = "https://production.trackstarhq.com/webhooks/1/data";
const URL: &str = "https://onhand.example/v1/webhooks/1";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    };
    pairs.iter().map(pair).collect()
}

fn warehouse(account: Option<&str>) -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Trackstar,
        name: "Quay Side".into(),
        brand: "Quay".into(),
        account: account.map(str::to_owned),
        app: None,
        endpoint: None,
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("EUR").expect("a currency"),
    }
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_366_400, 0).expect("a time")
}

/// The first of February 2026, at seven, which the bodies here speak of.
fn seven() -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(1_769_929_200, 0)
}

fn asked<T>(headers: &HeaderMap, body: &[u8], ask: impl Fn(&Inbound<'_>) -> T) -> T {
    let (secrets, details) = ([Secret::new(SECRET)], warehouse(None));
    ask(&Inbound { headers, body, url: URL, now: noon(), details: &details, secrets: &secrets })
}

fn decoded(topic: &str, body: &Value, account: Option<&str>) -> Result<Decoded, Undecodable> {
    let (body, details) = (body.to_string(), warehouse(account));
    Trackstar.decode(&Genuine { topic, body: body.as_bytes(), at: noon(), details: &details })
}

fn facts(topic: &str, data: &Value) -> Vec<Fact> {
    let event = json!({ "connection_id": "conn_1", "event_type": topic, "data": data });
    match decoded(topic, &event, None).expect("a body that can be understood") {
        Decoded::Facts(facts) => facts,
        Decoded::UnknownTopic => panic!("{topic} is known"),
    }
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn stock(inventory: &str, place: Option<&str>, available: Option<i64>) -> Fact {
    Fact::StockObserved { inventory: id(inventory), platform_location: place.map(id), available, at: seven() }
}

fn variant(external: &str, inventory: Option<&str>, price: &str) -> ObservedVariant {
    ObservedVariant {
        external: id(external),
        inventory: inventory.map(id),
        sku: Sku::new("MOLE-41").ok(),
        attributes: BTreeMap::new(),
        price: Money::parse(price, warehouse(None).currency).ok(),
    }
}

fn titled(title: &str) -> ProductDetails {
    ProductDetails { title: title.into(), ..ProductDetails::default() }
}

#[test]
fn a_delivery_is_known_by_the_id_that_svix_signs() {
    let given = headers(&[("svix-id", "msg_1"), ("svix-timestamp", "1772366400")]);
    let identity = |body: &[u8]| asked(&given, body, |request| Trackstar.identify(request));
    let named = identity(br#"{"event_type":"inventory.updated"}"#).expect("an identity");
    assert_eq!((named.topic.as_str(), named.external_id.as_str()), ("inventory.updated", "msg_1"));
    assert_eq!((named.signed, named.sent_at), (true, Some(noon())));
    for body in [&b"no JSON"[..], b"{}", br#"{"event_type":""}"#, br#"{"event_type":"a\u0000b"}"#, b""] {
        assert_eq!(identity(body).expect("an identity").topic, "unknown");
    }
    let endless = json!({ "event_type": "x".repeat(256) }).to_string();
    assert_eq!(identity(endless.as_bytes()).expect("an identity").topic, "unknown");
    let nameless = asked(&headers(&[]), b"{}", |request| Trackstar.identify(request));
    assert!(matches!(nameless, Err(Rejection::MissingHeader(_))));
}

#[test]
fn each_warehouse_has_a_figure_of_its_own() {
    let data = json!({
        "id": "inv_1", "sku": "MOLE-41", "fulfillable": 9, "updated_date": "2026-02-01T07:00:00Z",
        "inventory_by_warehouse_id": {
            "east": { "fulfillable": 5, "onhand": 8 }, "quay": { "fulfillable": "4.0" }, "west": null
        }
    });
    let each = [
        stock("inv_1", Some("east"), Some(5)),
        stock("inv_1", Some("quay"), Some(4)),
        stock("inv_1", Some("west"), None),
    ];
    assert_eq!(facts("inventory.updated", &data), each);
}

#[test]
fn without_warehouses_there_is_one_figure() {
    for warehouses in [json!(null), json!({})] {
        let data = json!({
            "id": 9_007_199_254_740_993_u64, "fulfillable": -2, "updated_date": "2026-02-01T07:00:00Z",
            "inventory_by_warehouse_id": warehouses
        });
        let one = [stock("9007199254740993", None, Some(-2))];
        assert_eq!(facts("INVENTORY.created", &data), one);
    }
    let undated = facts("inventory.created", &json!({ "id": "18446744073709551616", "fulfillable": null }));
    let one = undated.as_slice();
    assert!(matches!(one, [Fact::StockObserved { available: None, at: None, .. }]), "{one:?}");
}

#[test]
fn a_product_of_a_warehouse_is_its_own_variant() {
    let data = json!({
        "id": "prod_1", "name": "Mole / Low", "sku": "MOLE-41", "unit_price": 89.9, "supplier": "Quay",
        "inventory_items": [{ "inventory_item_id": "inv_1", "unit_quantity": 1 }], "is_kit": false,
        "updated_date": "2026-02-01T07:00:00Z"
    });
    let product = Fact::Product(ObservedProduct {
        external: id("prod_1"),
        details: ProductDetails { vendor: Some("Quay".into()), ..titled("Mole / Low") },
        told: vec![],
        variants: vec![variant("prod_1", Some("inv_1"), "89.90")],
        complete: true,
        at: seven().expect("a time"),
    });
    assert_eq!(facts("product.updated", &data), [product]);
}

#[test]
fn a_price_that_cannot_be_read_is_noted() {
    for (topic, field) in [("product.updated", "unit_price"), ("cart-product.updated", "price")] {
        let mut data = json!({ "id": "prod_1" });
        for (price, noted) in [("89.90", false), ("12.345", true), ("", false)] {
            data[field] = json!(price);
            let facts = facts(topic, &data);
            assert_eq!(
                facts.iter().any(|fact| matches!(fact, Fact::Unread { .. })),
                noted,
                "{topic} {price}"
            );
        }
    }
}

#[test]
fn what_is_made_of_several_items_has_no_figure_of_its_own() {
    let item = |units: i64| json!({ "inventory_item_id": "inv_1", "unit_quantity": units });
    for (items, kit) in [
        (json!([item(2)]), json!(false)),
        (json!([item(1)]), json!(true)),
        (json!([item(1), item(1)]), json!(false)),
        (json!([]), json!(null)),
        (json!(null), json!(null)),
    ] {
        let data = json!({ "id": "prod_1", "inventory_items": items, "is_kit": kit });
        let facts = facts("product.created", &data);
        let [Fact::Product(product)] = facts.as_slice() else { panic!("{facts:?}") };
        assert_eq!(product.variants[0].inventory, None, "{data}");
        assert_eq!((product.details.title.as_str(), product.at), ("prod_1", noon()));
    }
}

#[test]
fn a_variant_of_a_cart_belongs_to_its_parent() {
    let data = json!({
        "id": "var_1", "parent_product_id": "par_1", "name": "Mole / Low 41", "sku": "MOLE-41",
        "price": "89.90", "inventory": 9, "inventory_by_warehouse_id": { "quay": 4 }, "tags": ["low", " "],
        "updated_date": "2026-02-01T07:00:00Z"
    });
    let product = |external: &str, complete| {
        Fact::Product(ObservedProduct {
            external: id(external),
            details: ProductDetails { tags: vec!["low".into()], ..titled("Mole / Low 41") },
            told: vec![],
            variants: vec![variant("var_1", Some("var_1"), "89.90")],
            complete,
            at: seven().expect("a time"),
        })
    };
    let quay = stock("var_1", Some("quay"), Some(4));
    assert_eq!(facts("cart_product.updated", &data), [product("par_1", false), quay]);
    let mut alone = data.clone();
    alone["parent_product_id"] = json!("");
    alone["inventory_by_warehouse_id"] = json!(null);
    let all = stock("var_1", None, Some(9));
    assert_eq!(facts("cart-product.created", &alone), [product("var_1", true), all]);
    alone["inventory"] = json!(null);
    assert_eq!(facts("cart-product.created", &alone), [product("var_1", true)]);
    let mut parent = data;
    parent["parent_product_id"] = json!("var_1");
    assert!(facts("cart-product.updated", &parent).is_empty());
}

#[test]
fn an_order_of_a_cart_is_what_its_status_says() {
    let order = |status: &str| {
        json!({ "id": "ord_1", "status": status, "line_items": [
            { "product_id": "var_1", "product_sku": "MOLE-41", "parent_product_id": "par_1", "quantity": 2 },
            { "product_id": "", "product_sku": "", "sku": "MOLE-42", "quantity": 1 },
            { "product_id": null, "name": "Gift wrap", "quantity": 1 },
            { "product_id": "var_2", "quantity": 0 }
        ]})
    };
    let line = |variant: Option<&str>, sku: Option<&str>, quantity| SoldLine {
        external_variant: variant.map(id),
        sku: sku.and_then(|sku| Sku::new(sku).ok()),
        quantity: Quantity::new(quantity).expect("a quantity"),
    };
    let lines = || {
        vec![
            line(Some("var_1"), Some("MOLE-41"), 2),
            line(None, Some("MOLE-42"), 1),
            line(None, None, 1),
            line(Some("var_2"), None, 0),
        ]
    };
    for status in ["open", "backordered", "exception", "other"] {
        let placed = Fact::OrderPlaced {
            external: id("ord_1"),
            lines: lines(),
            buyer: None,
            times: Default::default(),
        };
        assert_eq!(facts("cart-order.created", &order(status)), [placed], "{status}");
    }
    for status in ["confirmed", "processing", "partially_fulfilled", "Fulfilled"] {
        let paid =
            Fact::OrderPaid { external: id("ord_1"), lines: lines(), buyer: None, times: Default::default() };
        assert_eq!(facts("cart-order.updated", &order(status)), [paid], "{status}");
    }
    let cancelled = Fact::OrderCancelled { external: id("ord_1"), buyer: None, at: None };
    assert_eq!(facts("cart_order.updated", &json!({ "id": "ord_1", "status": "cancelled" })), [cancelled]);
}

#[test]
fn what_identifies_or_counts_may_not_be_wrong() {
    let line = |quantity: Value| {
        let lines = json!([{ "product_id": "var_1", "quantity": quantity }]);
        json!({ "id": "ord_1", "status": "open", "line_items": lines })
    };
    let endless = vec![json!({ "quantity": 1 }); 501];
    let warehouses = |name: &str, figure: Value| {
        let levels = json!({ name: { "fulfillable": figure } });
        json!({ "id": "inv_1", "inventory_by_warehouse_id": levels })
    };
    for (topic, data) in [
        ("inventory.updated", json!({ "fulfillable": 1 })),
        ("inventory.updated", json!({ "id": "in v", "fulfillable": 1 })),
        ("inventory.updated", json!({ "id": "inv_1", "fulfillable": 1.5 })),
        ("inventory.updated", warehouses("quay", json!("many"))),
        ("inventory.updated", warehouses("", json!(1))),
        ("product.updated", json!({ "id": 1.5 })),
        ("cart-product.updated", json!({ "id": "var_1", "parent_product_id": ["par_1"] })),
        ("cart-order.created", json!({ "id": "ord_1", "line_items": [] })),
        ("cart-order.created", json!({ "id": "ord_1", "status": "open" })),
        ("cart-order.created", line(json!(-1))),
        ("cart-order.created", line(json!(null))),
        ("cart-order.created", json!({ "id": "ord_1", "status": "open", "line_items": endless })),
        ("cart-order.created", json!(null)),
        ("cart-order.created", json!([])),
    ] {
        let event = json!({ "event_type": topic, "data": data });
        assert!(decoded(topic, &event, None).is_err(), "{topic}: {data}");
    }
    let details = warehouse(None);
    for body in [&b""[..], b"{", b"\xff\xfe", b"null", b"[[[[["] {
        let delivery = Genuine { topic: "unknown", body, at: noon(), details: &details };
        assert!(Trackstar.decode(&delivery).is_err());
    }
}

#[test]
fn other_topics_are_none_of_ours() {
    for topic in ["order.updated", "inventory_ledger.created", "connection.created", "unknown", ""] {
        let event = json!({ "event_type": topic, "data": { "id": "1" } });
        assert_eq!(decoded(topic, &event, None), Ok(Decoded::UnknownTopic), "{topic}");
    }
}

#[test]
fn an_event_of_another_connection_tells_nothing_here() {
    let event = json!({
        "connection_id": "conn_2", "event_type": "inventory.updated",
        "data": { "id": "inv_1", "fulfillable": 1 }
    });
    let others = |account: &str| {
        let (body, details) = (event.to_string(), warehouse(Some(account)));
        let delivery =
            Genuine { topic: "inventory.updated", body: body.as_bytes(), at: noon(), details: &details };
        Trackstar.other_accounts(&delivery)
    };
    assert_eq!(decoded("inventory.updated", &event, Some("conn_1")), Ok(Decoded::Facts(vec![])));
    assert_eq!(others("conn_1"), ["conn_2"]);
    let ours = decoded("inventory.updated", &event, Some("conn_2"));
    assert!(matches!(ours, Ok(Decoded::Facts(facts)) if facts.len() == 1));
    assert!(others("conn_2").is_empty());
}

fn called(resource: &'static str, external: &str, token: Option<&str>, key: Option<&str>) -> Option<Call> {
    let (token, key, details) = (token.map(Secret::new), key.map(Secret::new), warehouse(None));
    let access = Access { details: &details, token: token.as_ref(), app_secret: key.as_ref(), now: noon() };
    Trackstar.look(&Hint { resource, external: id(external), titled: None }, &access)
}

fn fetched(fact: &Fact, token: Option<&str>, key: Option<&str>) -> Option<Call> {
    let (token, key, details) = (token.map(Secret::new), key.map(Secret::new), warehouse(None));
    let access = Access { details: &details, token: token.as_ref(), app_secret: key.as_ref(), now: noon() };
    let Fact::Address { hint, url } = fact else { panic!("{fact:?}") };
    Trackstar.fetch(hint, url, &access)
}

fn truncated(url: &str) -> Value {
    json!({
        "event_type": "inventory.updated", "data_truncated": true, "data": { "id": "inv_1" }, "data_url": url
    })
}

#[test]
fn a_body_that_was_too_large_is_fetched_in_two_steps() {
    // As a cloud's storage signs them, with a token of a session.
    let signature = "f".repeat(2_000);
    let api = format!("{API}?signature={signature}");
    let lies = format!("https://files.example/1?a=b&signature={signature}");
    let Ok(Decoded::Facts(told)) = decoded("inventory.updated", &truncated(&api), None) else { panic!() };
    let [Fact::Address { hint: first, url }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((first.resource, url), ("document", &api));
    let named = first.external.as_str();
    assert!(named.starts_with("inventory.updated|") && !named.contains("https"), "{named}");
    let Ok(Decoded::Facts(other)) = decoded("inventory.updated", &truncated(API), None) else { panic!() };
    assert_ne!(told, other);
    assert!(matches!(&other[..], [Fact::Address { hint, .. }] if hint != first), "{other:?}");

    let call = fetched(&told[0], Some("token"), Some("key")).expect("a call");
    assert_eq!((&call.target, call.body), (&api, None));
    let credentials =
        [("x-trackstar-api-key", "key".to_owned()), ("x-trackstar-access-token", "token".to_owned())];
    assert_eq!(call.headers, credentials);

    let details = warehouse(None);
    let seen =
        |hint: &Hint, body: &Value| Trackstar.seen(hint, body.to_string().as_bytes(), noon(), &details);
    let second = Hint { resource: "download", ..first.clone() };
    let leads_to = Fact::Address { hint: second.clone(), url: lies.clone() };
    for answer in [json!({ "download_url": lies }), json!({ "data": { "download_url": lies } })] {
        assert_eq!(seen(first, &answer), Ok(vec![leads_to.clone()]));
    }
    let call = fetched(&leads_to, Some("token"), Some("key")).expect("a call");
    assert_eq!((call.target, call.headers), (lies, vec![]));

    let record = json!({ "id": "inv_1", "fulfillable": 3, "updated_date": "2026-02-01T07:00:00Z" });
    let whole = json!({ "event_type": "inventory.updated", "data": record });
    for body in [record, whole] {
        assert_eq!(seen(&second, &body), Ok(vec![stock("inv_1", None, Some(3))]));
    }
    assert!(seen(first, &json!({})).is_err());
    assert!(seen(&second, &json!({})).is_err());
    for odd in ["x".repeat(8_000), "\u{0}".into(), "a b".into()] {
        let odd = format!("https://files.example/{odd}");
        assert!(seen(first, &json!({ "download_url": odd })).is_err());
    }
}

#[test]
fn a_hint_of_older_programs_has_the_address_behind_a_bar() {
    let called = |resource, address: &str| {
        called(resource, &format!("inventory.updated|{address}"), Some("token"), Some("key"))
    };
    assert_eq!(called("document", API).expect("a call").target, API);
    let lies = "https://files.example/1?a=b";
    assert_eq!(called("download", lies).expect("a call").target, lies);
}

#[test]
fn a_body_that_is_cut_short_and_lies_nowhere_is_refused() {
    for url in [json!(null), json!(" "), json!(format!("https://a.example/{}", "x".repeat(8_000)))] {
        let event = json!({ "data_truncated": true, "data": { "id": "inv_1" }, "data_url": url });
        assert!(decoded("inventory.updated", &event, None).is_err(), "{url}");
    }
}

#[test]
fn credentials_go_to_trackstar_and_nowhere_else() {
    for url in [
        "http://production.trackstarhq.com/1",
        "https://trackstarhq.com.evil.example/1",
        "https://eviltrackstarhq.com/1",
        "https://trackstarhq.com@evil.example/1",
        "https://evil.example/@production.trackstarhq.com",
        "https://evil.example#.trackstarhq.com",
        "https://evil.example?.trackstarhq.com",
        "https://evil.example\\.trackstarhq.com",
        "https://evil.example%2f.trackstarhq.com",
        "https://production.trackstarhq.com:8443/1",
        "https:///evil.example/.trackstarhq.com",
        "https://",
        "/webhooks/1",
    ] {
        let external = format!("inventory.updated|{url}");
        assert_eq!(called("document", &external, Some("token"), Some("key")), None, "{url}");
    }
    let named = format!("inventory.updated|{API}");
    assert_eq!(called("document", &named, None, Some("key")), None);
    assert_eq!(called("document", &named, Some("token"), None), None);
    assert_eq!(called("product", &named, Some("token"), Some("key")), None);
    assert_eq!(called("document", API, Some("token"), Some("key")), None);
    assert_eq!(called("download", "inventory.updated|http://files.example/1", None, None), None);
}

#[test]
fn each_sample_verifies_and_tells_something() {
    let details = warehouse(Some("conn_1"));
    let made = Sample {
        id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0123_4567_89ab),
        now: noon(),
        url: URL,
        secret: SECRET,
        details: &details,
        sku: "MOLE-41",
    };
    for topic in Trackstar.topics() {
        let (given, body) = Trackstar.sample(topic, &made).expect("a sample");
        let given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let given = headers(&given);
        assert_eq!(asked(&given, &body, |request| Trackstar.verify(request)), Ok(()), "{topic}");
        let identity = asked(&given, &body, |request| Trackstar.identify(request)).expect("an identity");
        assert_eq!((identity.topic.as_str(), identity.sent_at), (*topic, Some(noon())));
        let delivery = Genuine { topic, body: &body, at: noon(), details: &details };
        let decoded = Trackstar.decode(&delivery).expect("a body that can be understood");
        assert!(matches!(&decoded, Decoded::Facts(facts) if !facts.is_empty()), "{topic}: {decoded:?}");
    }
    assert_eq!(Trackstar.sample("order.updated", &made), None);
    assert_eq!(Trackstar.sample("inventory.updated", &Sample { secret: "no base64", ..made }), None);
}

/// Copies of what the platform publishes, where they lie next to the repository.
fn published() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads"));
    let folder = folder.join("trackstar");
    folder.is_dir().then_some(folder)
}

#[test]
fn published_events_are_understood() {
    let Some(folder) = published() else { return };
    let mut understood = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let body = fs::read(&path).expect("an event");
        let given = headers(&[("svix-id", "msg_1")]);
        let topic = asked(&given, &body, |request| Trackstar.identify(request)).expect("an identity").topic;
        let details = warehouse(None);
        let delivery = Genuine { topic: &topic, body: &body, at: noon(), details: &details };
        match Trackstar.decode(&delivery).unwrap_or_else(|error| panic!("{topic}: {error}")) {
            Decoded::Facts(facts) => assert!(!facts.is_empty(), "{topic}"),
            Decoded::UnknownTopic => assert!(topic.starts_with("order.") || topic.starts_with("connection.")),
        }
        understood += 1;
    }
    assert!(understood >= 4);
}

#[test]
fn published_records_are_understood() {
    let Some(folder) = published() else { return };
    let details = warehouse(None);
    for (topic, name, found) in [
        ("inventory.updated", "GET-inventory__1.json", 1),
        ("inventory.updated", "inventory-adjust-response__1.json", 2),
        ("product.updated", "GET-product__1.json", 1),
        ("cart-product.updated", "cart-product-adjust-response__1.json", 2),
    ] {
        let body = fs::read(folder.join("api").join(name)).expect("a record");
        let external = id(&format!("{topic}|https://files.example/1"));
        let seen =
            Trackstar.seen(&Hint { resource: "download", external, titled: None }, &body, noon(), &details);
        assert_eq!(seen.unwrap_or_else(|error| panic!("{name}: {error}")).len(), found, "{name}");
    }
}
