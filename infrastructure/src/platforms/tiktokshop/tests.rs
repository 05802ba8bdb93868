//! `TikTok` Shop's notices and answers as documented, in goods of our own; and as published, if copies exist.

use std::{fs, path::PathBuf};

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
        adapter::{Access, Adapter, Call, Genuine, Hint, Inbound, Sample},
        fact::{Decoded, Fact, Identity, Rejection, SoldLine, Undecodable},
        read,
    },
    TiktokShop, inbound, look,
};
use crate::secrets::Secret;

const BODY: &str = r#"{"type":1,"data":{"order_id":"576653688135258179","order_status":"CANCELLED"}}"#;
/// Made with another program from the secret `app-secret`, over the app key `6quay` and the body.
const SIGNED: &str = "ccc813789e33af85877d5e56c2a1f79b2211fe8cbc5886d52a42847f78fa2b58";

fn shop() -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::TiktokShop,
        name: "Quay Side".into(),
        brand: "Quay".into(),
        account: Some("ROW_quay+1".into()),
        app: Some("6quay".into()),
        endpoint: None,
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("GBP").expect("a currency"),
    }
}

fn noon() -> DateTime<Utc> {
    read::time("2026-03-01T12:00:00Z").expect("a time")
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn hint(resource: &'static str, external: &str) -> Hint {
    Hint { resource, external: id(external), titled: None }
}

fn verified(signatures: &[&str], app: Option<&str>, body: &str, secrets: &[&str]) -> Result<(), Rejection> {
    let mut headers = HeaderMap::new();
    for value in signatures {
        let value = HeaderValue::from_str(value).expect("a header's value");
        headers.append(HeaderName::from_static("authorization"), value);
    }
    let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::new).collect();
    TiktokShop.verify(&Inbound {
        headers: &headers,
        body: body.as_bytes(),
        url: "https://quay.example/hooks/7",
        now: noon(),
        details: &ConnectionDetails { app: app.map(str::to_owned), ..shop() },
        secrets: &secrets,
    })
}

fn decoded(body: &str) -> Result<Decoded, Undecodable> {
    let topic = inbound::identify(body.as_bytes()).topic;
    TiktokShop.decode(&Genuine { topic: &topic, body: body.as_bytes(), at: noon(), details: &shop() })
}

fn facts(body: &Value) -> Vec<Fact> {
    match decoded(&body.to_string()).expect("a body that can be understood") {
        Decoded::Facts(facts) => facts,
        Decoded::UnknownTopic => panic!("no topic of ours: {body}"),
    }
}

fn seen(hint: &Hint, answer: &Value) -> Result<Vec<Fact>, Undecodable> {
    TiktokShop.seen(hint, answer.to_string().as_bytes(), noon(), &shop())
}

fn look_at(
    hint: &Hint,
    details: &ConnectionDetails,
    token: Option<&str>,
    secret: Option<&str>,
) -> Option<Call> {
    let (token, secret) = (token.map(Secret::new), secret.map(Secret::new));
    let access = Access { details, token: token.as_ref(), app_secret: secret.as_ref(), now: noon() };
    TiktokShop.look(hint, &access)
}

#[test]
fn the_app_key_and_the_body_are_signed_in_letters_of_either_case() {
    let app = Some("6quay");
    assert_eq!(verified(&[SIGNED], app, BODY, &["app-secret"]), Ok(()));
    assert_eq!(verified(&[&SIGNED.to_uppercase()], app, BODY, &["app-secret"]), Ok(()));
    assert_eq!(verified(&[SIGNED], app, BODY, &["new", "app-secret"]), Ok(()), "during rotation");
    assert_eq!(verified(&["nonsense", SIGNED], app, BODY, &["app-secret"]), Ok(()), "beside another value");
}

#[test]
fn a_changed_byte_or_another_secret_or_app_is_refused() {
    let refused = Err(Rejection::BadSignature);
    let app = Some("6quay");
    let changed = BODY.replace("CANCELLED", "COMPLETED");
    assert_eq!(verified(&[SIGNED], app, &changed, &["app-secret"]), refused);
    assert_eq!(verified(&[SIGNED], app, BODY, &["App-secret"]), refused);
    assert_eq!(verified(&[SIGNED], Some("7quay"), BODY, &["app-secret"]), refused);
    assert_eq!(verified(&[SIGNED], None, BODY, &["app-secret"]), refused);
    assert_eq!(verified(&[SIGNED], app, BODY, &[]), refused);
    assert_eq!(verified(&[SIGNED], app, BODY, &[""]), refused);
    for nonsense in ["%%%", "00", "sha256=00", &SIGNED[..62]] {
        assert_eq!(verified(&[nonsense], app, BODY, &["app-secret"]), refused, "{nonsense}");
    }
    let missing = Err(Rejection::MissingHeader("Authorization"));
    assert_eq!(verified(&[], app, BODY, &["app-secret"]), missing);
}

#[test]
fn a_notice_is_known_by_its_id_or_else_by_its_content() {
    let made = |body: &Value| inbound::identify(body.to_string().as_bytes());
    let notice =
        json!({"type": "27", "tts_notification_id": "7300000000000000919", "timestamp": "1772366400"});
    let known = Identity {
        topic: "inventory_status_change".into(),
        external_id: "7300000000000000919".into(),
        signed: true,
        sent_at: Some(noon()),
    };
    assert_eq!(made(&notice), known);
    let bare = json!({
        "event_id": "d781", "occurred_at": "2026-03-01T12:00:00.000Z", "quantity_snapshot_after_change": {}
    });
    let known = Identity { topic: "inventory_change".into(), external_id: "d781".into(), ..known };
    assert_eq!(made(&bare), known);
    let older = made(&json!({"type": 1, "timestamp": 0}));
    assert!(older.external_id.starts_with("sha256:") && older.signed && older.sent_at.is_none());
    assert_ne!(older.external_id, made(&json!({"type": 1, "timestamp": 2})).external_id);
    assert!(made(&json!({"tts_notification_id": "x".repeat(256)})).external_id.starts_with("sha256:"));
}

#[test]
fn a_topic_is_a_name_and_a_body_that_makes_no_sense_is_unknown() {
    let topic = |body: &str| inbound::identify(body.as_bytes()).topic;
    assert_eq!(topic(r#"{"type":1}"#), "order_status_change");
    assert_eq!(topic(r#"{"type":"68"}"#), "inventory_change");
    assert_eq!(topic(r#"{"type":4711}"#), "type 4711");
    for nonsense in ["", "{", "[]", "null", "{}", r#"{"type":null}"#, r#"{"type":1.5}"#, r#"{"type":"x"}"#] {
        assert_eq!(topic(nonsense), "unknown", "{nonsense}");
        assert!(decoded(nonsense).is_err(), "{nonsense}");
    }
    assert_eq!(inbound::identify(b"\xff").topic, "unknown");
}

#[test]
fn an_order_is_cancelled_or_must_be_looked_at() {
    let order = |id: Value, status: Value| {
        facts(&json!({"type": 1, "data": {"order_id": id, "order_status": status}}))
    };
    let external = id("576653688135258179");
    for status in ["CANCELLED", "CANCEL"] {
        let cancelled = Fact::OrderCancelled { external: external.clone(), buyer: None, at: None };
        assert_eq!(order(json!(576_653_688_135_258_179_u64), json!(status)), [cancelled]);
    }
    for status in [json!("UNPAID"), json!("AWAITING_SHIPMENT"), json!("DELIVERED"), json!(null)] {
        let looked = Fact::Hint(hint("order", external.as_str()));
        assert_eq!(order(json!("576653688135258179"), status), [looked]);
    }
}

#[test]
fn a_cancellation_counts_when_it_went_through() {
    let cancellation = |status: Value| {
        facts(&json!({"type": 11, "data": {"order_id": "77", "cancel_id": "4", "cancel_status": status}}))
    };
    for status in ["CANCELLATION_REQUEST_SUCCESS", "CANCELLATION_REQUEST_COMPLETE"] {
        assert_eq!(cancellation(json!(status)), [Fact::Hint(hint("order", "77"))]);
    }
    for status in [json!("CANCELLATION_REQUEST_PENDING"), json!("CANCELLATION_REQUEST_CANCEL"), json!(null)] {
        assert!(cancellation(status.clone()).is_empty(), "{status}");
    }
}

#[test]
fn notices_about_a_product_are_hints_with_every_digit_of_its_id() {
    for kind in [5, 15, 16, 27, 37, 68] {
        for product in [json!(9_007_199_254_740_993_u64), json!("9007199254740993")] {
            let body =
                json!({"type": kind, "data": {"product_id": product, "status": "PRODUCT_STATUS_CHANGED"}});
            assert_eq!(facts(&body), [Fact::Hint(hint("product", "9007199254740993"))], "{kind}");
        }
    }
    let beyond = json!({"type": 27, "data": {"product_id": "700000000000000000717", "status": 3}});
    assert_eq!(facts(&beyond), [Fact::Hint(hint("product", "700000000000000000717"))]);
    let bare = json!({"product_id": "12", "quantity_snapshot_after_change": {"in_shop_quantity": 7}});
    assert_eq!(facts(&bare), [Fact::Hint(hint("product", "12"))]);
    let deleted = json!({"type": 5, "data": {"product_id": 12, "status": "DELETED"}});
    assert_eq!(facts(&deleted), [Fact::ProductRemoved { external: id("12") }]);
}

#[test]
fn other_notices_are_none_of_ours_and_broken_ones_are_refused() {
    for kind in [0, 2, 3, 4, 6, 7, 12, 18, 21, 24, 39, 67, 999] {
        let body = json!({"type": kind, "data": "anything"}).to_string();
        assert_eq!(decoded(&body), Ok(Decoded::UnknownTopic), "{kind}");
    }
    for body in [
        json!({"type": 1}),
        json!({"type": 1, "data": null}),
        json!({"type": 1, "data": {"order_status": "CANCELLED"}}),
        json!({"type": 1, "data": {"order_id": "", "order_status": "CANCELLED"}}),
        json!({"type": 11, "data": {"order_id": null}}),
        json!({"type": 5, "data": {"product_id": 1.5}}),
        json!({"type": 68, "data": []}),
        json!({"quantity_snapshot_after_change": {}}),
    ] {
        assert!(decoded(&body.to_string()).is_err(), "{body}");
    }
}

#[test]
fn a_call_is_signed_over_the_path_and_the_query() {
    let details = shop();
    let call = look_at(&hint("order", "576653688135258179"), &details, Some("token-1"), Some("app-secret"));
    let call = call.expect("a call");
    let headers =
        vec![("x-tts-access-token", "token-1".to_owned()), ("content-type", "application/json".to_owned())];
    assert_eq!((call.method, call.headers, call.body), (Method::GET, headers, None));
    assert_eq!(
        call.target,
        "/order/202309/orders?app_key=6quay&shop_cipher=ROW_quay%2B1&timestamp=1772366400\
         &ids=576653688135258179&sign=d0d1027f5486b6a6b16eb640aac272024c2a0ae9a22bc5dfa9c52e2d0d92a64c"
    );
    let call = look_at(&hint("product", "17/29"), &details, Some("token-1"), Some("app-secret"));
    assert!(call.expect("a call").target.starts_with("/product/202309/products/17%2F29?app_key=6quay&"));
}

#[test]
fn nothing_is_called_without_what_a_call_takes() {
    let (order, details) = (hint("order", "77"), shop());
    assert_eq!(look_at(&order, &details, None, Some("app-secret")), None);
    assert_eq!(look_at(&order, &details, Some("token-1"), None), None);
    let keyless = ConnectionDetails { app: None, ..shop() };
    assert_eq!(look_at(&order, &keyless, Some("token-1"), Some("app-secret")), None);
    let shopless = ConnectionDetails { account: None, ..shop() };
    assert_eq!(look_at(&order, &shopless, Some("token-1"), Some("app-secret")), None);
    assert_eq!(look_at(&hint("catalog", "77"), &details, Some("token-1"), Some("app-secret")), None);
}

fn order_answer(status: &str, lines: &Value) -> Value {
    json!({"code": 0, "message": "Success", "data": {"orders": [
        {"id": "78", "status": "COMPLETED", "line_items": []},
        {"id": "77", "status": status, "line_items": lines}
    ]}})
}

#[test]
fn units_of_one_sku_are_one_line() {
    let unit = |sku: Value, seller: &str, title: &str| {
        let (id, status) = ("1", "AWAITING_SHIPMENT");
        json!({
            "id": id, "sku_id": sku, "seller_sku": seller, "product_name": title, "display_status": status,
        })
    };
    let mut called_back = unit(json!("1690000000000000808"), "RUN-42", "Runner");
    called_back["display_status"] = json!("CANCELLED");
    let lines = json!([
        unit(json!("1690000000000000808"), "RUN-42", "Runner"),
        unit(json!(9_007_199_254_740_993_u64), "", "Mole"),
        unit(json!(1_690_000_000_000_000_808_u64), "RUN-42", "Runner"),
        called_back,
        {"sku_id": null, "seller_sku": null}
    ]);
    let line = |variant: Option<&str>, sku: Option<&str>, quantity| SoldLine {
        external_variant: variant.map(id),
        sku: sku.and_then(|sku| Sku::new(sku).ok()),
        quantity: Quantity::new(quantity).expect("a quantity"),
    };
    let sold = vec![
        line(Some("1690000000000000808"), Some("RUN-42"), 2),
        line(Some("9007199254740993"), None, 1),
        line(None, None, 1),
    ];
    let (order, external) = (hint("order", "77"), id("77"));
    for status in ["UNPAID", "ON_HOLD"] {
        let placed = Fact::OrderPlaced {
            external: external.clone(),
            lines: sold.clone(),
            buyer: None,
            times: Default::default(),
        };
        assert_eq!(seen(&order, &order_answer(status, &lines)), Ok(vec![placed]), "{status}");
    }
    for status in ["AWAITING_SHIPMENT", "IN_TRANSIT", "COMPLETED"] {
        let paid = Fact::OrderPaid {
            external: external.clone(),
            lines: sold.clone(),
            buyer: None,
            times: Default::default(),
        };
        assert_eq!(seen(&order, &order_answer(status, &lines)), Ok(vec![paid]), "{status}");
    }
    let cancelled = Fact::OrderCancelled { external, buyer: None, at: None };
    assert_eq!(seen(&order, &order_answer("CANCELLED", &json!(null))), Ok(vec![cancelled]));
}

#[test]
fn an_order_that_cannot_be_counted_is_refused() {
    let order = hint("order", "77");
    let many: Vec<Value> = (0..501).map(|sku| json!({"sku_id": sku})).collect();
    for lines in [json!(null), json!(many), json!([{"sku_id": ""}]), json!({})] {
        assert!(seen(&order, &order_answer("AWAITING_SHIPMENT", &lines)).is_err(), "{lines}");
    }
    assert!(seen(&hint("order", "79"), &order_answer("UNPAID", &json!([]))).is_err(), "another order");
    assert!(seen(&order, &json!({"code": 0, "data": null})).is_err());
    assert!(TiktokShop.seen(&order, b"<html>", noon(), &shop()).is_err());
}

#[test]
fn an_error_is_told() {
    let answer = json!({"code": 105_002, "message": "the token has expired", "data": null});
    for resource in ["order", "product"] {
        let refused = seen(&hint(resource, "77"), &answer).expect_err("an error");
        assert!(refused.0.contains("105002: the token has expired"), "{refused}");
    }
    assert!(seen(&hint("order", "77"), &json!({"message": "no code"})).is_err());
    assert!(seen(&hint("order", "77"), &json!({"code": "x"})).is_err());
}

fn product_answer(product: &Value) -> Value {
    json!({"code": "0", "message": "Success", "data": product})
}

#[test]
fn a_product_is_seen_with_its_skus_and_their_stock() {
    let answer = product_answer(&json!({
        "id": "1729592969712207008", "title": " Harbour Runner ", "status": "PLATFORM_DEACTIVATED",
        "update_time": 1_772_280_000, "brand": {"id": "1", "name": "Quay"},
        "skus": [
            {
                "id": "1690000000000000717", "seller_sku": "RUN-42",
                "price": {"sale_price": "129.90", "tax_exclusive_price": "108.25", "currency": "GBP"},
                "sales_attributes": [
                    {"name": "Size", "value_name": "42"}, {"name": "", "value_name": "Sand"}
                ],
                "inventory": [{"warehouse_id": "70", "quantity": 4}, {"warehouse_id": null, "quantity": "3"}],
            },
            {
                "id": 9_007_199_254_740_993_u64, "seller_sku": "",
                "price": {"sale_price": "", "tax_exclusive_price": "7", "currency": "GBP"},
            },
            {"id": "14", "price": {"sale_price": "9.00", "currency": "USD"}, "sales_attributes": null},
        ],
    }));
    let facts = seen(&hint("product", "1729592969712207008"), &answer).expect("facts");
    let [Fact::Product(product), counted @ ..] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((product.external.as_str(), product.complete), ("1729592969712207008", true));
    assert_eq!(Some(product.at), read::time("2026-02-28T12:00:00Z"));
    let details = &product.details;
    assert_eq!((details.title.as_str(), details.vendor.as_deref()), ("Harbour Runner", Some("Quay")));
    let [sized, bare, foreign] = product.variants.as_slice() else { panic!("{product:?}") };
    assert_eq!(
        (sized.external.as_str(), sized.inventory.as_ref()),
        ("1690000000000000717", Some(&sized.external))
    );
    assert_eq!(sized.sku.as_ref().map(Sku::as_str), Some("RUN-42"));
    assert_eq!(sized.price.map(|price| price.to_string()).as_deref(), Some("129.90 GBP"));
    let attributes = [("size".to_owned(), "42".to_owned()), ("option2".to_owned(), "Sand".to_owned())];
    assert_eq!(sized.attributes, attributes.into());
    assert_eq!((bare.external.as_str(), &bare.sku), ("9007199254740993", &None));
    assert_eq!(bare.price.map(|price| price.minor), Some(700), "the price before taxes");
    assert_eq!(foreign.price, None, "a price in another currency");
    let stock = |place: Option<&str>, available| Fact::StockObserved {
        inventory: id("1690000000000000717"),
        platform_location: place.map(id),
        available: Some(available),
        at: Some(noon()),
    };
    assert_eq!(counted, [stock(Some("70"), 4), stock(None, 3)]);
}

#[test]
fn a_deleted_product_is_gone_and_one_that_is_off_or_a_draft_says_nothing() {
    let product = hint("product", "17");
    let deleted = product_answer(&json!({"id": "17", "status": "DELETED", "skus": [{"id": "18"}]}));
    assert_eq!(seen(&product, &deleted), Ok(vec![Fact::ProductRemoved { external: id("17") }]));
    let off = json!({"id": "17", "title": "Runner", "status": "SELLER_DEACTIVATED", "skus": [{"id": "18"}]});
    assert_eq!(seen(&product, &product_answer(&off)), Ok(vec![]), "its seller has switched it off");
    let draft = product_answer(&json!({"id": "17", "status": "DRAFT", "skus": []}));
    assert_eq!(seen(&product, &draft), Ok(vec![]));
    for wrong in [
        json!({"title": "Runner"}),
        json!({"id": "17", "skus": [{"seller_sku": "RUN-42"}]}),
        json!({"id": "17", "skus": [{"id": "18", "inventory": [{"quantity": "few"}]}]}),
        json!({"id": "17", "skus": [{"id": "18", "inventory": [{"warehouse_id": "70"}]}]}),
    ] {
        assert!(seen(&product, &product_answer(&wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn what_merely_describes_a_product_may_be_missing_or_wrong() {
    let answer = product_answer(&json!({"id": 17, "update_time": "soon", "brand": "Quay", "skus": [
        {"id": 18, "seller_sku": "a\nb", "price": "7.00", "sales_attributes": {}, "inventory": null}
    ]}));
    let facts = seen(&hint("product", "17"), &answer).expect("facts");
    let [Fact::Product(product)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((product.details.title.as_str(), &product.details.vendor, product.at), ("", &None, noon()));
    let [variant] = product.variants.as_slice() else { panic!("{product:?}") };
    assert_eq!((&variant.sku, &variant.price), (&None, &None));
    assert!(variant.attributes.is_empty());
}

#[test]
fn each_sample_verifies_and_says_something() {
    let details = shop();
    for topic in TiktokShop.topics().iter().copied() {
        let sample = Sample {
            id: Uuid::from_u128(u128::MAX),
            now: noon(),
            url: "https://quay.example/hooks/7",
            secret: "app-secret",
            details: &details,
            sku: "RUN-42",
        };
        let (pairs, body) = TiktokShop.sample(topic, &sample).expect("a sample");
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(&value).expect("a header's value"));
        }
        let secrets = [Secret::new("app-secret")];
        let request = Inbound {
            headers: &headers,
            body: &body,
            url: sample.url,
            now: noon(),
            details: &details,
            secrets: &secrets,
        };
        assert_eq!(TiktokShop.verify(&request), Ok(()), "{topic}");
        let identity = TiktokShop.identify(&request).expect("an identity");
        assert_eq!((identity.topic.as_str(), identity.sent_at), (topic, Some(noon())));
        assert!(!identity.external_id.starts_with("sha256:"), "{topic}");
        let delivery = Genuine { topic, body: &body, at: noon(), details: &details };
        let understood = TiktokShop.decode(&delivery);
        assert!(matches!(&understood, Ok(Decoded::Facts(facts)) if !facts.is_empty()), "{understood:?}");
    }
    assert!(TiktokShop.topics().contains(&"order_status_change"));
}

/// Copies of what the real platform sends, where they lie next to the repository.
fn copies() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads"));
    folder.is_dir().then_some(folder)
}

fn vectors(folder: &std::path::Path) -> Vec<Value> {
    let vectors = fs::read(folder.join("signature_vectors.json")).expect("the vectors");
    serde_json::from_slice(&vectors).expect("JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn published_bodies_are_understood_with_every_digit_or_none_of_ours() {
    let Some(folder) = copies() else { return };
    let mut told = 0;
    for entry in fs::read_dir(folder.join("tiktok_shop")).expect("a folder of copies") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = fs::read_to_string(&path).expect("a copy");
        let understood = decoded(&body).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let Decoded::Facts(facts) = understood else { continue };
        for fact in &facts {
            let Fact::Hint(hint) = fact else { panic!("{path:?}: {fact:?}") };
            assert!(body.contains(hint.external.as_str()), "{path:?}: {hint:?}");
        }
        told += facts.len();
    }
    assert!(told >= 5, "{told}");
}

#[test]
fn published_signatures_verify_or_fail_as_published() {
    let Some(folder) = copies() else { return };
    let vectors = vectors(&folder);
    let ours = vectors.iter().filter(|vector| vector["platform"] == "tiktok_shop");
    let mut checked = 0;
    for vector in ours {
        let app = vector["app_key"].as_str();
        let verdict =
            verified(&[text(&vector["expected"])], app, text(&vector["body"]), &[text(&vector["secret"])]);
        assert_eq!(verdict.is_ok(), vector["valid"] == true, "{}", vector["note"]);
        checked += 1;
    }
    assert!(checked >= 2, "{checked}");
}

#[test]
fn published_signatures_of_calls_are_made_here_as_well() {
    let Some(folder) = copies() else { return };
    let vectors = vectors(&folder);
    let ours: Vec<_> = vectors.iter().filter(|vector| vector["platform"] == "tiktok_shop_request").collect();
    for vector in &ours {
        let query = vector["params"].as_object().expect("a query").iter();
        let query: Vec<(&str, &str)> = query.map(|(name, value)| (name.as_str(), text(value))).collect();
        let sign = look::sign(text(&vector["secret"]), text(&vector["path"]), &query, "");
        assert_eq!(sign, text(&vector["expected"]));
    }
    assert!(!ours.is_empty());
}
