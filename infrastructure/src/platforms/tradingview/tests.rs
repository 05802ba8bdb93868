//! Alerts as authors type them: what lets them in, what tells them apart, and that no secret is handed on.

use std::{collections::BTreeSet, fs, path::Path};

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{Currency, LocationCode, Market},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{fact::Fact, read};
use super::*;
use crate::secrets::Secret;

const BARE: &str = "https://onhand.example/api/webhooks/tradingview";

fn connection() -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Tradingview,
        name: "Quay Watch".into(),
        brand: "Quay".into(),
        account: None,
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

fn verdict(url: &str, body: &[u8], secrets: &[&str]) -> Result<(), Rejection> {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    let (headers, details) = (HeaderMap::new(), connection());
    let request = Inbound { headers: &headers, body, url, now: noon(), details: &details, secrets: &secrets };
    Tradingview.verify(&request)
}

fn identity(body: &[u8], now: DateTime<Utc>) -> Identity {
    let (headers, details) = (HeaderMap::new(), connection());
    let request = Inbound { headers: &headers, body, url: BARE, now, details: &details, secrets: &[] };
    Tradingview.identify(&request).expect("an identity")
}

fn signal(body: &[u8]) -> (String, Value) {
    let details = connection();
    let decoded = Tradingview.decode(&Genuine { topic: "alert", body, at: noon(), details: &details });
    match decoded.expect("any text is an alert") {
        Decoded::Facts(facts) => match &facts[..] {
            [Fact::SignalRaised { subject, payload }] => (subject.clone(), payload.clone()),
            other => panic!("{other:?}"),
        },
        Decoded::UnknownTopic => panic!("an alert is never of no use"),
    }
}

#[test]
fn a_secret_at_the_end_of_the_address_lets_an_alert_in() {
    for url in [
        "https://onhand.example/api/webhooks/tradingview/s%65a%20%2Fgull",
        "/api/webhooks/tradingview/sea%20%2fgull?source=tv#here",
    ] {
        assert_eq!(verdict(url, b"up", &["sea /gull"]), Ok(()), "{url}");
        assert_eq!(verdict(url, b"up", &["other", "sea /gull"]), Ok(()), "while secrets are changed over");
        assert_eq!(verdict(url, b"up", &["other"]), Err(Rejection::BadSignature));
        assert_eq!(verdict(url, b"up", &[]), Err(Rejection::BadSignature));
    }
    for url in
        [BARE, "https://onhand.example/api/webhooks/tradingview/", "", "tradingview", "/%", "/%4", "/%zz"]
    {
        assert_eq!(verdict(url, b"up", &["gull", "tradingview", ""]), Err(Rejection::BadSignature), "{url}");
    }
}

#[test]
fn a_secret_in_the_text_lets_an_alert_in() {
    for body in [
        r#"{"secret":"gull","price":1}"#,
        r#"{"Passphrase":"gull"}"#,
        "\u{feff}{\"token\":\"gull\"}",
        "secret=gull",
        "Runner crossed 129 secret=gull, now",
        "ticker=RUN;secret=\"gull\";price=1",
        "secret = 'gull' up",
        "secret: gull",
        r#"{"secret":"gull","price":}"#,
        r#"{"price":, "secret" : "gull"}"#,
        r#"["secret=gull"]"#,
        r#""up secret=gull""#,
        "x?a=1&secret=gull&b=2",
    ] {
        assert_eq!(verdict(BARE, body.as_bytes(), &["gull"]), Ok(()), "{body}");
        assert_eq!(verdict(BARE, body.as_bytes(), &["other"]), Err(Rejection::BadSignature), "{body}");
        assert_eq!(verdict(BARE, body.as_bytes(), &[]), Err(Rejection::BadSignature), "{body}");
    }
}

#[test]
fn a_secret_elsewhere_or_another_one_is_refused() {
    for body in [
        "",
        "gull",
        "secret gull",
        "secret=",
        "secret=gulls",
        "secret=Gull",
        "nosecret=gull",
        "secrets=gull",
        r#"{"message":"secret=gull"}"#,
        r#"{"strategy":{"secret":"gull"}}"#,
        r#"{"secret":["gull"]}"#,
        r#"{"secret":null}"#,
        "\u{0}",
    ] {
        assert_eq!(verdict(BARE, body.as_bytes(), &["gull", ""]), Err(Rejection::BadSignature), "{body}");
    }
    assert_eq!(verdict(BARE, b"\xff\xfesecret=\xff", &["gull"]), Err(Rejection::BadSignature));
}

#[test]
fn equal_alerts_at_different_times_are_different_alerts() {
    let later = noon() + TimeDelta::minutes(1);
    for body in [
        &b"Runner crossed 129"[..],
        br#"{"ticker":"RUN"}"#,
        br#"{"ticker":"RUN","time":"","timestamp":null}"#,
        br#"{"time":"2026-03-01T11:00:00Z"}"#,
        br#"{"ticker":"RUN","time":1772362800}"#,
        br#"{"ticker":"RUN","time":"1772362800000","timenow":""}"#,
        br#"{"price":,"time":"2026-03-01T11:00:00Z"}"#,
        b"Runner up, time=2026-03-01T11:00:00Z",
        b"at time: 14:30 each day",
        b"",
    ] {
        let first = identity(body, noon());
        assert_eq!(first, identity(body, noon() + TimeDelta::seconds(59)));
        assert_ne!(first.external_id, identity(body, later).external_id);
        assert_eq!((first.topic.as_str(), first.signed, first.sent_at), ("alert", true, None));
    }
}

#[test]
fn an_alert_that_tells_its_time_is_the_same_alert_whenever_it_comes() {
    let later = noon() + TimeDelta::minutes(10);
    for (body, sent_at) in [
        (r#"{"timenow":"2026-03-01T12:00:00Z","time":"2026-03-01T11:00:00Z"}"#, Some(noon())),
        (r#"{"timestamp":1772366400}"#, Some(noon())),
        (r#"{"timestamp":"1772366400000"}"#, Some(noon())),
        ("Runner up, timenow=2026-03-01T12:00:00Z", Some(noon())),
        (r#"{"price":,"timenow":"2026-03-01T12:00:00Z"}"#, Some(noon())),
        (r#"{"timenow":"soon","timestamp":1772366400,"time":1772362800}"#, Some(noon())),
    ] {
        let first = identity(body.as_bytes(), noon());
        assert_eq!(first, identity(body.as_bytes(), later), "{body}");
        assert_eq!(first.sent_at, sent_at, "{body}");
    }
    let at = |minute: &str| identity(format!("timenow=2026-03-01T12:0{minute}:00Z").as_bytes(), noon());
    assert_ne!(at("1").external_id, at("2").external_id);
}

#[test]
fn two_alerts_of_one_bar_are_two_alerts() {
    // The time is when the bar of the chart began; it is the same for all that is seen within the bar.
    let hourly = br#"{"ticker":"RUN","interval":"60","time":"2026-03-01T11:00:00Z"}"#;
    let at = |minutes: i64| identity(hourly, noon() + TimeDelta::minutes(minutes));
    let ids: BTreeSet<_> = [0, 1, 30, 59].into_iter().map(|minutes| at(minutes).external_id).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(at(0).sent_at, None, "nobody says when it was sent");
}

#[test]
fn json_is_handed_on_without_its_secrets() {
    let body = json!({
        "secret": "gull", "PASSPHRASE": "gull", "token": 7, "ticker": "RUN", "price": 129.5,
        "strategy": { "order": { "id": "A1", "secret": "gull" }, "notes": ["a\u{0}b", { "token": "gull" }] },
        "\u{0}secret": "gull"
    });
    let (subject, payload) = signal(body.to_string().as_bytes());
    assert_eq!(subject, "RUN");
    let expected = json!({
        "ticker": "RUN", "price": 129.5, "strategy": { "order": { "id": "A1" }, "notes": ["ab", {}] }
    });
    assert_eq!(payload, expected);
}

#[test]
fn json_is_handed_on_with_every_digit() {
    let (subject, payload) =
        signal(br#"{"ticker":"RUN","id":732357708734418520388,"close":129.50,"n":[-7]}"#);
    let expected = json!({ "ticker": "RUN", "id": "732357708734418520388", "close": 129.5, "n": [-7] });
    assert_eq!((subject.as_str(), payload), ("RUN", expected));
}

#[test]
fn a_text_is_handed_on_without_its_secrets() {
    for (body, text) in [
        ("Runner crossed 129 secret=gull now", "Runner crossed 129 now"),
        ("secret=gull", ""),
        ("up Secret: \"gu ll\"", "up "),
        ("up secret='gull secret=gull", "up "),
        ("a=1&token=gull&b=2", "a=1&&b=2"),
        (r#"{"secret":"gu\"ll","price":}"#, r#"{,"price":}"#),
        (r#"["{\"secret\":\"gull\",\"x\":1}"]"#, r#"["{,\"x\":1}"]"#),
        (r#""up secret=gull""#, "up "),
        ("se\u{0}cret=gull", ""),
        ("secret=secret \"= gull", "\"= gull"),
        ("a secret= up", "a "),
        ("no secrets here: none", "no secrets here: none"),
        ("7", "7"),
        ("null", "null"),
    ] {
        assert_eq!(signal(body.as_bytes()).1, json!({ "text": text }), "{body}");
    }
    assert_eq!(signal(b"\xff\xfeup\x00").1, json!({ "text": "\u{fffd}\u{fffd}up" }));
    let endless = signal("ü".repeat(10_001).as_bytes()).1;
    assert_eq!(endless["text"].as_str().map(|text| text.chars().count()), Some(10_000));
}

#[test]
fn the_subject_is_what_the_alert_names() {
    for (body, subject) in [
        (r#"{"symbol":"SYM","ticker":"RUN"}"#, "RUN"),
        (r#"{"ticker":" ","symbol":"SYM"}"#, "SYM"),
        (r#"{"ticker":700}"#, "700"),
        (r#"{"ticker":{},"strategy":"Breakout"}"#, "Breakout"),
        (r#"{"strategy":{"order":1}}"#, "alert"),
        (r#"{"ticker":"R\u0000U\nN"}"#, "RUN"),
        (r#"{"ticker":"RUN","price":}"#, "RUN"),
        (r#"{"price":,"symbol": SYM}"#, "SYM"),
        ("ticker=RUN price=129", "RUN"),
        ("up, Symbol: QUAY:RUN, now", "QUAY:RUN"),
        ("ticker=secret=gull", "alert"),
        ("Runner crossed 129", "alert"),
        ("{}", "alert"),
        (" ", "alert"),
    ] {
        assert_eq!(signal(body.as_bytes()).0, subject, "{body}");
    }
    let endless = json!({ "ticker": "ü".repeat(101) }).to_string();
    assert_eq!(signal(endless.as_bytes()).0, "ü".repeat(100));
}

#[test]
fn only_an_empty_body_is_no_alert() {
    let details = connection();
    let empty = Genuine { topic: "alert", body: b"", at: noon(), details: &details };
    assert!(Tradingview.decode(&empty).is_err());
    for body in [&b"["[..], b"{", b"=", b":", b"secret", b"secret=\"", b"secret=\\", b"\"", b"\xff", b"\x00"]
    {
        signal(body);
    }
    signal("[".repeat(100_000).as_bytes());
    signal("secret=\"\\\" ".repeat(20_000).as_bytes());
}

#[test]
fn the_sample_is_genuine_and_shows_no_secret() {
    let details = connection();
    let sample = Sample {
        id: Uuid::from_u128(7),
        now: noon(),
        url: BARE,
        secret: "a \"gull\"",
        details: &details,
        sku: "RUN-42",
    };
    let (_, body) = Tradingview.sample("alert", &sample).expect("a sample");
    assert_eq!(verdict(BARE, &body, &["a \"gull\""]), Ok(()));
    assert_eq!(identity(&body, noon()).sent_at, Some(noon()));
    let (subject, payload) = signal(&body);
    assert_eq!(subject, "RUN-42");
    assert!(!payload.to_string().contains("gull"));
    assert_eq!(Tradingview.sample("order", &sample), None);
}

#[test]
fn recorded_alerts_are_read() {
    let folder =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads/tradingview"));
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let body = fs::read(entry.expect("an entry").path()).expect("a recording");
        let (subject, payload) = signal(&body);
        assert!(!subject.is_empty() && payload.is_object());
    }
}
