//! `WooCommerce`'s webhooks as they are documented, in goods of our own; and as they were recorded.

use std::{collections::BTreeMap, fs, path::Path};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use onhand_domain::{
    catalog::{ObservedProduct, ObservedVariant},
    connection::Platform,
    product::ProductDetails,
    values::{Currency, ExternalId, LocationCode, Market, Money, Quantity, Sku},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        adapter::Titled,
        fact::{OrderTimes, SoldLine},
        read, signature,
    },
    *,
};
use crate::secrets::Secret;

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
        platform: Platform::Woocommerce,
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
    DateTime::from_timestamp(1_772_366_400, 0).expect("a time")
}

fn asked<T>(headers: &HeaderMap, body: &[u8], secrets: &[&str], ask: impl Fn(&Inbound<'_>) -> T) -> T {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    let details = shop();
    let url = "https://onhand.example/v1/webhooks/1";
    ask(&Inbound { headers, body, url, now: noon(), details: &details, secrets: &secrets })
}

fn verdict(headers: &HeaderMap, body: &[u8], secrets: &[&str]) -> Result<(), Rejection> {
    asked(headers, body, secrets, |request| Woocommerce.verify(request))
}

fn greeted(headers: &HeaderMap, body: &[u8]) -> bool {
    asked(headers, body, &["shop secret"], |request| Woocommerce.is_greeting(request))
}

fn identity(headers: &HeaderMap, body: &[u8]) -> Result<Identity, Rejection> {
    asked(headers, body, &[], |request| Woocommerce.identify(request))
}

fn decoded(topic: &str, body: &[u8]) -> Result<Decoded, Undecodable> {
    Woocommerce.decode(&Genuine { topic, body, at: noon(), details: &shop() })
}

fn facts(topic: &str, body: &Value) -> Vec<Fact> {
    match decoded(topic, body.to_string().as_bytes()).expect("a body that can be understood") {
        Decoded::Facts(facts) => facts,
        Decoded::UnknownTopic => panic!("{topic} is known"),
    }
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn product_hint(external: &str) -> Hint {
    Hint { resource: "product", external: id(external), titled: None }
}

fn page_hint(external: &str, title: &str, at: DateTime<Utc>) -> Hint {
    Hint { titled: Some(Titled { title: title.to_owned(), at }), ..product_hint(external) }
}

fn earlier() -> DateTime<Utc> {
    DateTime::from_timestamp(1_769_929_200, 0).expect("a time")
}

const SIGNATURE: &str = "x-wc-webhook-signature";
const BODY: &[u8] = br#"{"id":9007199254740993}"#;
/// Made with another implementation, of that body and the secret `shop secret`.
const SIGNED: &str = "gIK3Zhw67mENxcaNEtjvNAKFtv18zgP4js7nNeSL9Y8=";

#[test]
fn the_shops_signature_is_accepted() {
    assert_eq!(verdict(&headers(&[(SIGNATURE, SIGNED)]), BODY, &["shop secret"]), Ok(()));
    assert_eq!(verdict(&headers(&[(SIGNATURE, SIGNED)]), BODY, &["new", "shop secret"]), Ok(()));
    let twice = headers(&[(SIGNATURE, "AAAA"), (SIGNATURE, SIGNED)]);
    assert_eq!(verdict(&twice, BODY, &["shop secret"]), Ok(()));
}

#[test]
fn a_changed_byte_or_another_secret_is_refused() {
    let given = headers(&[(SIGNATURE, SIGNED)]);
    let refused = Err(Rejection::BadSignature);
    assert_eq!(verdict(&given, br#"{"id":9007199254740994}"#, &["shop secret"]), refused);
    assert_eq!(verdict(&given, BODY, &["Shop secret"]), refused);
    assert_eq!(verdict(&given, BODY, &[]), refused);
    for nonsense in ["%%%", "AAAA", "sha256=00"] {
        assert_eq!(verdict(&headers(&[(SIGNATURE, nonsense)]), BODY, &["shop secret"]), refused);
    }
    let missing = Err(Rejection::MissingHeader("X-WC-Webhook-Signature"));
    assert_eq!(verdict(&headers(&[]), BODY, &["shop secret"]), missing);
}

#[test]
fn a_ping_is_a_greeting_and_no_delivery() {
    let odd = headers(&[("x-wc-webhook-topic", "order.deleted"), ("x-wc-webhook-delivery-id", "b5")]);
    let missing = Err(Rejection::MissingHeader("X-WC-Webhook-Signature"));
    for given in [headers(&[]), odd] {
        for ping in ["webhook_id=1", "webhook_id=12", "webhook_id=12345678901234567890"] {
            assert!(greeted(&given, ping.as_bytes()), "{ping}");
            assert_eq!(verdict(&given, ping.as_bytes(), &["shop secret"]), missing, "{ping}");
        }
    }
    let signed = headers(&[(SIGNATURE, SIGNED)]);
    assert!(greeted(&signed, b"webhook_id=12"), "whatever its headers say");
    assert_eq!(verdict(&signed, b"webhook_id=12", &["shop secret"]), Err(Rejection::BadSignature));
    let nameless = Err(Rejection::MissingHeader("X-WC-Webhook-Topic"));
    assert_eq!(identity(&headers(&[]), b"webhook_id=12"), nameless);
    assert_eq!(decoded("ping", b"webhook_id=12"), Ok(Decoded::UnknownTopic));
}

#[test]
fn what_is_more_or_less_than_a_ping_is_no_greeting() {
    let endless = format!("webhook_id={}", "1".repeat(21));
    for body in [
        "webhook_id=",
        "webhook_id=1x",
        "webhook_id=1\n",
        "webhook_id=1&a=b",
        "webhook_id= 1",
        "webhook_id=-1",
        "webhook_id=+1",
        "webhook_id=1.0",
        "webhook_id=\u{661}",
        "webhook_id=1webhook_id=1",
        "webhook_id%3D1",
        "Webhook_id=1",
        " webhook_id=1",
        "\u{feff}webhook_id=1",
        "webhook_id",
        "12",
        "{\"webhook_id\":1}",
        "{}",
        "",
        &endless,
    ] {
        assert!(!greeted(&headers(&[]), body.as_bytes()), "{body}");
        assert!(verdict(&headers(&[]), body.as_bytes(), &["shop secret"]).is_err(), "{body}");
    }
    assert!(!greeted(&headers(&[(SIGNATURE, SIGNED)]), BODY));
}

#[test]
fn a_delivery_is_known_by_its_content_and_by_its_id_where_it_has_one() {
    let topic = ("x-wc-webhook-topic", "product.updated");
    let with = |topic: (&str, &str), id: &str, body: &[u8]| {
        identity(&headers(&[topic, ("x-wc-webhook-delivery-id", id)]), body).expect("an identity")
    };
    let given = with(topic, "b5", b"1");
    let content = signature::content_id(&["product.updated".as_bytes(), "b5".as_bytes(), "1".as_bytes()]);
    assert_eq!((given.topic.as_str(), given.external_id), ("product.updated", content));
    assert_eq!((given.signed, given.sent_at), (false, None));
    let told = |id: &str, body: &[u8]| with(topic, id, body).external_id;
    assert_eq!(with(topic, "b5", b"1"), with(topic, "b5", b"1"), "sent again");
    assert_ne!(told("b5", b"1"), told("b5", b"2"), "two orders of one second have the same id");
    assert_ne!(told("b5", b"1"), told("b6", b"1"));
    assert_ne!(told("b5", b"1"), told("b", b"51"), "an id does not run into a body");
    let other = with(("x-wc-webhook-topic", "product.created"), "b5", b"1");
    assert_ne!(other.external_id, told("b5", b"1"));
    let made = |body: &[u8]| identity(&headers(&[topic]), body).expect("an identity");
    assert!(made(b"1").signed);
    assert_eq!(made(b"1"), made(b"1"));
    assert_ne!(made(b"1").external_id, made(b"2").external_id);
    assert_ne!(made(b"1").external_id, told("b5", b"1"));
    assert_eq!(made(b"1"), with(topic, " ", b"1"), "a blank id is none");
    assert_eq!(identity(&headers(&[]), b"1"), Err(Rejection::MissingHeader("X-WC-Webhook-Topic")));
    let endless = "x".repeat(256);
    assert!(identity(&headers(&[topic, ("x-wc-webhook-delivery-id", &endless)]), b"1").is_err());
}

#[test]
fn a_simple_product_is_its_own_variant() {
    let body = json!({
        "id": 9_007_199_254_740_993_u64, "name": " Mole / Low ", "type": "simple", "status": "publish",
        "sku": " MOLE-41 ", "price": "", "regular_price": "89.90", "manage_stock": true, "stock_quantity": -2,
        "date_modified_gmt": "2026-02-01T07:00:00", "variations": [], "parent_id": 0,
        "categories": [{ "id": 1, "name": "Shoes" }], "tags": [{ "name": "low" }, { "name": "" }],
        "attributes": [{ "name": "Colour", "options": ["Sand"] }]
    });
    let at = DateTime::from_timestamp(1_769_929_200, 0);
    let external = id("9007199254740993");
    let variant = ObservedVariant {
        external: external.clone(),
        inventory: Some(external.clone()),
        sku: Sku::new("MOLE-41").ok(),
        attributes: BTreeMap::new(),
        price: Money::parse("89.90", shop().currency).ok(),
    };
    let details = ProductDetails {
        title: "Mole / Low".into(),
        category: Some("Shoes".into()),
        tags: vec!["low".into()],
        ..ProductDetails::default()
    };
    let product = ObservedProduct {
        external: external.clone(),
        details,
        told: vec![Word::Tags],
        variants: vec![variant],
        complete: true,
        at: at.expect("a time"),
    };
    let stock = Fact::StockObserved { inventory: external, platform_location: None, available: Some(-2), at };
    assert_eq!(facts("product.updated", &body), [Fact::Product(product), stock]);
}

#[test]
fn a_product_that_has_no_price_only_because_it_cannot_be_read_is_noted() {
    for (price, regular, noted) in
        [("12.345", "", true), ("", "5,00", true), ("", "", false), ("12.345", "9.00", false)]
    {
        let body = json!({ "id": 1, "name": "Mole", "price": price, "regular_price": regular });
        let facts = facts("product.updated", &body);
        assert_eq!(facts.iter().any(|fact| matches!(fact, Fact::Unread { .. })), noted, "{body}");
    }
}

#[test]
fn what_is_in_no_category_is_not_in_one_of_that_name() {
    let none = json!({ "id": 15, "name": "Uncategorized", "slug": "uncategorized" });
    let shoes = json!({ "id": 16, "name": "Shoes", "slug": "shoes" });
    for (categories, category) in [
        (json!([none]), None),
        (json!([none, shoes]), Some("Shoes")),
        (json!([shoes, none]), Some("Shoes")),
        (json!([{ "id": 17, "name": "Uncategorized", "slug": "uncategorized-2" }]), Some("Uncategorized")),
        (json!([]), None),
    ] {
        let body = json!({ "id": 1, "name": "Mole", "categories": categories, "tags": [none] });
        let facts = facts("product.updated", &body);
        let [Fact::Product(product)] = facts.as_slice() else { panic!("{facts:?}") };
        assert_eq!(product.details.category.as_deref(), category, "{body}");
        assert_eq!(product.details.tags, ["Uncategorized"], "a tag may be called so");
    }
}

#[test]
fn stock_that_nobody_counts_is_not_spoken_of() {
    for (manage, quantity) in [
        (json!(false), json!(null)),
        (json!(null), json!(3)),
        (json!("parent"), json!(3)),
        (json!(true), json!(null)),
    ] {
        let body = json!({ "id": 1, "name": "Mole", "manage_stock": manage, "stock_quantity": quantity });
        let facts = facts("product.created", &body);
        assert!(matches!(facts.as_slice(), [Fact::Product(product)] if product.at == noon()), "{body}");
    }
    let texts = json!({ "id": "1", "manage_stock": true, "stock_quantity": "7" });
    let facts = facts("product.restored", &texts);
    assert!(matches!(facts.as_slice(), [_, Fact::StockObserved { available: Some(7), at: None, .. }]));
}

#[test]
fn what_has_variations_is_looked_at() {
    let hinted = |body: &Value| facts("product.updated", body);
    for (hint, body) in [
        (
            page_hint("8/1", "Mole", earlier()),
            json!({ "id": 8, "name": "Mole", "type": "variable", "variations": [9, 10],
                    "date_modified_gmt": "2026-02-01T07:00:00" }),
        ),
        (
            page_hint("8/1", "Mole", noon()),
            json!({ "id": 8, "name": "Mole", "type": "variable",
                    "date_modified_gmt": "-0001-11-30T00:00:00" }),
        ),
        (page_hint("8/1", "", noon()), json!({ "id": 8, "type": "variable", "variations": [] })),
        (
            page_hint("8/1", "", noon()),
            json!({ "id": 8, "type": "variable-subscription", "variations": [9] }),
        ),
        (
            product_hint("8"),
            json!({ "id": 9, "name": "Mole - 41", "type": "variation", "parent_id": 8, "status": "trash" }),
        ),
    ] {
        assert_eq!(hinted(&body), [Fact::Hint(hint.clone())], "{body}");
        assert_eq!(seen("8", &body), Ok(vec![Fact::Hint(hint)]), "{body}");
    }
}

#[test]
fn a_title_goes_along_whole_however_long_it_is() {
    let long = "é".repeat(500);
    let body = json!({ "id": 18_446_744_073_709_551_615_u64, "name": long, "type": "variable" });
    let hinted = facts("product.updated", &body);
    let [Fact::Hint(hint)] = hinted.as_slice() else { panic!("{hinted:?}") };
    let facts = shown(hint, &json!([{ "id": 9 }])).expect("variations");
    let [Fact::Product(product)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!(product.details.title, long);
    let known: inbound::bodies::Product = serde_json::from_value(body).expect("a product");
    assert_eq!(product.details.words(), known.words(), "what a push takes for shown");
}

#[test]
fn a_title_that_has_waited_is_of_its_own_time_and_counted_stock_is_not() {
    let body = json!([{ "id": 9, "manage_stock": true, "stock_quantity": 4 }]);
    let ahead = noon() + chrono::TimeDelta::hours(1);
    for (told, at) in [(earlier(), earlier()), (noon(), noon()), (ahead, noon())] {
        let facts = shown(&page_hint("8/1", "Mole", told), &body).expect("variations");
        let [Fact::Product(product), Fact::StockObserved { at: counted, .. }] = facts.as_slice() else {
            panic!("{facts:?}")
        };
        assert_eq!((product.details.title.as_str(), product.at), ("Mole", at));
        assert_eq!(*counted, None, "as of the look");
    }
}

#[test]
fn the_hint_of_an_older_program_has_its_title_in_its_id_and_is_of_the_look() {
    let facts = seen("8/1/TW9sZQ", &json!([{ "id": 9 }])).expect("variations");
    let [Fact::Product(product)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((product.details.title.as_str(), product.at), ("Mole", noon()));
    for odd in ["8/1/%%%", "8/1/", "8/1//", "8/1/_w"] {
        let facts = seen(odd, &json!([{ "id": 9 }])).expect("variations");
        assert!(matches!(&facts[..], [Fact::Product(product)] if product.details.title.is_empty()), "{odd}");
    }
}

#[test]
fn a_product_in_the_bin_or_deleted_is_gone() {
    let gone = [Fact::ProductRemoved { external: id("8") }];
    assert_eq!(facts("product.updated", &json!({ "id": 8, "type": "simple", "status": "trash" })), gone);
    for status in ["trash", "draft"] {
        let varied = json!({ "id": 8, "type": "variable", "variations": [9], "status": status });
        assert_eq!(facts("product.updated", &varied), gone);
        assert_eq!(seen("8", &json!({ "id": 8, "type": "simple", "status": status })), Ok(gone.to_vec()));
    }
    assert_eq!(facts("product.deleted", &json!({ "id": 8 })), gone);
}

#[test]
fn an_order_is_of_the_time_at_which_the_shop_may_have_taken_it_off_its_stock() {
    let order = |status: &str| {
        json!({
            "id": 3, "status": status, "line_items": [], "date_created_gmt": "2026-02-01T07:00:00",
            "date_paid_gmt": "2026-02-01T08:00:00", "date_modified_gmt": "2026-02-01T09:00:00",
        })
    };
    let time = |text: &str| read::time(text);
    let times = |order: &Value| {
        let told = facts("order.updated", order);
        let [Fact::OrderPlaced { times, .. } | Fact::OrderPaid { times, .. }] = told.as_slice() else {
            panic!("{told:?}")
        };
        (times.moved, times.told)
    };
    let told = time("2026-02-01T09:00:00Z");
    for status in ["on-hold", "processing", "completed"] {
        assert_eq!(times(&order(status)), (time("2026-02-01T07:00:00Z"), told), "{status}");
    }
    let mut undated = order("processing");
    undated["date_created_gmt"] = json!("-0001-11-30T00:00:00");
    assert_eq!(times(&undated), (time("2026-02-01T08:00:00Z"), told));
    let cancelled = Fact::OrderCancelled { external: id("3"), buyer: None, at: told };
    assert_eq!(facts("order.updated", &order("cancelled")), [cancelled]);
}

#[test]
fn an_order_is_what_its_status_says() {
    let order = |status: &str| {
        json!({ "id": 3, "status": status, "date_paid_gmt": null, "line_items": [
            { "product_id": 8, "variation_id": 9, "quantity": 2, "sku": "MOLE-41", "name": "Mole" },
            { "product_id": 8, "variation_id": 0, "quantity": "1", "sku": "", "name": "Mole" },
            { "product_id": 0, "variation_id": 0, "quantity": 1, "sku": null, "name": "Gift wrap" },
            { "product_id": 8, "variation_id": 9, "quantity": 0 }
        ]})
    };
    let line = |variant: Option<&str>, sku: Option<&str>, quantity| SoldLine {
        external_variant: variant.map(id),
        sku: sku.and_then(|sku| Sku::new(sku).ok()),
        quantity: Quantity::new(quantity).expect("a quantity"),
    };
    let lines = || {
        vec![
            line(Some("9"), Some("MOLE-41"), 2),
            line(Some("8"), None, 1),
            line(None, None, 1),
            line(Some("9"), None, 0),
        ]
    };
    for status in ["pending", "on-hold", "backordered"] {
        let times = OrderTimes { waits: status == "pending", ..OrderTimes::default() };
        let placed = Fact::OrderPlaced { external: id("3"), lines: lines(), buyer: None, times };
        assert_eq!(facts("order.created", &order(status)), [placed], "{status}");
    }
    for status in ["processing", "completed"] {
        let paid =
            Fact::OrderPaid { external: id("3"), lines: lines(), buyer: None, times: Default::default() };
        assert_eq!(facts("order.updated", &order(status)), [paid], "{status}");
    }
    let cancelled = [Fact::OrderCancelled { external: id("3"), buyer: None, at: None }];
    for topic in ["order.created", "order.updated", "order.restored"] {
        assert_eq!(facts(topic, &order("cancelled")), cancelled, "{topic}");
        assert_eq!(facts(topic, &json!({ "id": 3, "status": "cancelled" })), cancelled, "{topic}");
        let failed = [Fact::OrderFailed { external: id("3"), at: None }];
        assert_eq!(facts(topic, &order("failed")), failed, "{topic}");
        let mut once_paid = order("failed");
        once_paid["date_paid_gmt"] = json!("2026-02-01T07:00:00");
        assert!(facts(topic, &once_paid).is_empty(), "{topic}");
        for status in ["refunded", "trash", "draft", "auto-draft", "checkout-draft"] {
            assert!(facts(topic, &order(status)).is_empty(), "{topic} {status}");
            let mut once_paid = order(status);
            once_paid["date_paid_gmt"] = json!("2026-02-01T07:00:00");
            assert!(facts(topic, &once_paid).is_empty(), "{topic} {status}");
            assert!(facts(topic, &json!({ "id": 3, "status": status })).is_empty(), "{topic} {status}");
        }
    }
    let mut sent = order("sent-by-boat");
    sent["date_paid_gmt"] = json!("2026-02-01T07:00:00");
    assert!(matches!(facts("order.updated", &sent).as_slice(), [Fact::OrderPaid { .. }]));
}

#[test]
fn an_order_that_is_deleted_moves_nothing() {
    for body in
        [&br#"{"id":3}"#[..], b"{}", br#"{"id":null}"#, b"null", b"[", b"\xff\xfe", b"webhook_id=12", b""]
    {
        assert_eq!(decoded("order.deleted", body), Ok(Decoded::Facts(vec![])));
    }
}

#[test]
fn what_identifies_or_counts_may_not_be_wrong() {
    let line = |quantity: Value| {
        let lines = json!([{ "product_id": 2, "quantity": quantity }]);
        json!({ "id": 1, "status": "pending", "line_items": lines })
    };
    let endless = vec![json!({ "quantity": 1 }); 501];
    for (topic, body) in [
        ("product.updated", json!({ "name": "Mole" })),
        ("product.updated", json!({ "id": 1.5 })),
        ("product.updated", json!({ "id": "" })),
        ("product.updated", json!({ "id": 1, "manage_stock": true, "stock_quantity": 1.5 })),
        ("product.deleted", json!({ "id": null })),
        ("product.created", json!([])),
        ("order.created", json!({ "id": 1, "line_items": [] })),
        ("order.created", json!({ "id": 1, "status": "pending" })),
        ("order.created", line(json!(-1))),
        ("order.created", line(json!(1.5))),
        ("order.created", line(json!(null))),
        ("order.created", line(json!(5_000_000_000_i64))),
        ("order.created", json!({ "id": 1, "status": "pending", "line_items": endless })),
        ("order.updated", json!({ "status": "cancelled" })),
        ("order.updated", json!({ "id": null, "status": "cancelled" })),
        ("order.updated", json!({ "status": "refunded" })),
    ] {
        assert!(decoded(topic, body.to_string().as_bytes()).is_err(), "{topic}");
    }
    for body in [&b""[..], b"{", b"\xff\xfe", b"null", b"[[[[["] {
        assert!(decoded("product.updated", body).is_err());
    }
}

#[test]
fn other_topics_are_none_of_ours() {
    for topic in ["coupon.created", "customer.updated", "action.woocommerce_add_to_cart", ""] {
        assert_eq!(decoded(topic, b"{}"), Ok(Decoded::UnknownTopic), "{topic}");
    }
}

#[test]
fn variations_are_asked_for_with_the_shops_keys() {
    let details = shop();
    let call = |hint: &Hint, token: Option<&str>| {
        let token = token.map(Secret::new);
        let access = Access { details: &details, token: token.as_ref(), app_secret: None, now: noon() };
        Woocommerce.look(hint, &access)
    };
    let whole = call(&product_hint("8"), Some("ck_1:cs_1")).expect("a call");
    assert!(whole.target.starts_with("/wp-json/wc/v3/products/8?_fields=id,"), "{}", whole.target);
    let first = call(&product_hint("8/1/TW9sZQ"), Some("ck_1:cs_1")).expect("a call");
    assert_eq!(first.target, "/wp-json/wc/v3/products/8/variations?per_page=100");
    assert_eq!(first.headers, [("authorization", "Basic Y2tfMTpjc18x".to_owned())]);
    let second = call(&product_hint("8/2"), Some("ck_1:cs_1")).expect("a call");
    assert_eq!(second.target, "/wp-json/wc/v3/products/8/variations?per_page=100&page=2");
    assert_eq!(call(&product_hint("8"), None), None);
    assert_eq!(call(&product_hint("8"), Some("ck_1")), None);
    for odd in ["../orders", "8/../9", "8?x=1", "/2", "8/0", "8/22"] {
        assert_eq!(call(&product_hint(odd), Some("ck_1:cs_1")), None, "{odd}");
    }
    assert_eq!(call(&Hint { resource: "order", ..product_hint("8") }, Some("ck_1:cs_1")), None);
}

fn seen(external: &str, body: &Value) -> Result<Vec<Fact>, Undecodable> {
    shown(&product_hint(external), body)
}

fn shown(hint: &Hint, body: &Value) -> Result<Vec<Fact>, Undecodable> {
    Woocommerce.seen(hint, body.to_string().as_bytes(), noon(), &shop())
}

#[test]
fn the_variations_of_a_product_are_its_variants() {
    let body = json!([
        {
            "id": 18_446_744_073_709_551_615_u64, "sku": "MOLE-41", "price": "89.90", "manage_stock": true,
            "stock_quantity": 4, "date_modified_gmt": "2026-02-01T07:00:00", "name": "41",
            "attributes": [{ "id": 1, "name": "Size", "option": "41" }, { "name": "", "option": "x" }]
        },
        { "id": 10, "sku": "", "price": "", "manage_stock": "parent", "stock_quantity": 9, "attributes": [] }
    ]);
    let facts = seen("8/1/TW9sZQ", &body).expect("variations");
    let [Fact::Product(product), stock] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((product.external.as_str(), product.details.title.as_str()), ("8", "Mole"));
    assert_eq!((product.variants.len(), product.at, product.complete), (2, noon(), true));
    let first = &product.variants[0];
    assert_eq!(first.external.as_str(), "18446744073709551615");
    assert_eq!(first.attributes, [("size".to_owned(), "41".to_owned())].into());
    let counted = Fact::StockObserved {
        inventory: id("18446744073709551615"),
        platform_location: None,
        available: Some(4),
        at: DateTime::from_timestamp(1_769_929_200, 0),
    };
    assert_eq!(*stock, counted);
    assert_eq!(seen("8/1", &json!([])), Ok(vec![]));
    assert!(seen("8/1", &json!([{ "sku": "MOLE-41" }])).is_err());
}

#[test]
fn a_full_page_may_have_another_behind_it() {
    let page: Vec<Value> = (1..=100).map(|id| json!({ "id": id })).collect();
    let facts = shown(&page_hint("8/1", "Mole", earlier()), &json!(page)).expect("variations");
    assert!(matches!(facts.first(), Some(Fact::Product(product)) if !product.complete));
    assert_eq!(facts.last(), Some(&Fact::Hint(page_hint("8/2", "Mole", earlier()))));
    let older = seen("8/1/TW9sZQ", &json!(page)).expect("variations");
    assert_eq!(older.last(), Some(&Fact::Hint(page_hint("8/2", "Mole", noon()))));
    let last = seen("8/21", &json!(page)).expect("variations");
    assert!(matches!(last.as_slice(), [Fact::Product(product)] if product.external == id("8")));
}

#[test]
fn a_product_that_is_gone_is_not_a_shop_that_refuses() {
    let answer = |code: &str| json!({ "code": code, "message": "No.", "data": { "status": 404 } });
    let gone = Ok(vec![Fact::ProductRemoved { external: id("8") }]);
    for hint in ["8", "8/1", "8/2/TW9sZQ"] {
        assert_eq!(seen(hint, &answer("woocommerce_rest_product_invalid_id")), gone);
        for code in ["rest_no_route", "woocommerce_rest_cannot_view"] {
            assert!(seen(hint, &answer(code)).is_err(), "{code}");
        }
    }
}

#[test]
fn each_sample_verifies_and_tells_something() {
    let (details, sku) = (shop(), "MOLE-41");
    let made = Sample {
        id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0123_4567_89ab),
        now: noon(),
        url: "https://onhand.example/v1/webhooks/1",
        secret: "shop secret",
        details: &details,
        sku,
    };
    for topic in Woocommerce.topics() {
        let (given, body) = Woocommerce.sample(topic, &made).expect("a sample");
        let given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let given = headers(&given);
        assert_eq!(verdict(&given, &body, &["shop secret"]), Ok(()), "{topic}");
        assert_eq!(identity(&given, &body).expect("an identity").topic, *topic);
        let decoded = decoded(topic, &body).expect("a body that can be understood");
        assert!(matches!(&decoded, Decoded::Facts(facts) if !facts.is_empty()), "{topic}: {decoded:?}");
    }
    for other in ["coupon.created", "order.deleted"] {
        assert_eq!(Woocommerce.sample(other, &made), None, "{other}");
    }
}

#[test]
fn recorded_deliveries_are_understood() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads"));
    let folder = folder.join("woocommerce");
    if !folder.is_dir() {
        return;
    }
    let mut understood = 0;
    for entry in fs::read_dir(&folder).expect("a folder of recordings") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((topic, _)) = name.split_once("__") else { continue };
        let decoded = decoded(topic, &fs::read(&path).expect("a recording"));
        match decoded.unwrap_or_else(|error| panic!("{name}: {error}")) {
            Decoded::Facts(facts) => assert!(!facts.is_empty(), "{name}"),
            Decoded::UnknownTopic => assert!(topic.starts_with("coupon."), "{name}"),
        }
        understood += 1;
    }
    for entry in fs::read_dir(folder.join("headers")).expect("a folder of recordings") {
        let recorded = fs::read(entry.expect("an entry").path()).expect("a recording");
        let recorded: Value = serde_json::from_slice(&recorded).expect("JSON");
        let pairs = recorded.as_object().expect("headers").iter();
        let pairs: Vec<_> =
            pairs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let given = headers(&pairs);
        let identity = identity(&given, b"").expect("an identity");
        assert_eq!(Some(identity.topic.as_str()), recorded["x-wc-webhook-topic"].as_str());
        let delivery = recorded["x-wc-webhook-delivery-id"].as_str().expect("an id");
        let content = signature::content_id(&[identity.topic.as_bytes(), delivery.as_bytes(), "".as_bytes()]);
        assert_eq!(identity.external_id, content);
        assert_eq!(verdict(&given, b"", &["no shop's secret"]), Err(Rejection::BadSignature));
    }
    assert!(understood >= 4);
}
