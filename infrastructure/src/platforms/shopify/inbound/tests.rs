//! Shopify's webhooks as they are documented, in goods of our own; and as they were recorded, where recordings are.

use std::{collections::BTreeSet, fs, path::PathBuf};

use axum::http::{HeaderName, HeaderValue};
use onhand_domain::{
    connection::Platform,
    product::Word,
    values::{Currency, ExternalId, LocationCode, Market, Sku},
};
use serde_json::{Value, json};

use super::super::super::fact::SoldLine;
use super::super::sandbox;
use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    };
    pairs.iter().map(pair).collect()
}

fn shop() -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Shopify,
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

fn decoded(topic: &str, body: &Value) -> Result<Decoded, Undecodable> {
    decode(topic, body.to_string().as_bytes(), noon(), &shop())
}

fn fact(topic: &str, body: &Value) -> Fact {
    match decoded(topic, body).expect("a body that can be understood") {
        Decoded::Facts(mut facts) if facts.len() == 1 => facts.remove(0),
        other => panic!("{other:?}"),
    }
}

fn product(body: &Value) -> onhand_domain::catalog::ObservedProduct {
    match fact("products/update", body) {
        Fact::Product(product) => product,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_product_that_is_archived_is_gone_and_one_that_is_a_draft_is_not() {
    let body =
        |status: &str| json!({ "id": 7, "title": "Mole", "status": status, "variants": [{ "id": 8 }] });
    let gone = Fact::ProductRemoved { external: ExternalId::from(7) };
    assert_eq!(fact("products/update", &body("archived")), gone);
    for status in ["active", "draft"] {
        assert!(matches!(fact("products/update", &body(status)), Fact::Product(_)), "{status}");
    }
}

#[test]
fn that_there_are_no_tags_and_no_category_is_told_where_the_body_has_them() {
    let mut body = json!({ "id": 7, "title": "Mole", "variants": [{ "id": 8 }] });
    assert!(product(&body).told.is_empty());
    for (name, value) in [("vendor", ""), ("product_type", ""), ("tags", "")] {
        body[name] = json!(value);
    }
    assert_eq!(product(&body).told, [Word::Category, Word::Tags]);
}

#[test]
fn the_shops_signature_is_accepted_in_either_family_of_headers() {
    let body = br#"{"id":9007199254740993}"#;
    let signature = sandbox::sign("new", body);
    let secrets = [Secret::new("new"), Secret::new("old")];
    for name in ["X-Shopify-Hmac-Sha256", "shopify-hmac-sha256"] {
        assert_eq!(verify(&headers(&[(name, &signature)]), body, &secrets), Ok(()));
        let old = sandbox::sign("old", body);
        assert_eq!(verify(&headers(&[(name, &old)]), body, &secrets), Ok(()), "during rotation");
    }
}

#[test]
fn a_changed_byte_or_another_secret_is_refused() {
    let body = br#"{"id":9007199254740993}"#;
    let signature = sandbox::sign("secret", body);
    let given = headers(&[("X-Shopify-Hmac-Sha256", &signature)]);
    assert_eq!(
        verify(&given, br#"{"id":9007199254740994}"#, &[Secret::new("secret")]),
        Err(Rejection::BadSignature)
    );
    assert_eq!(verify(&given, body, &[Secret::new("Secret")]), Err(Rejection::BadSignature));
    assert_eq!(verify(&given, body, &[]), Err(Rejection::BadSignature));
    let missing = Err(Rejection::MissingHeader("X-Shopify-Hmac-Sha256"));
    assert_eq!(verify(&headers(&[]), body, &[Secret::new("secret")]), missing);
    for nonsense in ["%%%", "AAAA", "sha256=00"] {
        let given = headers(&[("X-Shopify-Hmac-Sha256", nonsense)]);
        assert_eq!(verify(&given, body, &[Secret::new("secret")]), Err(Rejection::BadSignature));
    }
}

#[test]
fn a_delivery_is_known_by_its_id_or_else_by_its_content() {
    let topic = ("X-Shopify-Topic", "orders/create");
    let given = identify(&headers(&[topic, ("X-Shopify-Webhook-Id", "b5")]), b"1").expect("an identity");
    assert_eq!(
        (given.topic.as_str(), given.external_id.as_str(), given.signed),
        ("orders/create", "b5", false)
    );
    let unprefixed = identify(&headers(&[("shopify-topic", "a/b"), ("shopify-webhook-id", "c6")]), b"1");
    assert_eq!(unprefixed.map(|it| (it.topic, it.external_id)), Ok(("a/b".into(), "c6".into())));
    let made = |body: &[u8]| identify(&headers(&[topic]), body).expect("an identity").external_id;
    assert_eq!(made(b"1"), made(b"1"));
    assert_ne!(made(b"1"), made(b"2"));
    assert!(made(b"1").starts_with("sha256:") && made(b"1").len() == 71);
    assert_eq!(identify(&headers(&[]), b"1"), Err(Rejection::MissingHeader("X-Shopify-Topic")));
    let endless = "x".repeat(256);
    assert!(identify(&headers(&[topic, ("X-Shopify-Webhook-Id", &endless)]), b"1").is_err());
}

#[test]
fn the_time_of_a_delivery_is_read_to_the_nanosecond() {
    let triggered_at = |text| {
        let given = headers(&[("X-Shopify-Topic", "a/b"), ("X-Shopify-Triggered-At", text)]);
        identify(&given, b"").expect("an identity").sent_at
    };
    let at = triggered_at("2026-03-01T12:00:00.000000001Z");
    assert_eq!(at.map(|at| (at - noon()).num_nanoseconds()), Some(Some(1)));
    assert_eq!(triggered_at("yesterday"), None);
}

#[test]
fn a_product_is_taken_in_with_every_digit() {
    let body = json!({
        "id": 9_007_199_254_740_993_u64, "title": " Mole / Low ", "vendor": "Quay", "product_type": "",
        "tags": "low, , canvas", "updated_at": "2026-02-01T08:00:00+01:00",
        "options": [{"name": "Colour", "position": 2}, {"name": "Size", "position": 1}],
        "variants": [{
            "id": 18_446_744_073_709_551_615_u64, "inventory_item_id": "77", "sku": " MOLE-41 ", "price": "89.90",
            "option1": "41", "option2": "Sand", "option3": null
        }]
    });
    let product = product(&body);
    let details = &product.details;
    assert_eq!((product.external.as_str(), details.title.as_str()), ("9007199254740993", "Mole / Low"));
    assert_eq!((details.vendor.as_deref(), details.category.as_deref()), (Some("Quay"), None));
    assert_eq!(details.tags, ["low", "canvas"]);
    assert_eq!(Some(product.at), read::time("2026-02-01T07:00:00Z"));
    let variant = &product.variants[0];
    assert_eq!(variant.external.as_str(), "18446744073709551615");
    assert_eq!(variant.inventory.as_ref().map(ExternalId::as_str), Some("77"));
    assert_eq!(variant.sku.as_ref().map(Sku::as_str), Some("MOLE-41"));
    assert_eq!(variant.price.map(|price| price.to_string()).as_deref(), Some("89.90 EUR"));
    let attributes = [("colour".to_owned(), "Sand".to_owned()), ("size".to_owned(), "41".to_owned())];
    assert_eq!(variant.attributes, attributes.into());
}

#[test]
fn what_merely_describes_may_be_missing_or_wrong() {
    let variant =
        json!({"id": 2, "inventory_item_id": null, "sku": "", "price": "", "option1": "Default Title"});
    let bare = product(&json!({
        "id": 1, "title": "", "handle": "mole-low", "updated_at": "soon", "variants": [variant],
        "options": [{"name": "Title", "position": 1}]
    }));
    assert_eq!((bare.details.title.as_str(), bare.at), ("mole-low", noon()));
    let variant = &bare.variants[0];
    assert_eq!((&variant.inventory, &variant.sku, &variant.price), (&None, &None, &None));
    assert!(variant.attributes.is_empty());
    let nameless =
        product(&json!({"id": 1, "variants": [{"id": 2, "price": 7.5, "sku": "a\nb", "option2": "M"}]}));
    assert_eq!(nameless.details.title, "1");
    assert_eq!(nameless.variants[0].price.map(|price| price.minor), Some(750));
    assert_eq!(nameless.variants[0].sku, None);
    assert_eq!(nameless.variants[0].attributes, [("option2".to_owned(), "M".to_owned())].into());
}

#[test]
fn a_price_that_cannot_be_read_is_noted() {
    let prices = ["-1.00", "12.345", "89.90"].map(|price| json!({"id": 2, "price": price}));
    let told = decoded("products/update", &json!({"id": 1, "variants": prices}));
    let Ok(Decoded::Facts(facts)) = &told else { panic!("{told:?}") };
    let [Fact::Product(product), Fact::Unread { note }] = &facts[..] else { panic!("{facts:?}") };
    let priced: Vec<_> = product.variants.iter().map(|variant| variant.price.is_some()).collect();
    assert_eq!(priced, [false, false, true]);
    assert_eq!(note, "the price \"-1.00\" of 2 is no amount of EUR, nor are 1 more");
}

#[test]
fn what_identifies_or_counts_may_not() {
    let line = |quantity: i64| json!({"id": 1, "line_items": [{"variant_id": 2, "quantity": quantity}]});
    for (topic, body) in [
        ("products/update", json!({"title": "Mole", "variants": [{"id": 2}]})),
        ("products/update", json!({"id": 1.5, "variants": [{"id": 2}]})),
        ("products/update", json!({"id": 1})),
        ("products/update", json!({"id": 1, "variants": []})),
        ("products/create", json!({"id": 1, "variants": vec![json!({"id": 2}); 2_049]})),
        ("products/delete", json!({"id": null})),
        ("inventory_levels/update", json!({"inventory_item_id": 1, "available": 3})),
        ("inventory_levels/update", json!({"inventory_item_id": 1, "location_id": 2, "available": 1.5})),
        ("inventory_levels/update", json!({"inventory_item_id": 1, "location_id": 2, "available": "some"})),
        ("orders/create", json!({"id": 1})),
        ("orders/create", line(-1)),
        ("orders/create", line(5_000_000_000)),
        ("orders/create", json!({"id": 1, "line_items": vec![json!({"quantity": 1}); 501]})),
        ("orders/cancelled", json!([])),
    ] {
        assert!(decoded(topic, &body).is_err(), "{topic}");
    }
    for body in [&b""[..], b"{", b"\xff\xfe", b"null", b"[[[[["] {
        assert!(decode("products/update", body, noon(), &shop()).is_err());
    }
}

#[test]
fn uncounted_stock_is_seen_as_such() {
    let level = |available: Value| {
        let body = json!({"inventory_item_id": 5, "location_id": 6, "available": available});
        match fact("inventory_levels/update", &body) {
            Fact::StockObserved { available, at, .. } => (available, at),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(level(json!(null)), (None, None));
    assert_eq!(level(json!(-3)), (Some(-3), None));
    assert_eq!((level(json!("8")), level(json!(8.0))), ((Some(8), None), (Some(8), None)));
}

#[test]
fn an_order_is_what_its_topic_says_whatever_its_body_says() {
    let body = json!({"id": 3, "cancelled_at": "2026-01-01T00:00:00Z", "line_items": [
        {"variant_id": 8, "sku": "MOLE-41", "quantity": 2, "title": "Mole"},
        {"variant_id": 9, "sku": "MOLE-42", "quantity": 0, "title": "Mole"},
        {"variant_id": null, "sku": null, "quantity": 1, "title": "Gift wrap"}
    ]});
    let line = |variant: Option<u64>, sku: Option<&str>, quantity| SoldLine {
        external_variant: variant.map(ExternalId::from),
        sku: sku.and_then(|sku| Sku::new(sku).ok()),
        quantity: onhand_domain::values::Quantity::new(quantity).expect("a quantity"),
    };
    let lines =
        vec![line(Some(8), Some("MOLE-41"), 2), line(Some(9), Some("MOLE-42"), 0), line(None, None, 1)];
    let external = ExternalId::from(3);
    assert_eq!(
        fact("orders/create", &body),
        Fact::OrderPlaced { external: external.clone(), lines, buyer: None, times: Default::default() }
    );
    assert_eq!(
        fact("orders/cancelled", &body),
        Fact::OrderCancelled { external, buyer: None, at: read::time("2026-01-01T00:00:00Z") }
    );
}

#[test]
fn of_an_order_that_was_edited_what_is_left_is_sold_and_its_times_are_its_own() {
    let body = json!({
        "id": 3, "created_at": "2026-01-01T09:00:00+01:00", "updated_at": "2026-01-01T08:30:00Z",
        "line_items": [
            {"variant_id": 8, "quantity": 2, "current_quantity": 0},
            {"variant_id": 9, "quantity": 2, "current_quantity": 1},
            {"variant_id": 7, "quantity": 2, "current_quantity": null},
        ],
    });
    let Fact::OrderPaid { lines, times, .. } = fact("orders/paid", &body) else { panic!("an order") };
    assert_eq!(lines.iter().map(|line| line.quantity.units()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(times.moved, read::time("2026-01-01T08:00:00Z"));
    assert_eq!(times.told, read::time("2026-01-01T08:30:00Z"));
    let odd = json!({"id": 3, "created_at": 7, "line_items": []});
    let Fact::OrderPlaced { times, .. } = fact("orders/create", &odd) else { panic!("an order") };
    assert_eq!(times, Default::default());
}

#[test]
fn other_topics_are_none_of_ours() {
    for topic in ["orders/edited", "inventory_levels/disconnect", "app/uninstalled", "ORDERS_CREATE", ""] {
        assert_eq!(decoded(topic, &json!({"id": 1})), Ok(Decoded::UnknownTopic), "{topic}");
    }
}

/// Recordings of the real platform, where they lie next to the repository.
fn recordings() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/platforms/payloads");
    folder.is_dir().then_some(folder)
}

#[test]
fn recorded_bodies_are_understood_with_every_digit() {
    let Some(folder) = recordings() else { return };
    let mut understood = BTreeSet::new();
    for entry in fs::read_dir(folder.join("shopify")).expect("a folder of recordings") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((topic, _)) = name.split_once("__") else { continue };
        let topic = topic.replacen('-', "/", 1);
        let body = fs::read_to_string(&path).expect("a recording");
        let decoded = decode(&topic, body.as_bytes(), noon(), &shop());
        let Decoded::Facts(facts) = decoded.unwrap_or_else(|error| panic!("{name}: {error}")) else {
            continue;
        };
        let ids = facts.iter().flat_map(ids).collect::<Vec<_>>();
        assert!(!ids.is_empty() && ids.iter().all(|id| body.contains(id.as_str())), "{name}: {ids:?}");
        understood.insert(topic);
    }
    assert_eq!(understood.len(), 8, "{understood:?}");
}

fn ids(fact: &Fact) -> Vec<ExternalId> {
    match fact {
        Fact::Product(product) => {
            let variants = product.variants.iter();
            let theirs =
                variants.flat_map(|variant| [Some(variant.external.clone()), variant.inventory.clone()]);
            theirs.flatten().chain([product.external.clone()]).collect()
        }
        Fact::ProductRemoved { external } | Fact::OrderCancelled { external, .. } => vec![external.clone()],
        Fact::StockObserved { inventory, platform_location, .. } => {
            [inventory.clone()].into_iter().chain(platform_location.clone()).collect()
        }
        Fact::OrderPlaced { external, lines, .. } | Fact::OrderPaid { external, lines, .. } => {
            lines.iter().filter_map(|line| line.external_variant.clone()).chain([external.clone()]).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn recorded_headers_name_their_delivery() {
    let Some(folder) = recordings() else { return };
    for entry in fs::read_dir(folder.join("shopify/headers")).expect("a folder of recordings") {
        let path = entry.expect("an entry").path();
        let recorded: Value = serde_json::from_slice(&fs::read(&path).expect("a recording")).expect("JSON");
        let pairs = recorded.as_object().expect("headers").iter();
        let pairs: Vec<_> =
            pairs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let given = headers(&pairs);
        let identity = identify(&given, b"").expect("an identity");
        assert_eq!(Some(identity.topic.as_str()), recorded["x-shopify-topic"].as_str());
        assert_eq!(Some(identity.external_id.as_str()), recorded["x-shopify-webhook-id"].as_str());
        assert_eq!(identity.sent_at.is_some(), recorded["x-shopify-triggered-at"].is_string());
        assert_eq!(verify(&given, b"", &[Secret::new("no shop's secret")]), Err(Rejection::BadSignature));
    }
}

#[test]
fn published_signatures_verify_or_fail_as_published() {
    let Some(folder) = recordings() else { return };
    let vectors = fs::read(folder.join("signature_vectors.json")).expect("the vectors");
    let vectors: Vec<Value> = serde_json::from_slice(&vectors).expect("JSON");
    let mut checked = 0;
    for vector in vectors.iter().filter(|vector| vector["platform"] == "shopify") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let signature = text(&vector["headers"]["X-Shopify-Hmac-Sha256"]);
        let given = headers(&[("X-Shopify-Hmac-Sha256", &signature)]);
        let body = text(&vector["body"]);
        let verdict = verify(&given, body.as_bytes(), &[Secret::new(text(&vector["secret"]))]);
        assert_eq!(verdict.is_ok(), vector["valid"] == true, "{}", vector["note"]);
        checked += 1;
    }
    assert!(checked >= 8);
}
