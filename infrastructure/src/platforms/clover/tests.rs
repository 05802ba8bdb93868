//! Clover's webhooks and records: documented ones in goods of our own, recorded ones where they are at hand.

use std::{fs, path::Path};

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
        fact::{Decoded, Fact, Identity, Rejection, SoldLine, Undecodable},
        read,
    },
    Clover,
    inbound::AUTH,
};
use crate::secrets::Secret;

const HANDSHAKE: &[u8] = b"{ \"verificationCode\": \"quay-4711\" }";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    headers
}

fn merchant(account: Option<&str>) -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Clover,
        name: "Quay Side".into(),
        brand: "Quay".into(),
        account: account.map(str::to_owned),
        app: None,
        endpoint: None,
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("USD").expect("a currency"),
    }
}

fn noon() -> DateTime<Utc> {
    read::time("2026-03-01T12:00:00Z").expect("a time")
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn verdict(codes: &[&str], body: &[u8], secrets: &[&str]) -> Result<(), Rejection> {
    let pairs: Vec<_> = codes.iter().map(|value| (AUTH, *value)).collect();
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    let (headers, details) = (headers(&pairs), merchant(None));
    let url = "https://hooks.quayside.example/v1/clover";
    Clover.verify(&Inbound {
        headers: &headers,
        body,
        url,
        now: noon(),
        details: &details,
        secrets: &secrets,
    })
}

fn identity(body: &[u8]) -> Identity {
    let (headers, details) = (HeaderMap::new(), merchant(None));
    let request = Inbound { headers: &headers, body, url: "", now: noon(), details: &details, secrets: &[] };
    Clover.identify(&request).expect("an identity")
}

fn decoded(body: &[u8], account: Option<&str>) -> Result<Decoded, Undecodable> {
    let details = merchant(account);
    Clover.decode(&Genuine { topic: "mixed", body, at: noon(), details: &details })
}

fn others(body: &[u8], account: Option<&str>) -> Vec<String> {
    let details = merchant(account);
    Clover.other_accounts(&Genuine { topic: "mixed", body, at: noon(), details: &details })
}

/// A post about one merchant.
fn post(events: &[(&str, &str)]) -> Vec<u8> {
    let events = events.iter().map(|(object, kind)| json!({ "objectId": object, "type": kind, "ts": 1 }));
    json!({ "appId": "A", "merchants": { "M1": events.collect::<Vec<_>>() } }).to_string().into_bytes()
}

fn hint(resource: &'static str, external: &str) -> Hint {
    Hint { resource, external: id(external), titled: None }
}

fn seen(hint: &Hint, body: &Value) -> Result<Vec<Fact>, Undecodable> {
    Clover.seen(hint, body.to_string().as_bytes(), noon(), &merchant(Some("M1")))
}

#[test]
fn the_code_is_one_of_the_secrets() {
    let body = post(&[("I:1", "UPDATE")]);
    assert_eq!(verdict(&["code-1"], &body, &["code-1"]), Ok(()));
    assert_eq!(verdict(&["code-1"], &body, &["code-2", "code-1"]), Ok(()));
    assert_eq!(verdict(&["x", "code-1"], &body, &["code-1"]), Ok(()), "of two headers one is enough");
}

#[test]
fn another_code_or_none_is_refused() {
    let body = post(&[("I:1", "UPDATE")]);
    let cases: [(&[&str], &[&str]); 5] = [
        (&["code-2"], &["code-1"]),
        (&["code-"], &["code-1"]),
        (&["code-11"], &["code-1"]),
        (&["code-1"], &[]),
        (&["code-1"], &[""]),
    ];
    for (codes, secrets) in cases {
        assert_eq!(verdict(codes, &body, secrets), Err(Rejection::BadSignature), "{codes:?} {secrets:?}");
    }
    assert_eq!(verdict(&[], &body, &["code-1"]), Err(Rejection::MissingHeader(AUTH)));
    assert_eq!(verdict(&[""], &body, &[""]), Err(Rejection::MissingHeader(AUTH)));
}

#[test]
fn the_handshake_is_let_in_before_there_is_a_code_and_tells_nothing() {
    assert_eq!(verdict(&[], HANDSHAKE, &[]), Ok(()));
    assert_eq!(verdict(&["other"], HANDSHAKE, &[]), Ok(()));
    assert_eq!(decoded(HANDSHAKE, Some("M1")), Ok(Decoded::UnknownTopic));
    assert_eq!(identity(HANDSHAKE).topic, "verification");
    let long = json!({ "verificationCode": "x".repeat(2_000) }).to_string();
    for body in [
        &b"{}"[..],
        b"{\"verificationCode\":7}",
        b"{\"verificationCode\":\"\"}",
        b"{\"verificationCode\":\"a\",\"merchants\":{}}",
        b"[\"quay-4711\"]",
        b"{\"verificationCode\":\"a\"} {}",
        b"\"verificationCode\"",
        b"",
        long.as_bytes(),
    ] {
        for secrets in [&[][..], &["code-1"]] {
            let verdict = verdict(&[], body, secrets);
            assert_eq!(verdict, Err(Rejection::MissingHeader(AUTH)), "{}", String::from_utf8_lossy(body));
        }
    }
}

#[test]
fn once_there_is_a_code_a_handshake_needs_it_too() {
    for secrets in [&["code-1"][..], &["code-2", "code-1"], &[""]] {
        assert_eq!(verdict(&[], HANDSHAKE, secrets), Err(Rejection::MissingHeader(AUTH)), "{secrets:?}");
        assert_eq!(verdict(&["other"], HANDSHAKE, secrets), Err(Rejection::BadSignature), "{secrets:?}");
    }
    assert_eq!(verdict(&["code-1"], HANDSHAKE, &["code-1"]), Ok(()));
    assert_eq!(verdict(&[], &post(&[("I:1", "UPDATE")]), &[]), Err(Rejection::MissingHeader(AUTH)));
}

#[test]
fn a_post_is_known_by_its_content() {
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("I:1", "UPDATE"), ("I:2", "UPDATE")], "I:UPDATE"),
        (&[("O:1", "CREATE")], "O:CREATE"),
        (&[("I:1", "UPDATE"), ("I:1", "DELETE")], "mixed"),
        (&[("I:1", "UPDATE"), ("O:1", "UPDATE")], "mixed"),
        (&[("I\u{0}:1", "UPDATE")], "mixed"),
        (&[("1", "UPDATE")], "mixed"),
        (&[], "mixed"),
    ];
    for (events, topic) in cases {
        let given = identity(&post(events));
        assert_eq!((given.topic.as_str(), given.signed), (topic, true));
        assert!(given.external_id.starts_with("sha256:"));
    }
    assert_ne!(identity(&post(&[("I:1", "UPDATE")])), identity(&post(&[("I:2", "UPDATE")])));
    for body in [&b"{"[..], b"", b"7", b"{\"merchants\":7}", b"\xff"] {
        assert_eq!((identity(body).topic.as_str(), identity(body).sent_at), ("unknown", None));
        assert!(decoded(body, Some("M1")).is_err());
    }
}

#[test]
fn a_post_is_as_old_as_its_latest_news_and_never_from_the_future() {
    let sent = |times: Value| {
        let events: Vec<_> = times.as_array().expect("times").iter().map(|ts| json!({ "ts": ts })).collect();
        identity(json!({ "merchants": { "M1": events } }).to_string().as_bytes()).sent_at
    };
    let (now, later) = (noon().timestamp_millis(), noon().timestamp_millis() + 1);
    assert_eq!(sent(json!([5, now, "7"])), Some(noon()));
    assert_eq!(sent(json!([later, null, i64::MAX, i64::MIN, "soon", 1.5])), None);
}

#[test]
fn items_and_orders_are_hinted_at_and_their_end_is_told() {
    let told = |events: &[(&str, &str)]| decoded(&post(events), Some("M1"));
    let facts = |facts: Vec<Fact>| -> Result<Decoded, Undecodable> { Ok(Decoded::Facts(facts)) };
    let item = Fact::Hint(hint("product", "9007199254740993"));
    let removed = Fact::ProductRemoved { external: id("9007199254740993") };
    assert_eq!(told(&[("I:9007199254740993", "CREATE")]), facts(vec![item.clone()]));
    assert_eq!(told(&[("I:9007199254740993", "UPDATE")]), facts(vec![item.clone()]));
    assert_eq!(told(&[("I:9007199254740993", "DELETE")]), facts(vec![removed.clone()]));
    assert_eq!(told(&[("O:X:1", "CREATE")]), facts(vec![Fact::Hint(hint("order", "X:1"))]));
    assert_eq!(told(&[("O:X", "UPDATE")]), facts(vec![Fact::Hint(hint("order", "X"))]));
    assert_eq!(
        told(&[("O:X", "DELETE")]),
        facts(vec![Fact::OrderCancelled { external: id("X"), buyer: None, at: None }])
    );
    let twice = [
        ("I:9007199254740993", "CREATE"),
        ("I:9007199254740993", "DELETE"),
        ("P:3", "CREATE"),
        ("I:9007199254740993", "UPDATE"),
    ];
    assert_eq!(told(&twice), facts(vec![removed, item]), "equal news are one, and the last stands");
    assert_eq!(told(&[("I:1", "BLESS")]), facts(vec![]));
    for other in ["A:1", "C:1", "CA:1", "E:1", "IC:1", "IG:1", "IM:1", "M:1", "P:1", "SH:1", "i:1"] {
        assert_eq!(told(&[(other, "UPDATE")]), Ok(Decoded::UnknownTopic), "{other}");
    }
    assert_eq!(told(&[]), Ok(Decoded::UnknownTopic));
}

#[test]
fn what_names_nothing_is_refused() {
    for object in ["I:", "O: ", "1", "", ":"] {
        let told = decoded(&post(&[(object, "UPDATE")]), Some("M1"));
        assert_eq!(told.is_err(), object != ":", "{object}");
    }
    assert!(decoded(b"{\"merchants\":{\"M1\":[{\"type\":\"UPDATE\"}]}}", Some("M1")).is_err());
    assert!(decoded(b"{\"merchants\":{\"M1\":[{\"objectId\":7}]}}", Some("M1")).is_err());
    let names: Vec<_> = (0..=read::FACTS_MAX).map(|number| format!("I:{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "UPDATE")).collect();
    assert!(decoded(&post(&many), Some("M1")).is_err());
    assert!(decoded(&post(&many[1..]), Some("M1")).is_ok());
}

#[test]
fn odd_news_are_noted_and_stand_in_no_others_way() {
    for odd in
        [json!({ "objectId": 7 }), json!({ "objectId": "I:", "type": "UPDATE" }), json!(null), json!([])]
    {
        let good = json!({ "objectId": "I:1", "type": "UPDATE" });
        let body = |events: Value| json!({ "merchants": { "M1": events } }).to_string().into_bytes();
        let told = decoded(&body(json!([odd, good])), Some("M1"));
        let Ok(Decoded::Facts(facts)) = &told else { panic!("{told:?}") };
        let [Fact::Hint(seen), Fact::Unread { note }] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!(*seen, hint("product", "1"));
        assert!(note.starts_with("1 of 2 could not be read"), "{note}");
        assert!(decoded(&body(json!([odd, odd])), Some("M1")).is_err(), "{odd}");
    }
}

#[test]
fn only_the_connections_own_merchant_is_listened_to() {
    let body = json!({ "merchants": {
        "M9": [{ "objectId": "I:9", "type": "UPDATE" }], "M1": [{ "objectId": "I:1", "type": "UPDATE" }],
        "M5": [], "M4": null, "no id": [{ "objectId": "nothing" }],
    } });
    let body = body.to_string().into_bytes();
    let told = Decoded::Facts(vec![Fact::Hint(hint("product", "1"))]);
    assert_eq!(decoded(&body, Some("M1")), Ok(told));
    assert_eq!(decoded(&body, Some("M7")), Ok(Decoded::Facts(vec![])));
    assert_eq!(others(&body, Some("M1")), ["M4", "M5", "M9"]);
    let refused = decoded(&body, None).expect_err("nobody says which merchant is meant");
    assert!(refused.0.contains("account"));

    let alone = b"{\"merchants\":{\"M1\":[{\"objectId\":\"I:1\",\"type\":\"UPDATE\"}],\"M2\":[]}}";
    assert!(matches!(decoded(alone, None), Ok(Decoded::Facts(facts)) if facts.len() == 1));
    assert_eq!(others(alone, None), ["M2"]);
    assert!(others(HANDSHAKE, None).is_empty());

    let crowd: serde_json::Map<_, _> = (0..150).map(|number| (format!("N{number:03}"), json!([]))).collect();
    let crowd = others(json!({ "merchants": crowd }).to_string().as_bytes(), Some("M1"));
    assert_eq!((crowd.len(), crowd.is_sorted()), (100, true));
}

#[test]
fn what_was_hinted_at_is_read_with_its_stock_or_its_lines() {
    let (details, token) = (merchant(Some("M1")), Secret::new("token-1"));
    let access = Access { details: &details, token: Some(&token), app_secret: None, now: noon() };
    let call = Clover.look(&hint("product", "I1"), &access).expect("a call");
    assert_eq!(
        (&call.method, call.target.as_str()),
        (&Method::GET, "/v3/merchants/M1/items/I1?expand=itemStock")
    );
    assert_eq!((call.headers, call.body), (vec![("authorization", "Bearer token-1".to_owned())], None));
    let call = Clover.look(&hint("order", "../a?b"), &access).expect("a call");
    assert_eq!(call.target, "/v3/merchants/M1/orders/%2E%2E%2Fa%3Fb?expand=lineItems,payments");
    assert_eq!(Clover.look(&hint("catalog", "I1"), &access), None);
    assert_eq!(Clover.look(&hint("order", "O1"), &Access { token: None, ..access }), None);
    let nobody = merchant(None);
    assert_eq!(Clover.look(&hint("order", "O1"), &Access { details: &nobody, ..access }), None);
}

#[test]
fn an_item_is_a_product_of_one_variant_and_shows_its_stock() {
    let item = json!({
        "id": "9007199254740993", "name": " Runner 42 ", "sku": "RUN-42", "price": 12_900,
        "priceType": "FIXED", "hidden": false, "modifiedTime": 1_772_360_000_000_i64,
        "itemStock": { "item": { "id": "9007199254740993" }, "stockCount": 8, "quantity": 7.5,
            "modifiedTime": 1_772_361_000_000_i64 },
    });
    let told = seen(&hint("product", "9007199254740993"), &item).expect("an item");
    let [Fact::Product(product), stock] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        (product.external.as_str(), product.details.title.as_str()),
        ("9007199254740993", "Runner 42")
    );
    assert_eq!((product.at.timestamp(), product.complete), (1_772_360_000, true));
    let [variant] = &product.variants[..] else { panic!("{product:?}") };
    assert_eq!((&variant.external, variant.inventory.as_ref()), (&product.external, Some(&product.external)));
    assert_eq!(variant.sku.as_ref().map(Sku::as_str), Some("RUN-42"));
    assert_eq!(variant.price.map(|price| price.to_string()).as_deref(), Some("129.00 USD"));
    let expected = Fact::StockObserved {
        inventory: product.external.clone(),
        platform_location: None,
        available: Some(7),
        at: DateTime::from_timestamp(1_772_361_000, 0),
    };
    assert_eq!(*stock, expected);
}

#[test]
fn what_merely_describes_an_item_may_be_missing_and_its_stock_may_not_be_wrong() {
    let look = hint("product", "I1");
    let bare = seen(&look, &json!({ "id": "I1", "price": 0, "priceType": "VARIABLE" })).expect("an item");
    let [Fact::Product(product)] = &bare[..] else { panic!("{bare:?}") };
    assert_eq!((product.details.title.as_str(), product.at), ("", noon()));
    assert_eq!((&product.variants[0].price, &product.variants[0].sku), (&None, &None));
    let available = |stock: Value| -> Result<Option<i64>, Undecodable> {
        let told = seen(&look, &json!({ "id": "I1", "itemStock": stock }))?;
        match told.last() {
            Some(Fact::StockObserved { available, at, .. }) => {
                assert_eq!(*at, Some(noon()));
                Ok(*available)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(available(json!({ "quantity": -0.5 })), Ok(Some(-1)));
    assert_eq!(available(json!({ "quantity": "12.999" })), Ok(Some(12)));
    assert_eq!(available(json!({ "quantity": null, "stockCount": 3 })), Ok(Some(3)));
    assert_eq!(available(json!({ "item": { "id": "I1" } })), Ok(None), "not counted");
    for wrong in [json!({ "quantity": "many" }), json!({ "quantity": 1e30 }), json!({ "quantity": [] })] {
        assert!(available(wrong).is_err());
    }
    let removed = Ok(vec![Fact::ProductRemoved { external: id("I1") }]);
    assert_eq!(seen(&look, &json!({ "id": "I1", "hidden": true })), removed);
    assert_eq!(seen(&look, &json!({ "id": "I1", "deleted": true })), removed);
    assert_eq!(seen(&look, &json!({ "message": "Not Found" })), removed);
}

#[test]
fn the_units_of_an_order_are_added_up_by_item() {
    let unit = |item: &str, parts: Value| json!({ "item": { "id": item }, "name": item, "unitQty": parts });
    let order = json!({ "id": "O1", "state": "locked", "paymentState": "PAID", "lineItems": { "elements": [
        unit("A", json!(null)), unit("B", json!(250)), { "name": "Gift wrap" }, unit("A", json!(null)),
        unit("B", json!(900)), unit("C", json!(0)), { "item": null, "name": "Gift wrap" },
        unit("A", json!("1000")),
    ] } });
    let line = |item: Option<&str>, units| SoldLine {
        external_variant: item.map(id),
        sku: None,
        quantity: Quantity::new(units).expect("a quantity"),
    };
    let lines = vec![line(Some("A"), 3), line(Some("B"), 2), line(None, 1), line(None, 1)];
    let paid = Fact::OrderPaid { external: id("O1"), lines, buyer: None, times: Default::default() };
    assert_eq!(seen(&hint("order", "O1"), &order), Ok(vec![paid]));
}

#[test]
fn an_order_is_what_its_states_and_payments_say() {
    let look = hint("order", "O1");
    let order = |state: Value, payment_state: Value, payments: Value| {
        let lines = json!({ "elements": [{ "item": { "id": "A" }, "name": "Runner" }] });
        let order = json!({
            "id": "O1", "state": state, "paymentState": payment_state, "lineItems": lines,
            "payments": { "elements": payments },
        });
        match &seen(&look, &order).expect("an order")[..] {
            [] => "nothing",
            [Fact::OrderPaid { lines, .. }] if lines.len() == 1 => "paid",
            other => panic!("{other:?}"),
        }
    };
    let (none, success) = (json!([]), json!([{ "id": "P1", "result": "SUCCESS" }]));
    assert_eq!(order(json!("open"), json!("OPEN"), none.clone()), "nothing", "a tab");
    assert_eq!(order(json!(null), json!(null), json!(null)), "nothing");
    for result in ["FAIL", "INITIATED", "VOIDED", "VOIDING"] {
        let payments = json!([{ "result": result }]);
        assert_eq!(order(json!("open"), json!("OPEN"), payments), "nothing", "{result}");
    }
    assert_eq!(order(json!("locked"), json!("OPEN"), none.clone()), "paid");
    assert_eq!(order(json!("LOCKED"), json!(null), json!(null)), "paid");
    assert_eq!(order(json!("open"), json!("PAID"), none.clone()), "paid");
    assert_eq!(order(json!("open"), json!("OPEN"), success.clone()), "paid");
    assert_eq!(order(json!("locked"), json!("PARTIALLY_REFUNDED"), success.clone()), "paid");
    assert_eq!(order(json!("locked"), json!("REFUNDED"), success.clone()), "nothing", "it may have left");
    assert_eq!(order(json!("locked"), json!("CREDITED"), success), "nothing");
    let lines = json!({ "elements": [{ "item": { "id": "A" }, "name": "Runner" }] });
    for deleted in [
        json!({ "id": "O1", "deleted": true }),
        json!({ "id": "O1", "deleted": true, "state": "open", "lineItems": lines }),
        json!({ "id": "O1", "deleted": true, "state": "locked", "paymentState": "PAID", "lineItems": lines }),
        json!({ "id": "O1", "deleted": true, "state": "locked", "paymentState": "REFUNDED" }),
    ] {
        let cancelled = Ok(vec![Fact::OrderCancelled { external: id("O1"), buyer: None, at: None }]);
        assert_eq!(seen(&look, &deleted), cancelled, "{deleted}");
    }
}

#[test]
fn an_order_is_of_its_first_payment_and_else_of_when_it_was_made() {
    let order = |payments: Value| {
        let lines = json!({ "elements": [{ "item": { "id": "A" }, "name": "Runner" }] });
        let order = json!({
            "id": "O1", "state": "locked", "lineItems": lines, "payments": { "elements": payments },
            "createdTime": 1_000, "modifiedTime": "9000",
        });
        match seen(&hint("order", "O1"), &order).expect("an order").as_slice() {
            [Fact::OrderPaid { times, .. }] => *times,
            other => panic!("{other:?}"),
        }
    };
    let at = DateTime::from_timestamp_millis;
    let paid = order(json!([{ "createdTime": 7_000 }, { "createdTime": 5_000 }, {}]));
    assert_eq!((paid.moved, paid.told), (at(5_000), at(9_000)));
    assert_eq!(order(json!([])).moved, at(1_000));
}

#[test]
fn an_order_of_nothing_says_nothing() {
    let look = hint("order", "O1");
    for state in ["open", "locked"] {
        for lines in
            [json!(null), json!({}), json!({ "elements": [] }), json!({ "elements": [{ "unitQty": 0 }] })]
        {
            let order = json!({ "id": "O1", "state": state, "lineItems": lines });
            assert_eq!(seen(&look, &order), Ok(vec![]), "{order}");
        }
    }
}

#[test]
fn an_order_that_may_have_more_lines_than_are_shown_is_refused() {
    let look = hint("order", "O1");
    let order = |state: &str, lines: usize| {
        let lines = vec![json!({ "item": { "id": "A" }, "name": "Runner" }); lines];
        json!({ "id": "O1", "state": state, "lineItems": { "elements": lines } })
    };
    let told = seen(&look, &order("locked", 99)).expect("an order");
    let [Fact::OrderPaid { lines, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(lines.iter().map(|line| line.quantity.units()).collect::<Vec<_>>(), [99]);
    assert_eq!(seen(&look, &order("open", 99)), Ok(vec![]));
    for lines in [100, 101, 499] {
        for state in ["open", "locked"] {
            assert!(seen(&look, &order(state, lines)).is_err(), "{state} {lines}");
        }
    }
    let mut over = order("locked", 100);
    over["paymentState"] = json!("REFUNDED");
    assert_eq!(seen(&look, &over), Ok(vec![]), "its lines do not matter");
    over["deleted"] = json!(true);
    assert_eq!(
        seen(&look, &over),
        Ok(vec![Fact::OrderCancelled { external: id("O1"), buyer: None, at: None }])
    );
}

#[test]
fn an_order_that_is_not_shown_may_be_too_new_and_an_item_is_gone() {
    for message in ["not found", "Not Found", "404 Not Found", "Order O1 not found"] {
        let answer = json!({ "message": message });
        assert!(seen(&hint("order", "X1"), &answer).is_err(), "{message}");
        let removed = Ok(vec![Fact::ProductRemoved { external: id("X1") }]);
        assert_eq!(seen(&hint("product", "X1"), &answer), removed, "{message}");
    }
    for resource in ["order", "product"] {
        assert!(
            seen(&hint(resource, "X1"), &json!({ "message": "401 Unauthorized" })).is_err(),
            "{resource}"
        );
    }
}

#[test]
fn an_answer_that_shows_something_else_is_refused() {
    let order = |line: Value| json!({ "id": "O1", "lineItems": { "elements": [line] } });
    for answer in [
        json!({}),
        json!({ "id": "O2" }),
        json!({ "message": "401 Unauthorized" }),
        json!({ "message": "Not Found" }),
        order(json!({ "unitQty": -1 })),
        order(json!({ "unitQty": 1.5 })),
        order(json!({ "unitQty": i64::MAX })),
        order(json!({ "item": { "id": "" } })),
        json!({ "id": "O1", "lineItems": { "elements": vec![json!({}); read::LINES_MAX + 1] } }),
    ] {
        assert!(seen(&hint("order", "O1"), &answer).is_err(), "{answer}");
    }
    assert!(seen(&hint("product", "I1"), &json!({ "id": "I2" })).is_err());
    let endless = json!({ "item": { "id": "A" }, "unitQty": i64::MAX });
    let endless = json!({ "id": "O1", "lineItems": { "elements": [endless, endless] } });
    assert!(seen(&hint("order", "O1"), &endless).is_err());
    assert!(Clover.seen(&hint("order", "O1"), b"<html>", noon(), &merchant(None)).is_err());
}

#[test]
fn a_sample_of_each_topic_is_genuine_and_tells_something() {
    let secrets = [Secret::new("code-1")];
    for (topic, account) in Clover.topics().iter().flat_map(|topic| [(topic, None), (topic, Some("M1"))]) {
        let details = merchant(account);
        let sample = Sample {
            id: Uuid::from_u128(7),
            now: noon(),
            url: "",
            secret: "code-1",
            details: &details,
            sku: "RUN-42",
        };
        let (pairs, body) = Clover.sample(topic, &sample).expect("a sample");
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = headers(&pairs);
        let request = Inbound {
            headers: &headers,
            body: &body,
            url: "",
            now: noon(),
            details: &details,
            secrets: &secrets,
        };
        assert_eq!(Clover.verify(&request), Ok(()), "{topic}");
        let identity = Clover.identify(&request).expect("an identity");
        assert_eq!((identity.topic.as_str(), identity.sent_at), (*topic, Some(noon())));
        let Ok(Decoded::Facts(facts)) = decoded(&body, account) else { panic!("{topic}") };
        assert_eq!(facts.len(), 1, "{topic}");
        assert_eq!(Clover.sample("P:CREATE", &sample), None);
    }
}

/// Recordings of the real platform, where they lie next to the repository.
fn recordings() -> Option<&'static Path> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads"));
    folder.is_dir().then_some(folder)
}

#[test]
fn recorded_bodies_are_understood() {
    let Some(folder) = recordings() else { return };
    let mut facts_told = 0;
    for entry in fs::read_dir(folder.join("clover")).expect("a folder of recordings") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = fs::read(&path).expect("a recording");
        assert_ne!(identity(&body).topic, "unknown", "{}", path.display());
        for account in ["XYZVJT2ZRRRSC", "MNOVJT2ZRRRSC"] {
            match decoded(&body, Some(account)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            {
                Decoded::Facts(facts) => facts_told += facts.len(),
                Decoded::UnknownTopic => assert_eq!(identity(&body).topic, "verification"),
            }
        }
    }
    assert_eq!(facts_told, 7);
}

#[test]
fn recorded_records_are_understood() {
    let Some(folder) = recordings() else { return };
    let item = fs::read(folder.join("clover/api/item-response__1.json")).expect("a recording");
    let item: Value = serde_json::from_slice(&item).expect("JSON");
    let look = hint("product", item["id"].as_str().expect("an id"));
    let told = seen(&look, &item).expect("an item");
    assert!(matches!(&told[..], [Fact::Product(product)] if product.at.timestamp() == 1_611_609_459));
}
