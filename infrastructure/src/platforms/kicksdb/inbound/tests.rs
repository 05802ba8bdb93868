//! `KicksDB`'s webhooks as they are documented, in models of our own; and as they were recorded, where recordings are.

use std::{fs, path::PathBuf};

use axum::http::{HeaderName, HeaderValue};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::super::fact::Fact;
use super::*;

const BODY: &[u8] = br#"{"event":"goat.price.updated.usd"}"#;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header's value"))
    };
    pairs.iter().map(pair).collect()
}

fn signed(sent: &str, body: &[u8], secret: &str) -> HeaderMap {
    headers(&[(TIMESTAMP, sent), (SIGNATURE, &sign(secret, body)), (EVENT_ID, "e1")])
}

fn verdict(headers: &HeaderMap, body: &[u8]) -> Result<(), Rejection> {
    verify(headers, body, &[Secret::new("new"), Secret::new("old")], now())
}

type Row = (String, Option<String>, String, String);

fn prices(body: &Value) -> Vec<Row> {
    let (prices, note) = noted(body);
    assert_eq!(note, None);
    prices
}

/// The prices, and what is said of those that could not be read.
fn noted(body: &Value) -> (Vec<Row>, Option<String>) {
    let decoded = decode(body.to_string().as_bytes(), now()).expect("a body that can be understood");
    let Decoded::Facts(facts) = decoded else { panic!("{decoded:?}") };
    let (mut prices, mut note) = (vec![], None);
    for fact in facts {
        match fact {
            Fact::PriceObserved { style_code, size, market, price, .. } => {
                prices.push((style_code, size, market.to_string(), price.to_string()));
            }
            Fact::Unread { note: said } => assert_eq!(note.replace(said), None, "one note is enough"),
            other => panic!("{other:?}"),
        }
    }
    (prices, note)
}

fn row(code: &str, size: Option<&str>, market: &str, price: &str) -> Row {
    (code.to_owned(), size.map(str::to_owned), market.to_owned(), price.to_owned())
}

#[test]
fn the_signature_is_the_published_construction() {
    // The second case of RFC 4231.
    let digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(sign("Jefe", b"what do ya want for nothing?"), format!("sha256={digest}"));
}

#[test]
fn a_signed_and_recent_request_is_accepted_under_either_secret() {
    for secret in ["new", "old"] {
        for sent in ["1800000000", "1799999700", "1800000300"] {
            assert_eq!(verdict(&signed(sent, BODY, secret), BODY), Ok(()));
        }
    }
    let shouted = sign("new", BODY)["sha256=".len()..].to_uppercase();
    let given = headers(&[(TIMESTAMP, "1800000000"), (SIGNATURE, &format!("sha256={shouted}"))]);
    assert_eq!(verdict(&given, BODY), Ok(()));
}

#[test]
fn five_minutes_are_the_most_either_way() {
    for sent in ["1799999699", "1800000301", "0", "-9223372036854775808", "9223372036854775807"] {
        assert_eq!(verdict(&signed(sent, BODY, "new"), BODY), Err(Rejection::Stale), "{sent}");
    }
    for sent in ["soon", "1800000000.5", "99999999999999999999"] {
        let verdict = verdict(&signed(sent, BODY, "new"), BODY);
        assert!(matches!(verdict, Err(Rejection::Malformed(_))), "{sent}");
    }
}

#[test]
fn the_timestamp_is_looked_at_before_the_signature() {
    assert_eq!(verdict(&headers(&[(SIGNATURE, "x")]), BODY), Err(Rejection::MissingHeader(TIMESTAMP)));
    assert_eq!(verdict(&headers(&[(TIMESTAMP, "1")]), BODY), Err(Rejection::Stale));
    let unsigned = headers(&[(TIMESTAMP, "1800000000")]);
    assert_eq!(verdict(&unsigned, BODY), Err(Rejection::MissingHeader(SIGNATURE)));
}

#[test]
fn a_wrong_signature_is_refused_in_whatever_way_it_is_wrong() {
    let right = sign("new", BODY);
    let bare = &right["sha256=".len()..];
    let base64 = "sha256=W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
    for wrong in [bare, &right[..40], &sign("other", BODY), base64, "sha256=", "sha256=é", "sha1=00"] {
        let given = HeaderValue::from_bytes(wrong.as_bytes()).expect("a header's value");
        let mut given: HeaderMap = [(HeaderName::from_static(SIGNATURE), given)].into_iter().collect();
        given.insert(TIMESTAMP, HeaderValue::from_static("1800000000"));
        assert!(verdict(&given, BODY).is_err(), "{wrong}");
    }
    assert_eq!(verdict(&signed("1800000000", BODY, "new"), b"{}"), Err(Rejection::BadSignature));
}

#[test]
fn a_delivery_is_known_by_its_event_id() {
    let given = headers(&[(EVENT_ID, "e1")]);
    for (body, topic) in [
        (BODY, "goat.price.updated.usd"),
        (br#"{"data":{"product":{"sku":"QS-1"}}}"#, "monitor"),
        (br#"{"data":{"product":null}}"#, "monitor"),
        (br#"{"data":[1]}"#, "unknown"),
        (b"\xef\xbb\xbf{\"event\":\"goat.price.updated.usd\"}", "goat.price.updated.usd"),
        (br#"{"event":5}"#, "unknown"),
        (br#"{"event":""}"#, "unknown"),
        (b"\xff{", "unknown"),
        (b"", "unknown"),
    ] {
        let identity = identify(&given, body, now()).expect("an identity");
        assert_eq!((identity.topic.as_str(), identity.external_id.as_str()), (topic, "e1"));
    }
    let signed = headers(&[(SIGNATURE, "sha256=00")]);
    assert_eq!(identify(&signed, BODY, now()), Err(Rejection::MissingHeader(EVENT_ID)));
}

#[test]
fn the_older_form_shows_the_secret_and_is_known_by_its_content_for_a_quarter_of_an_hour() {
    let shown = |secret: &str| verdict(&headers(&[(STATIC_KEY, secret)]), BODY);
    assert_eq!((shown("new"), shown("old")), (Ok(()), Ok(())));
    assert_eq!(shown("other"), Err(Rejection::BadSignature));
    let id = |minutes| {
        let at = DateTime::from_timestamp(1_800_000_000, 0).expect("a time") + TimeDelta::minutes(minutes);
        let identity = identify(&headers(&[(STATIC_KEY, "new")]), BODY, at).expect("an identity");
        assert!(identity.signed);
        identity.external_id
    };
    assert_eq!(id(0), id(14));
    assert_ne!(id(0), id(15));
}

#[test]
fn a_monitor_tells_the_sizes_that_can_be_had_and_no_size_is_not_every_size() {
    let body = json!({"data": {"currency": "GBP", "market": "FR", "platform": "stockx", "product": {
    "brand": "Quay", "id": "p", "sku": "QS1234-001", "slug": "s", "title": "Mole", "variants": [
        {"id": "a", "size": "9", "price": 69.0, "count": 2, "changed": true},
        {"id": "b", "size": "US 9.5", "price": 150, "count": 1, "changed": false},
        {"id": "c", "size": "10", "price": 0, "count": 0, "changed": true},
        {"id": "d", "size": null, "price": 70.005, "count": 1, "changed": true}
    ]}}});
    assert_eq!(
        prices(&body),
        [row("QS1234-001", Some("9"), "FR", "69.00 GBP"), row("QS1234-001", Some("9.5"), "FR", "150.00 GBP"),]
    );
}

#[test]
fn an_event_tells_prices_of_several_models() {
    let body = json!({"event": "stockx.price.updated.gbp", "timestamp": 1_799_999_000, "version": "v1", "data": [
        {"sku": "QS1", "variant_id": "v", "lowest_ask": 69.0, "number_of_asks": 4, "currency": "GBP",
         "sizes": [{"size": "UK 8", "type": "uk"}, {"size": "US 9", "type": "us"}]},
        {"sku": "QS2", "lowest_ask": 90.5, "sizes": [{"size": "EU 42", "type": "eu"}]},
        {"sku": "QS3", "lowest_ask": 12000, "currency": "JPY"},
        {"sku": "QS4", "lowest_ask": 0, "currency": "GBP"},
        {"sku": "", "lowest_ask": 5, "currency": "GBP"}
    ]});
    assert_eq!(
        prices(&body),
        [
            row("QS1", Some("9"), "UK", "69.00 GBP"),
            row("QS2", Some("42"), "UK", "90.50 GBP"),
            row("QS3", None, "JP", "12000 JPY"),
        ]
    );
}

#[test]
fn goat_writes_sizes_and_absence_in_its_own_way() {
    let body = json!({"event": "goat.price.updated.usd", "data": [
        {"sku": "QS1", "size_us": 9.5, "lowest_ask": 80, "available": true},
        {"sku": "QS1", "size_us": 10.0, "lowest_ask": 82, "available": "true"},
        {"sku": "QS1", "size_us": "10", "lowest_ask": 85, "available": false},
        {"sku": "QS1", "size_us": "11", "lowest_ask": 85, "available": "False"}
    ]});
    let expected = [row("QS1", Some("9.5"), "US", "80.00 USD"), row("QS1", Some("10"), "US", "82.00 USD")];
    assert_eq!(prices(&body), expected);
}

#[test]
fn what_is_sold_out_has_no_price() {
    for (count, there) in [
        (json!(0), false),
        (json!("0"), false),
        (json!(0.0), false),
        (json!(-1), false),
        (json!(1), true),
        (json!("2"), true),
        (json!(null), true),
        (json!("some"), true),
    ] {
        let body = json!({"data": {"currency": "USD", "product": {"sku": "QS1", "variants": [
            {"size": "9", "price": 19, "count": count}
        ]}}});
        assert_eq!(!prices(&body).is_empty(), there, "{count}");
        let body = json!({"event": "stockx.price.updated.usd", "data": [
            {"sku": "QS1", "lowest_ask": 55, "number_of_asks": count}
        ]});
        assert_eq!(!prices(&body).is_empty(), there, "{count}");
    }
}

#[test]
fn an_odd_price_is_noted_and_stands_in_no_others_way() {
    let good = json!({"sku": "QS1", "lowest_ask": 80});
    for odd in [
        json!({"sku": "QS2", "lowest_ask": 80, "currency": "CHF"}),
        json!({"sku": "QS2", "lowest_ask": "5,00"}),
        json!({"sku": "QS2", "lowest_ask": {}}),
        json!({"sku": "Q\u{0}S", "lowest_ask": 80}),
        json!({"sku": "QS2", "size_us": "9\u{0}", "lowest_ask": 80}),
        json!({"sku": 7, "lowest_ask": 80}),
        json!(null),
        json!("QS2"),
    ] {
        let body = json!({"event": "stockx.price.updated.usd", "data": [odd, good, odd]});
        let (prices, note) = noted(&body);
        assert_eq!(prices, [row("QS1", None, "US", "80.00 USD")], "{odd}");
        let note = note.expect("somebody is told");
        assert!(note.starts_with("2 of 3 could not be read") && !note.contains('\0'), "{note}");
        let alone = json!({"event": "stockx.price.updated.usd", "data": [odd]}).to_string();
        assert!(decode(alone.as_bytes(), now()).is_err(), "{odd}");
    }
    let sizes = json!({"event": "stockx.price.updated.usd", "data": [
        {"sku": "QS1", "sizes": [{"size": 9, "type": "us"}], "lowest_ask": 80}
    ]});
    assert_eq!(prices(&sizes), [row("QS1", Some("9"), "US", "80.00 USD")]);
    let variants =
        json!([{"size": [], "price": 60}, {"size": "9", "price": 69}, {"size": "8", "price": "free"}]);
    let body = json!({"data": {"currency": "USD", "product": {"sku": "QS1", "variants": variants}}});
    let (told, note) = noted(&body);
    assert_eq!(told, [row("QS1", Some("9"), "US", "69.00 USD")]);
    assert!(note.is_some_and(|note| note.starts_with("2 of 3 ")));
    let coded = json!({"data": {"currency": "USD", "product": {"sku": "Q\u{0}S", "variants": variants}}});
    assert!(decode(coded.to_string().as_bytes(), now()).is_err());
}

#[test]
fn a_price_is_of_the_end_of_the_events_second_and_never_of_the_future() {
    let at = |timestamp: Value| {
        let data = json!([{"sku": "QS1", "lowest_ask": 80}]);
        let body = json!({"event": "stockx.lowest_ask.updated.usd", "timestamp": timestamp, "data": data});
        match decode(body.to_string().as_bytes(), now()) {
            Ok(Decoded::Facts(facts)) => match &facts[..] {
                [Fact::PriceObserved { at, .. }] => now() - at.unwrap_or(now()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    for timestamp in [json!(1_799_999_000), json!("1799999000"), json!(1_799_999_000.5)] {
        assert_eq!(at(timestamp), TimeDelta::seconds(999) + TimeDelta::microseconds(1));
    }
    for timestamp in [json!(1_800_000_000), json!(1_900_000_000), json!(null), json!(i64::MAX), json!("soon")]
    {
        assert_eq!(at(timestamp), TimeDelta::zero());
    }
}

#[test]
fn a_delivery_was_sent_by_the_end_of_the_second_it_says() {
    let given = signed("1799999990", BODY, "new");
    let sent = identify(&given, BODY, now()).expect("an identity").sent_at;
    assert_eq!(sent.map(|sent| sent.timestamp_micros()), Some(1_799_999_990_999_999));
}

#[test]
fn other_events_are_none_of_ours() {
    for event in [
        "stockx.sale.created.usd",
        "stockx.price.updated",
        "goat.price.updated.usd.x",
        "ebay.price.updated.usd",
    ] {
        let body = json!({"event": event, "data": {"anything": true}});
        assert_eq!(decode(body.to_string().as_bytes(), now()), Ok(Decoded::UnknownTopic), "{event}");
    }
}

#[test]
fn a_body_without_meaning_is_refused() {
    let price = json!({"sku": "QS1", "lowest_ask": 80, "currency": "CHF"});
    let variants = vec![json!({"size": "9", "price": 1}); 2_001];
    for body in [
        json!({}),
        json!([]),
        json!({"data": null}),
        json!({"event": "stockx.price.updated.usd", "data": {"sku": "QS1"}}),
        json!({"event": "stockx.price.updated.usd", "data": [price]}),
        json!({"event": "stockx.price.updated.usd", "data": vec![json!({}); 2_001]}),
        json!({"data": {"currency": "dollars", "product": {"variants": []}}}),
        json!({"data": {"currency": "USD", "product": {"sku": "QS1", "variants": variants}}}),
    ] {
        assert!(decode(body.to_string().as_bytes(), now()).is_err());
    }
}

#[test]
fn recorded_bodies_are_understood() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/platforms/payloads/kicksdb");
    if !folder.is_dir() {
        return;
    }
    for (name, expected) in [
        ("monitor-product-v2__1.json", 0),
        ("stockx.lowest_ask.updated.usd__1.json", 1),
        ("stockx.price.updated.gbp__1.json", 2),
    ] {
        let text = fs::read_to_string(folder.join(name)).expect("a recording");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        let told = prices(&body);
        assert_eq!(told.len(), expected, "{name}");
        assert!(told.iter().all(|(code, ..)| text.contains(code.as_str())));
        assert_ne!(
            identify(&headers(&[(EVENT_ID, "e1")]), text.as_bytes(), now()).map(|it| it.topic),
            Ok("unknown".into())
        );
    }
}
