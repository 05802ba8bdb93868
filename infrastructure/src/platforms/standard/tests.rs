//! Our own words: each type once, what is refused, and that the samples are what they claim to be.

use std::{fs, path::Path};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    catalog::ObservedProduct,
    connection::{ConnectionDetails, Platform},
    product::Word,
    values::{Currency, ExternalId, LocationCode, Market, Quantity, Sku},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{
    fact::{Fact, OrderTimes, SoldLine},
    read, svix,
};
use super::*;
use crate::secrets::Secret;

/// Base64 of 32 bytes that say so.
const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcyBhcmUgYSBnb29kIGtleSE=";
const OTHER: &str = "whsec_YW5vdGhlciBzZWNyZXQsIG9mIHR3ZW50eS1mb3VyLi4=";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    };
    pairs.iter().map(pair).collect()
}

fn connection() -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Standard,
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

/// The times of an order that tells none but its envelope's.
fn told_then() -> OrderTimes {
    let at = read::time("2026-03-01T11:59:00.5Z");
    OrderTimes { moved: at, told: at, waits: false }
}

fn decoded(body: &[u8]) -> Result<Decoded, Undecodable> {
    let details = connection();
    Standard.decode(&Genuine { topic: "unknown", body, at: noon(), details: &details })
}

fn told(kind: &str, data: &Value) -> Result<Decoded, Undecodable> {
    let body = json!({ "type": kind, "timestamp": "2026-03-01T11:59:00.5Z", "data": data });
    decoded(body.to_string().as_bytes())
}

fn fact(kind: &str, data: &Value) -> Fact {
    match told(kind, data).expect("a body that can be understood") {
        Decoded::Facts(mut facts) if facts.len() == 1 => facts.remove(0),
        other => panic!("{other:?}"),
    }
}

fn product(data: &Value) -> ObservedProduct {
    match fact("product.updated", data) {
        Fact::Product(product) => product,
        other => panic!("{other:?}"),
    }
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn inbound<'r>(
    headers: &'r HeaderMap,
    body: &'r [u8],
    secrets: &'r [Secret],
    details: &'r ConnectionDetails,
) -> Inbound<'r> {
    Inbound { headers, body, url: "https://onhand.example/webhook/standard/1", now: noon(), details, secrets }
}

#[test]
fn that_there_are_no_tags_is_told_where_the_body_has_them() {
    let mut data = json!({ "id": "p-1", "title": "Mole", "variants": [{ "id": "v-1" }] });
    assert!(product(&data).told.is_empty());
    data["tags"] = json!([]);
    assert_eq!(product(&data).told, [Word::Tags]);
}

#[test]
fn a_changed_byte_or_another_secret_is_refused() {
    let body = br#"{"type":"order.cancelled","data":{"id":"A1"}}"#;
    let signature = svix::sign(SECRET, "msg_1", noon().timestamp(), body).expect("a signature");
    let seconds = noon().timestamp().to_string();
    let given = headers(&[
        ("Webhook-Id", "msg_1"),
        ("Webhook-Timestamp", &seconds),
        ("Webhook-Signature", &signature),
    ]);
    let details = connection();
    let verdict = |body: &[u8], secrets: &[&str]| {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        Standard.verify(&inbound(&given, body, &secrets, &details))
    };
    assert_eq!(verdict(body, &[SECRET]), Ok(()));
    assert_eq!(verdict(body, &[OTHER, SECRET]), Ok(()), "while secrets are changed over");
    let changed = br#"{"type":"order.cancelled","data":{"id":"A2"}}"#;
    assert_eq!(verdict(changed, &[SECRET]), Err(Rejection::BadSignature));
    assert_eq!(verdict(body, &[OTHER]), Err(Rejection::BadSignature));
    assert_eq!(verdict(body, &[]), Err(Rejection::BadSignature));
    let later = Inbound { now: noon() + TimeDelta::seconds(301), ..inbound(&given, body, &[], &details) };
    assert_eq!(Standard.verify(&later), Err(Rejection::Stale));
}

#[test]
fn a_delivery_is_known_by_its_signed_id() {
    let seconds = noon().timestamp().to_string();
    let given = headers(&[("webhook-id", "msg_1"), ("webhook-timestamp", &seconds)]);
    let details = connection();
    let identity = |body: &[u8]| Standard.identify(&inbound(&given, body, &[], &details));
    let known = |topic: &str| Identity {
        topic: topic.to_owned(),
        external_id: "msg_1".to_owned(),
        signed: true,
        sent_at: Some(noon()),
    };
    assert_eq!(identity(br#"{"type":"order.paid"}"#), Ok(known("order.paid")));
    for body in [&b""[..], b"{", b"[]", b"{}", br#"{"type":7}"#, br#"{"type":" "}"#, b"\xff\xfe"] {
        assert_eq!(identity(body), Ok(known("unknown")));
    }
    let endless = json!({ "type": "x".repeat(256) }).to_string();
    assert_eq!(identity(endless.as_bytes()), Ok(known("unknown")), "nothing is wrong with its headers");
    assert_eq!(decoded(endless.as_bytes()), Ok(Decoded::UnknownTopic));
    let nameless = headers(&[]);
    assert!(Standard.identify(&inbound(&nameless, b"{}", &[], &details)).is_err());
}

#[test]
fn a_product_is_taken_in_with_every_digit() {
    let product = product(&json!({
        "id": 9_007_199_254_740_993_u64, "title": " Harbour Runner ", "vendor": "Quay", "category": null,
        "style_code": "QY-100", "tags": ["low", " ", "canvas "], "updated_at": "2026-02-01T08:00:00+01:00",
        "variants": [
            {
                "id": "900000000000000919123", "inventory": 18_446_744_073_709_551_615_u64, "sku": " RUN-42 ",
                "price": "129.00", "currency": "eur",
                "attributes": { "Size": 42.5, "Colour": "sand", "x": null }
            },
            { "id": 2, "price": 129, "currency": "USD" },
            { "id": 3, "price": 7.5, "sku": null }
        ],
        "season": { "anything": true }
    }));
    let details = &product.details;
    assert_eq!((product.external.as_str(), details.title.as_str()), ("9007199254740993", "Harbour Runner"));
    assert_eq!((details.vendor.as_deref(), details.category.as_deref()), (Some("Quay"), None));
    assert_eq!(details.style_code.as_deref(), Some("QY-100"));
    assert_eq!(details.tags, ["low", "canvas"]);
    assert_eq!((Some(product.at), product.complete), (read::time("2026-02-01T07:00:00Z"), true));
    let [first, second, third] = &product.variants[..] else { panic!("three variants") };
    assert_eq!(first.external, id("900000000000000919123"));
    assert_eq!(first.inventory, Some(id("18446744073709551615")));
    assert_eq!(first.sku.as_ref().map(Sku::as_str), Some("RUN-42"));
    assert_eq!(first.price.map(|price| price.to_string()).as_deref(), Some("129.00 EUR"));
    let attributes = [("colour".to_owned(), "sand".to_owned()), ("size".to_owned(), "42.5".to_owned())];
    assert_eq!(first.attributes, attributes.into());
    assert_eq!((&second.inventory, second.price), (&Some(id("2")), None), "a price in another currency");
    assert_eq!((third.price.map(|price| price.minor), &third.sku), (Some(750), &None));
}

#[test]
fn what_only_describes_is_cut_where_it_is_too_long_to_be_kept() {
    let long = "é".repeat(201);
    let product = product(&json!({
        "id": 1, "title": "Mole", "vendor": long, "category": long, "tags": [long], "variants": [{ "id": 2 }]
    }));
    let kept = "é".repeat(200);
    let details = &product.details;
    assert_eq!((details.vendor.as_ref(), details.category.as_ref()), (Some(&kept), Some(&kept)));
    assert_eq!(details.tags, [kept]);
}

#[test]
fn a_price_that_cannot_be_read_is_noted() {
    let variants = json!([
        { "id": 2, "price": "12.345" }, { "id": 3, "price": "1,5", "currency": "USD" }, { "id": 4, "price": 9 }
    ]);
    let data = json!({ "id": 1, "title": "Mole", "variants": variants });
    let Ok(Decoded::Facts(facts)) = told("product.updated", &data) else { panic!("it can be understood") };
    let [Fact::Product(product), Fact::Unread { note }] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!(product.variants.iter().filter(|variant| variant.price.is_some()).count(), 1);
    assert_eq!(
        note, "the price \"12.345\" of 2 is no amount of EUR",
        "the other is none of this connection's"
    );
}

#[test]
fn a_signal_keeps_every_digit() {
    let body = br#"{"type":"signal.raised","data":{"subject":"RUN","id":732357708734418520388,"price":1.5}}"#;
    let payload = json!({ "subject": "RUN", "id": "732357708734418520388", "price": 1.5 });
    let expected = Fact::SignalRaised { subject: "RUN".into(), payload };
    assert_eq!(decoded(body), Ok(Decoded::Facts(vec![expected])));
}

#[test]
fn stock_is_of_its_own_time_or_of_the_envelopes() {
    let data = json!({
        "inventory": 9_007_199_254_740_993_u64, "location": "north", "available": "-3",
        "at": "2026-03-01T11:00:00Z"
    });
    let observed = |data: &Value| match fact("stock.observed", data) {
        Fact::StockObserved { inventory, platform_location, available, at } => {
            (inventory, platform_location, available, at)
        }
        other => panic!("{other:?}"),
    };
    let (north, eleven) = (Some(id("north")), read::time("2026-03-01T11:00:00Z"));
    assert_eq!(observed(&data), (id("9007199254740993"), north, Some(-3), eleven));
    let enveloped = read::time("2026-03-01T11:59:00.5Z");
    let uncounted = json!({ "inventory": "RUN-42", "location": null, "available": null, "at": null });
    assert_eq!(observed(&uncounted), (id("RUN-42"), None, None, enveloped));
    let bare = br#"{"type":"stock.observed","data":{"inventory":1,"available":2}}"#;
    let expected = Fact::StockObserved {
        inventory: id("1"),
        platform_location: None,
        available: Some(2),
        at: Some(noon()),
    };
    assert_eq!(decoded(bare), Ok(Decoded::Facts(vec![expected])));
}

#[test]
fn a_clock_that_is_ahead_does_not_outdate_what_comes_later() {
    let at = |at: &str| match fact("stock.observed", &json!({ "inventory": 1, "available": 2, "at": at })) {
        Fact::StockObserved { at, .. } => at,
        other => panic!("{other:?}"),
    };
    assert_eq!(at("2026-03-01T12:05:00Z"), Some(noon() + TimeDelta::minutes(5)));
    assert_eq!(at("2026-03-01T12:05:01Z"), Some(noon()));
    assert_eq!(at("9999-12-31T23:59:59Z"), Some(noon()));
}

#[test]
fn an_adjustment_says_how_many_and_why() {
    let data = json!({ "inventory": "RUN-42", "delta": -2.0, "reason": " damaged " });
    let expected = Fact::StockAdjusted {
        inventory: id("RUN-42"),
        platform_location: None,
        delta: -2,
        reason: "damaged".into(),
    };
    assert_eq!(fact("stock.adjusted", &data), expected);
}

#[test]
fn a_price_is_of_a_market_and_of_its_own_currency() {
    let data = json!({
        "style_code": "QY-100", "size": 9.5, "market": "UK", "price": "141.00", "currency": "GBP",
        "at": "2026-03-01T11:00:00Z"
    });
    match fact("price.observed", &data) {
        Fact::PriceObserved { style_code, size, market, price, at } => {
            assert_eq!((style_code.as_str(), size.as_deref()), ("QY-100", Some("9.5")));
            assert_eq!((market.as_str(), price.to_string().as_str()), ("UK", "141.00 GBP"));
            assert_eq!(at, read::time("2026-03-01T11:00:00Z"));
        }
        other => panic!("{other:?}"),
    }
    let of_the_model = json!({ "style_code": "QY-100", "market": "US", "price": 141, "currency": "USD" });
    assert!(matches!(fact("price.observed", &of_the_model), Fact::PriceObserved { size: None, .. }));
}

#[test]
fn an_order_says_since_when_and_else_it_is_of_its_envelope() {
    let data = json!({ "id": 1, "lines": [], "at": "2026-03-01T11:00:00Z" });
    let since = read::time("2026-03-01T11:00:00Z");
    let Fact::OrderPaid { times, .. } = fact("order.paid", &data) else { panic!("an order") };
    assert_eq!(times, OrderTimes { moved: since, ..told_then() });
    let cancelled = Fact::OrderCancelled { external: id("1"), buyer: None, at: since };
    assert_eq!(fact("order.cancelled", &data), cancelled);
    assert!(told("order.cancelled", &json!({ "id": 1, "at": "yesterday" })).is_err());
}

#[test]
fn an_order_tells_what_was_sold() {
    let data = json!({ "id": 9_007_199_254_740_993_u64, "lines": [
        { "variant": "v1", "sku": "RUN-42", "quantity": "2", "title": "Harbour Runner" },
        { "variant": "v2", "quantity": 0 },
        { "quantity": 1, "title": "Gift wrap" }
    ] });
    let line = |variant: Option<&str>, sku: Option<&str>, quantity| SoldLine {
        external_variant: variant.map(id),
        sku: sku.and_then(|sku| Sku::new(sku).ok()),
        quantity: Quantity::new(quantity).expect("a quantity"),
    };
    let lines = vec![line(Some("v1"), Some("RUN-42"), 2), line(Some("v2"), None, 0), line(None, None, 1)];
    let external = id("9007199254740993");
    let placed = Fact::OrderPlaced {
        external: external.clone(),
        lines: lines.clone(),
        buyer: None,
        times: told_then(),
    };
    assert_eq!(fact("order.placed", &data), placed);
    assert_eq!(
        fact("order.paid", &data),
        Fact::OrderPaid { external: external.clone(), lines, buyer: None, times: told_then() }
    );
    assert_eq!(
        fact("order.cancelled", &data),
        Fact::OrderCancelled { external, buyer: None, at: told_then().told }
    );
    assert_eq!(fact("product.deleted", &json!({ "id": "p" })), Fact::ProductRemoved { external: id("p") });
}

#[test]
fn a_signal_is_kept_as_it_came() {
    let data = json!({ "subject": " RUN-42 ", "mood": { "anything": [1, null] } });
    let expected = Fact::SignalRaised { subject: "RUN-42".into(), payload: data.clone() };
    assert_eq!(fact("signal.raised", &data), expected);
    match fact("signal.raised", &json!({ "subject": "ü".repeat(101) })) {
        Fact::SignalRaised { subject, .. } => assert_eq!(subject.chars().count(), 100),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_identifies_or_counts_or_orders_must_be_right() {
    let line = |line: Value| json!({ "id": 1, "lines": [line] });
    let price = |amount: Value, size: Value| {
        let mut data = json!({ "style_code": "Q", "market": "US", "currency": "USD" });
        data["price"] = amount;
        data["size"] = size;
        data
    };
    for (kind, data) in [
        ("product.created", json!({ "title": "Runner", "variants": [{ "id": 2 }] })),
        ("product.created", json!({ "id": 1, "variants": [{ "id": 2 }] })),
        ("product.created", json!({ "id": 1, "title": "Runner", "variants": [] })),
        ("product.updated", json!({ "id": 1, "title": "Runner" })),
        ("product.updated", json!({ "id": "a b", "title": "Runner", "variants": [{ "id": 2 }] })),
        ("product.updated", json!({ "id": 1.5, "title": "Runner", "variants": [{ "id": 2 }] })),
        ("product.updated", json!({ "id": 1, "title": "R", "variants": vec![json!({ "id": 2 }); 2_049] })),
        (
            "product.updated",
            json!({ "id": 1, "title": "R", "variants": [{ "id": 2 }], "updated_at": "soon" }),
        ),
        ("product.deleted", json!({ "id": null })),
        ("product.deleted", json!(null)),
        ("stock.observed", json!({ "inventory": 1 })),
        ("stock.observed", json!({ "inventory": "", "available": 1 })),
        ("stock.observed", json!({ "inventory": 1, "available": 1.5 })),
        ("stock.observed", json!({ "inventory": 1, "available": i64::MIN })),
        ("stock.observed", json!({ "inventory": 1, "available": 1, "at": 1_772_366_400 })),
        ("stock.observed", json!({ "inventory": 1, "available": 1, "at": "2026-03-01T12:00:00" })),
        ("stock.adjusted", json!({ "inventory": 1, "delta": 0, "reason": "count" })),
        ("stock.adjusted", json!({ "inventory": 1, "delta": 1 })),
        ("stock.adjusted", json!({ "inventory": 1, "delta": 1, "reason": " " })),
        ("price.observed", price(json!("1,99"), json!(null))),
        ("price.observed", price(json!(0), json!(null))),
        ("price.observed", price(json!("9.00"), json!(""))),
        ("price.observed", json!({ "style_code": " ", "market": "US", "currency": "USD", "price": 1 })),
        ("price.observed", json!({ "style_code": "Q\u{0}", "market": "US", "currency": "USD", "price": 1 })),
        ("price.observed", json!({ "style_code": "Q", "market": "usa", "currency": "USD", "price": 1 })),
        ("price.observed", json!({ "style_code": "Q", "market": "US", "currency": "$", "price": 1 })),
        ("order.placed", json!({ "id": 1 })),
        ("order.placed", line(json!({ "quantity": -1 }))),
        ("order.placed", line(json!({ "quantity": null }))),
        ("order.paid", line(json!({ "variant": "", "quantity": 1 }))),
        ("order.paid", json!({ "id": 1, "lines": vec![json!({ "quantity": 1 }); 501] })),
        ("order.cancelled", json!([])),
        ("signal.raised", json!({ "subject": " " })),
        ("signal.raised", json!("RUN-42")),
    ] {
        assert!(told(kind, &data).is_err(), "{kind} {data}");
    }
}

#[test]
fn a_body_that_is_no_envelope_is_refused() {
    for body in [
        &b""[..],
        b"{",
        b"null",
        b"\xff\xfe",
        b"{}",
        br#"{"type":"order.paid"}"#,
        br#"{"type":"order.cancelled","timestamp":"today","data":{"id":1}}"#,
        br#"{"type":"order.cancelled","type":"order.paid","data":{"id":1}}"#,
    ] {
        assert!(decoded(body).is_err(), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn other_types_are_none_of_ours() {
    for kind in ["order.refunded", "contact.created", "Order.paid", " order.paid", ""] {
        assert_eq!(told(kind, &json!({ "id": 1 })), Ok(Decoded::UnknownTopic), "{kind}");
    }
    assert_eq!(decoded(br#"{"type":"ping","timestamp":1}"#), Ok(Decoded::UnknownTopic));
}

#[test]
fn samples_are_genuine_and_tell_something() {
    let details = connection();
    let sample = Sample {
        id: Uuid::from_u128(7),
        now: noon(),
        url: "https://onhand.example/webhook/standard/1",
        secret: SECRET,
        details: &details,
        sku: "RUN-42",
    };
    for topic in Standard.topics() {
        let (pairs, body) = Standard.sample(topic, &sample).expect("a sample");
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (given, secrets) = (headers(&pairs), [Secret::new(SECRET)]);
        let request = inbound(&given, &body, &secrets, &details);
        assert_eq!(Standard.verify(&request), Ok(()), "{topic}");
        assert_eq!(Standard.identify(&request).map(|identity| identity.topic).as_deref(), Ok(*topic));
        assert!(matches!(decoded(&body), Ok(Decoded::Facts(facts)) if facts.len() == 1), "{topic}");
    }
    assert_eq!(Standard.sample("order.refunded", &sample), None);
    assert_eq!(Standard.sample("order.paid", &Sample { secret: "not base64", ..sample }), None);
}

#[test]
fn recorded_bodies_are_read() {
    let folder =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads/standard_webhooks"));
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let body = fs::read(&path).expect("a recording");
        assert!(decoded(&body).is_ok(), "{}", path.display());
    }
}
