//! Shopee's pushes and answers as documented, in goods of our own; and as published, where copies are.

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
        adapter::{Access, Adapter, Call, Genuine, Hint, Inbound, Sample, Titled},
        fact::{Decoded, Fact, Identity, Rejection, SoldLine, Undecodable},
        read,
    },
    Shopee, inbound,
};
use crate::secrets::Secret;

const URL: &str = "https://quay.example/hooks/7";
const BODY: &str =
    r#"{"code":"3","shop_id":9007199254740993,"data":{"ordersn":"260301QUAY","status":"SHIPPED"}}"#;
/// Made with another program from the key `partner-key`: over the URL, a bar and the body; over the body.
const SIGNED: &str = "405da2ed1be350f3eb09404b4b3a17ab92efe5b13f1e86f8f086ea67bf8760c5";
const BODY_SIGNED: &str = "917fe25162458f648f40f64cb7e9d1c419ca73a9220a8792e84a740fac848b78";

fn shop(account: Option<&str>) -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Shopee,
        name: "Quay Side".into(),
        brand: "Quay".into(),
        account: account.map(str::to_owned),
        app: Some("2001887".into()),
        endpoint: None,
        platform_location: None,
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("SGD").expect("a currency"),
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

fn models(external: &str, title: &str, at: DateTime<Utc>) -> Hint {
    Hint { titled: Some(Titled { title: title.to_owned(), at }), ..hint("models", external) }
}

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        let value = HeaderValue::from_str(value).expect("a header's value");
        headers.append(HeaderName::from_static("authorization"), value);
    }
    headers
}

fn verified(signatures: &[&str], url: &str, body: &str, secrets: &[&str]) -> Result<(), Rejection> {
    let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::new).collect();
    Shopee.verify(&Inbound {
        headers: &headers(signatures),
        body: body.as_bytes(),
        url,
        now: noon(),
        details: &shop(None),
        secrets: &secrets,
    })
}

fn decoded(body: &str, details: &ConnectionDetails) -> Result<Decoded, Undecodable> {
    let topic = inbound::identify(body.as_bytes()).topic;
    Shopee.decode(&Genuine { topic: &topic, body: body.as_bytes(), at: noon(), details })
}

fn fact(body: &Value) -> Fact {
    match decoded(&body.to_string(), &shop(None)).expect("a body that can be understood") {
        Decoded::Facts(mut facts) if facts.len() == 1 => facts.remove(0),
        other => panic!("{other:?}"),
    }
}

fn seen(hint: &Hint, answer: &Value) -> Result<Vec<Fact>, Undecodable> {
    Shopee.seen(hint, answer.to_string().as_bytes(), noon(), &shop(None))
}

fn look(hint: &Hint, details: &ConnectionDetails, token: Option<&str>, key: Option<&str>) -> Option<Call> {
    let (token, key) = (token.map(Secret::new), key.map(Secret::new));
    let access = Access { details, token: token.as_ref(), app_secret: key.as_ref(), now: noon() };
    Shopee.look(hint, &access)
}

fn stock(inventory: &str, available: i64) -> Fact {
    Fact::StockObserved {
        inventory: id(inventory),
        platform_location: None,
        available: Some(available),
        at: Some(noon()),
    }
}

#[test]
fn the_url_and_the_body_are_signed_in_letters_of_either_case() {
    assert_eq!(verified(&[SIGNED], URL, BODY, &["partner-key"]), Ok(()));
    assert_eq!(verified(&[&SIGNED.to_uppercase()], URL, BODY, &["partner-key"]), Ok(()));
    assert_eq!(verified(&[SIGNED], URL, BODY, &["new", "partner-key"]), Ok(()), "during rotation");
    assert_eq!(verified(&["nonsense", SIGNED], URL, BODY, &["partner-key"]), Ok(()), "beside another value");
}

#[test]
fn a_signature_over_the_body_alone_is_taken_as_well() {
    assert_eq!(verified(&[BODY_SIGNED], URL, BODY, &["partner-key"]), Ok(()));
    assert_eq!(verified(&[BODY_SIGNED], "https://other.example/", BODY, &["partner-key"]), Ok(()));
}

#[test]
fn a_changed_byte_or_another_secret_is_refused() {
    let refused = Err(Rejection::BadSignature);
    let changed = BODY.replace("SHIPPED", "shipped");
    assert_eq!(verified(&[SIGNED], URL, &changed, &["partner-key"]), refused);
    assert_eq!(verified(&[SIGNED], "https://quay.example/hooks/8", BODY, &["partner-key"]), refused);
    assert_eq!(verified(&[SIGNED], URL, BODY, &["Partner-key"]), refused);
    assert_eq!(verified(&[SIGNED], URL, BODY, &[]), refused);
    assert_eq!(verified(&[SIGNED], URL, BODY, &[""]), refused);
    for nonsense in ["%%%", "00", "sha256=00", &SIGNED[..62]] {
        assert_eq!(verified(&[nonsense], URL, BODY, &["partner-key"]), refused, "{nonsense}");
    }
    let missing = Err(Rejection::MissingHeader("Authorization"));
    assert_eq!(verified(&[], URL, BODY, &["partner-key"]), missing);
    assert_eq!(verified(&[" "], URL, BODY, &["partner-key"]), missing);
}

#[test]
fn a_push_is_known_by_its_id_or_else_by_its_content() {
    let body = json!({"code": "8", "timestamp": "1772366400", "msg_id": "85bb37", "data": {}}).to_string();
    let known = Identity {
        topic: "reserved_stock".into(),
        external_id: "85bb37".into(),
        signed: true,
        sent_at: Some(noon()),
    };
    assert_eq!(inbound::identify(body.as_bytes()), known);
    let made = |body: &str| inbound::identify(body.as_bytes());
    assert!(made(BODY).external_id.starts_with("sha256:") && made(BODY).signed);
    assert_eq!(made(BODY), made(BODY));
    assert_ne!(made(BODY).external_id, made(&BODY.replace("SHIPPED", "PROCESSED")).external_id);
    let endless = json!({"code": 3, "msg_id": "x".repeat(256)}).to_string();
    assert!(made(&endless).external_id.starts_with("sha256:"));
}

#[test]
fn a_topic_is_a_name_and_a_body_that_makes_no_sense_is_unknown() {
    let topic = |body: &str| inbound::identify(body.as_bytes()).topic;
    assert_eq!(topic(r#"{"code":22}"#), "price_update");
    assert_eq!(topic(r#"{"code":"1"}"#), "shop_authorization");
    assert_eq!(topic(r#"{"code":4711}"#), "code 4711");
    for nonsense in ["", "{", "[]", "null", "{}", r#"{"code":null}"#, r#"{"code":3.5}"#, r#"{"code":"x"}"#] {
        assert_eq!(topic(nonsense), "unknown", "{nonsense}");
        assert!(decoded(nonsense, &shop(None)).is_err(), "{nonsense}");
    }
    assert_eq!(inbound::identify(b"\xff").topic, "unknown");
}

#[test]
fn times_are_read_as_numbers_and_as_texts_and_in_milliseconds() {
    for time in [json!(1_772_366_400), json!("1772366400"), json!("1772366400000")] {
        assert_eq!(inbound::moment(&time), Some(noon()), "{time}");
    }
    for time in [json!(0), json!(-1), json!(i64::MAX), json!(1.5), json!("soon"), json!(null)] {
        assert_eq!(inbound::moment(&time), None, "{time}");
    }
}

#[test]
fn an_order_is_cancelled_or_must_be_looked_at() {
    let order = |status: Value| {
        json!({"code": "3", "shop_id": "4711", "data": {"ordersn": "260301QUAY", "status": status, "items": [
            {"item_id": 1, "model_id": 2, "quantity": 3}
        ]}})
    };
    let external = id("260301QUAY");
    assert_eq!(fact(&order(json!("CANCELLED"))), Fact::OrderCancelled { external, buyer: None, at: None });
    for status in [json!("UNPAID"), json!("READY_TO_SHIP"), json!("IN_CANCEL"), json!(null)] {
        assert_eq!(fact(&order(status)), Fact::Hint(hint("order", "260301QUAY")));
    }
}

#[test]
fn pushes_about_an_item_are_hints_with_every_digit_of_its_id() {
    for code in [6, 8, 16, 22] {
        for item in [json!(9_007_199_254_740_993_u64), json!("9007199254740993")] {
            let body = json!({"code": code, "data": {"item_id": item, "model_id": "0"}});
            assert_eq!(fact(&body), Fact::Hint(hint("product", "9007199254740993")));
        }
    }
}

#[test]
fn other_pushes_are_none_of_ours_and_broken_ones_are_refused() {
    for code in [0, 1, 2, 4, 5, 7, 9, 10, 11, 12, 13, 14, 15, 27, 28, 999] {
        let body = json!({"code": code, "data": "anything", "shop_id": null}).to_string();
        assert_eq!(decoded(&body, &shop(Some("4711"))), Ok(Decoded::UnknownTopic), "{code}");
    }
    for body in [
        json!({"code": 3}),
        json!({"code": 3, "data": null}),
        json!({"code": 3, "data": {"status": "CANCELLED"}}),
        json!({"code": 3, "data": {"ordersn": "", "status": "CANCELLED"}}),
        json!({"code": 3, "data": {"ordersn": "26 03", "status": "CANCELLED"}}),
        json!({"code": 22, "data": {"item_id": null}}),
        json!({"code": 22, "data": {"item_id": 1.5}}),
        json!({"code": 22, "data": []}),
    ] {
        assert!(decoded(&body.to_string(), &shop(None)).is_err(), "{body}");
    }
}

#[test]
fn a_push_of_another_shop_tells_nothing_here_and_names_that_shop() {
    let body = json!({"code": 3, "shop_id": "815", "data": {"ordersn": "A1"}}).to_string();
    assert_eq!(decoded(&body, &shop(Some("4711"))), Ok(Decoded::Facts(vec![])));
    assert_ne!(decoded(&body, &shop(Some("815"))), Ok(Decoded::Facts(vec![])));
    let inner = json!({"code": 8, "data": {"item_id": 1, "shop_id": 815}}).to_string();
    assert_eq!(decoded(&inner, &shop(Some("4711"))), Ok(Decoded::Facts(vec![])));
    let others = |body: &str, account| inbound::other_accounts(body.as_bytes(), &shop(account));
    assert_eq!(others(&body, Some("4711")), ["815"]);
    assert_eq!(others(&inner, Some("4711")), ["815"]);
    assert!(others(&body, Some("815")).is_empty() && others(&body, None).is_empty());
    assert!(others("{", Some("4711")).is_empty());
    assert!(decoded(&inner, &shop(Some("815"))).is_ok());
}

#[test]
fn a_call_is_signed_as_shopee_wants_it() {
    let details = shop(Some("4711"));
    let call = look(&hint("order", "260301QUAY"), &details, Some("token-1"), Some("partner-key"));
    let call = call.expect("a call");
    assert_eq!((call.method, call.headers, call.body), (Method::GET, vec![], None));
    assert_eq!(
        call.target,
        "/api/v2/order/get_order_detail?partner_id=2001887&timestamp=1772366400&access_token=token-1\
         &shop_id=4711&sign=1fe04e9f7a6dff9b9fab923195f2aa9081fb8ee026cdcd5e2966431e3b67326f\
         &order_sn_list=260301QUAY&response_optional_fields=item_list,buyer_user_id,buyer_username"
    );
    let target = |resource, external: &str| {
        look(&hint(resource, external), &details, Some("a+b"), Some("partner-key")).expect("a call").target
    };
    let item = target("product", "34&1");
    assert!(
        item.starts_with("/api/v2/product/get_item_base_info?") && item.ends_with("&item_id_list=34%261")
    );
    assert!(item.contains("&access_token=a%2Bb&"));
    for named in ["34", "34|Harbour␣Runner"] {
        let models = target("models", named);
        assert!(models.starts_with("/api/v2/product/get_model_list?") && models.ends_with("&item_id=34"));
    }
}

#[test]
fn nothing_is_called_without_what_a_call_takes() {
    let order = hint("order", "A1");
    let details = shop(Some("4711"));
    assert_eq!(look(&order, &details, None, Some("partner-key")), None);
    assert_eq!(look(&order, &details, Some("token-1"), None), None);
    assert_eq!(look(&order, &shop(None), Some("token-1"), Some("partner-key")), None);
    let nameless = ConnectionDetails { app: None, ..details.clone() };
    assert_eq!(look(&order, &nameless, Some("token-1"), Some("partner-key")), None);
    assert_eq!(look(&hint("catalog", "A1"), &details, Some("token-1"), Some("partner-key")), None);
}

fn order_answer(status: &str, items: &Value) -> Value {
    json!({"error": "", "message": "", "response": {"order_list": [
        {"order_sn": "B2", "order_status": "COMPLETED", "item_list": []},
        {"order_sn": "A1", "order_status": status, "item_list": items}
    ]}})
}

#[test]
fn an_order_is_seen_with_its_lines() {
    let items = json!([
        {"item_id": 9_007_199_254_740_993_u64, "model_id": 0, "item_sku": "MOLE", "item_name": "Mole",
         "model_quantity_purchased": 2},
        {"item_id": 7, "model_id": "18446744073709551615", "item_sku": "PARENT", "model_sku": "",
         "item_name": "Runner", "model_quantity_purchased": "1"},
        {"item_id": 8, "model_id": null, "model_sku": " RUN-42 ", "model_quantity_purchased": 1},
        {"item_id": 9, "model_quantity_purchased": 0}
    ]);
    let line = |variant: &str, sku: Option<&str>, quantity| SoldLine {
        external_variant: Some(id(variant)),
        sku: sku.and_then(|sku| Sku::new(sku).ok()),
        quantity: Quantity::new(quantity).expect("a quantity"),
    };
    let lines = vec![
        line("9007199254740993", Some("MOLE"), 2),
        line("18446744073709551615", None, 1),
        line("8", Some("RUN-42"), 1),
    ];
    let order = hint("order", "A1");
    let external = id("A1");
    let placed = Fact::OrderPlaced {
        external: external.clone(),
        lines: lines.clone(),
        buyer: None,
        times: Default::default(),
    };
    assert_eq!(seen(&order, &order_answer("UNPAID", &items)), Ok(vec![placed]));
    for status in ["READY_TO_SHIP", "SHIPPED", "IN_CANCEL", "COMPLETED"] {
        let paid = Fact::OrderPaid {
            external: external.clone(),
            lines: lines.clone(),
            buyer: None,
            times: Default::default(),
        };
        assert_eq!(seen(&order, &order_answer(status, &items)), Ok(vec![paid]), "{status}");
    }
    let cancelled = Fact::OrderCancelled { external, buyer: None, at: None };
    assert_eq!(seen(&order, &order_answer("CANCELLED", &json!(null))), Ok(vec![cancelled]));
}

#[test]
fn an_order_that_cannot_be_counted_is_refused() {
    let order = hint("order", "A1");
    let one = |quantity: Value| json!([{"item_id": 1, "model_quantity_purchased": quantity}]);
    for items in [
        json!(null),
        one(json!(-1)),
        one(json!(1.5)),
        one(json!("many")),
        one(json!(5_000_000_000_i64)),
        json!([{"model_quantity_purchased": 1}]),
        json!([{"item_id": 1}]),
        json!(vec![json!({"item_id": 1, "model_quantity_purchased": 1}); 501]),
    ] {
        assert!(seen(&order, &order_answer("SHIPPED", &items)).is_err(), "{items}");
    }
    assert!(seen(&hint("order", "C3"), &order_answer("SHIPPED", &json!([]))).is_err(), "another order");
    assert!(seen(&order, &json!({"response": null})).is_err());
    assert!(Shopee.seen(&order, b"<html>", noon(), &shop(None)).is_err());
}

#[test]
fn an_error_is_told_and_an_item_that_is_not_found_is_gone() {
    let answer = |error: &str| json!({"error": error, "message": "say why", "response": ""});
    let refused = seen(&hint("order", "A1"), &answer("error_auth")).expect_err("an error");
    assert!(refused.0.contains("error_auth: say why"), "{refused}");
    let removed = vec![Fact::ProductRemoved { external: id("34") }];
    assert_eq!(seen(&hint("product", "34"), &answer("product.error_item_not_found")), Ok(removed.clone()));
    for named in ["34", "34|Harbour␣Runner"] {
        let seen = seen(&hint("models", named), &answer("error_item_not_found"));
        assert_eq!(seen.as_ref(), Ok(&removed), "{named}");
    }
    assert!(seen(&hint("models", "|Runner"), &answer("error_item_not_found")).is_err());
    assert!(seen(&hint("order", "34"), &answer("error_item_not_found")).is_err());
    let none = json!({"error": "", "response": {"item_list": []}});
    assert_eq!(seen(&hint("product", "34"), &none), Ok(removed));
}

fn item_answer(item: &Value) -> Value {
    json!({"error": "", "response": {"item_list": [item]}})
}

#[test]
fn an_item_without_models_is_a_product_of_one_variant() {
    let item = json!({
        "item_id": 9_007_199_254_740_993_u64, "item_name": " Harbour Runner ", "item_sku": "RUN-42",
        "item_status": "NORMAL", "update_time": "1772280000", "has_model": false,
        "brand": {"brand_id": 1, "original_brand_name": "Quay"},
        "price_info": [{"currency": "SGD", "original_price": 129.9, "current_price": 99.0}],
        "stock_info_v2": {
            "summary_info": {"total_available_stock": 100},
            "seller_stock": [
                {"stock": "4"}, {"stock": 3, "if_saleable": true}, {"stock": 9, "if_saleable": false}
            ],
        },
    });
    let facts = seen(&hint("product", "9007199254740993"), &item_answer(&item)).expect("facts");
    let [Fact::Product(product), counted] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((product.external.as_str(), product.complete), ("9007199254740993", true));
    assert_eq!(Some(product.at), read::time("2026-02-28T12:00:00Z"));
    let details = &product.details;
    assert_eq!((details.title.as_str(), details.vendor.as_deref()), ("Harbour Runner", Some("Quay")));
    let [variant] = product.variants.as_slice() else { panic!("{product:?}") };
    assert_eq!((&variant.external, variant.inventory.as_ref()), (&product.external, Some(&product.external)));
    assert_eq!(variant.sku.as_ref().map(Sku::as_str), Some("RUN-42"));
    assert_eq!(variant.price.map(|price| price.to_string()).as_deref(), Some("129.90 SGD"));
    assert_eq!(*counted, stock("9007199254740993", 7));
}

#[test]
fn what_merely_describes_an_item_may_be_missing_or_wrong() {
    let item = json!({
        "item_id": "34", "item_name": null, "item_sku": "", "brand": {"original_brand_name": "NoBrand"},
        "price_info": [{"currency": "MYR", "original_price": 129.9}],
        "stock_info_v2": {"summary_info": {"total_available_stock": "8"}, "seller_stock": []},
    });
    let facts = seen(&hint("product", "34"), &item_answer(&item)).expect("facts");
    let [Fact::Product(product), counted] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((product.details.title.as_str(), &product.details.vendor), ("", &None), "nothing is told");
    assert_eq!(product.at, noon());
    let [variant] = product.variants.as_slice() else { panic!("{product:?}") };
    assert_eq!((&variant.sku, &variant.price), (&None, &None), "no SKU, and a price in another currency");
    assert_eq!(*counted, stock("34", 8));
    let uncounted = seen(&hint("product", "34"), &item_answer(&json!({"item_id": 34, "price_info": {}})));
    assert!(matches!(uncounted.expect("facts").as_slice(), [Fact::Product(_)]));
    let wrong = json!({"item_id": 34, "stock_info_v2": {"seller_stock": [{"stock": "few"}]}});
    assert!(seen(&hint("product", "34"), &item_answer(&wrong)).is_err());
}

#[test]
fn an_item_that_nobody_can_buy_is_gone_and_one_with_models_leads_to_them() {
    for status in ["BANNED", "REVIEWING", "SELLER_DELETE", "SHOPEE_DELETE"] {
        let item = json!({"item_id": 34, "item_status": status, "has_model": true});
        let removed = Fact::ProductRemoved { external: id("34") };
        assert_eq!(seen(&hint("product", "34"), &item_answer(&item)), Ok(vec![removed]), "{status}");
    }
    let long = "x".repeat(255);
    for (has, name, title) in [
        (json!(true), json!(null), ""),
        (json!("true"), json!(" Harbour Runner "), "Harbour Runner"),
        (json!(true), json!("a|b\u{0} c"), "a|b c"),
        (json!(true), json!(long), long.as_str()),
    ] {
        let item = json!({"item_id": 34, "item_status": "NORMAL", "has_model": has, "item_name": name,
                          "update_time": 1_772_280_000});
        let leads_to = Fact::Hint(models("34", title, noon()));
        assert_eq!(seen(&hint("product", "34"), &item_answer(&item)), Ok(vec![leads_to]), "{name}");
    }
}

#[test]
fn an_item_that_is_unlisted_tells_nothing_whoever_has_switched_it_off() {
    for has in [true, false] {
        let item = json!({"item_id": 34, "item_status": "UNLIST", "has_model": has, "item_name": "Runner"});
        assert_eq!(seen(&hint("product", "34"), &item_answer(&item)), Ok(vec![]));
    }
}

#[test]
fn models_are_variants_with_the_options_of_their_tiers() {
    let answer = json!({"error": "", "response": {
        "tier_variation": [
            {"name": "Colour", "option_list": [{"option": "Sand"}, {"option": "Slate"}]},
            {"name": "", "option_list": [{"option": "41"}, {"option": "42"}]}
        ],
        "model": [
            {"model_id": 9_007_199_254_740_993_u64, "model_sku": "RUN-SL-41", "tier_index": [1, "0"],
             "price_info": [{"currency": "SGD", "original_price": "129.00"}],
             "stock_info_v2": {"seller_stock": [{"location_id": "SG1", "stock": 5}]}},
            {"model_id": "12", "model_sku": null, "tier_index": [7, null], "price_info": null}
        ],
    }});
    let untitled = seen(&hint("models", "34"), &answer).expect("facts");
    assert!(
        matches!(&untitled[0], Fact::Product(product) if product.details.title.is_empty()),
        "{untitled:?}"
    );
    let facts = seen(&hint("models", "34|Harbour␣|␣Runner"), &answer).expect("facts");
    let [Fact::Product(product), counted] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!((product.external.as_str(), product.details.title.as_str()), ("34", "Harbour | Runner"));
    assert_eq!((product.at, product.complete), (noon(), true));
    let [slate, odd] = product.variants.as_slice() else { panic!("{product:?}") };
    assert_eq!(
        (slate.external.as_str(), slate.inventory.as_ref()),
        ("9007199254740993", Some(&slate.external))
    );
    assert_eq!(slate.sku.as_ref().map(Sku::as_str), Some("RUN-SL-41"));
    assert_eq!(slate.price.map(|price| price.minor), Some(12_900));
    let attributes = [("colour".to_owned(), "Slate".to_owned()), ("option2".to_owned(), "41".to_owned())];
    assert_eq!(slate.attributes, attributes.into());
    assert_eq!((odd.external.as_str(), &odd.sku, &odd.price), ("12", &None, &None));
    assert!(odd.attributes.is_empty());
    assert_eq!(*counted, stock("9007199254740993", 5));
    let earlier = read::time("2026-03-01T11:00:00Z").expect("a time");
    let ahead = read::time("2026-03-01T13:00:00Z").expect("a time");
    for (told, at) in [(earlier, earlier), (ahead, noon())] {
        let facts = seen(&models("34", "Harbour | Runner", told), &answer).expect("facts");
        let [Fact::Product(product), counted] = facts.as_slice() else { panic!("{facts:?}") };
        assert_eq!((product.details.title.as_str(), product.at), ("Harbour | Runner", at));
        assert_eq!(
            *counted,
            stock("9007199254740993", 5),
            "that is of the look, however long the title waited"
        );
    }
    for empty in [json!({"model": []}), json!({"tier_variation": []}), json!(null)] {
        assert!(seen(&hint("models", "34"), &json!({"error": "", "response": empty})).is_err());
    }
}

#[test]
fn each_sample_verifies_and_says_something() {
    let details = shop(Some("4711"));
    for topic in Shopee.topics().iter().copied() {
        let sample = Sample {
            id: Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0),
            now: noon(),
            url: URL,
            secret: "partner-key",
            details: &details,
            sku: "RUN-42",
        };
        let (pairs, body) = Shopee.sample(topic, &sample).expect("a sample");
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(&value).expect("a header's value"));
        }
        let secrets = [Secret::new("partner-key")];
        let request = Inbound {
            headers: &headers,
            body: &body,
            url: URL,
            now: noon(),
            details: &details,
            secrets: &secrets,
        };
        assert_eq!(Shopee.verify(&request), Ok(()), "{topic}");
        let identity = Shopee.identify(&request).expect("an identity");
        assert_eq!((identity.topic.as_str(), identity.sent_at), (topic, Some(noon())));
        assert_eq!(identity.external_id, sample.id.simple().to_string());
        let delivery = Genuine { topic, body: &body, at: noon(), details: &details };
        let understood = Shopee.decode(&delivery);
        assert!(matches!(&understood, Ok(Decoded::Facts(facts)) if !facts.is_empty()), "{understood:?}");
    }
    assert!(Shopee.topics().contains(&"order_status"));
}

/// Copies of what the real platform sends, where they lie next to the repository.
fn copies() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads"));
    folder.is_dir().then_some(folder)
}

#[test]
fn published_bodies_are_understood_or_none_of_ours() {
    let Some(folder) = copies() else { return };
    let mut told = 0;
    for entry in fs::read_dir(folder.join("shopee")).expect("a folder of copies") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = fs::read_to_string(&path).expect("a copy");
        let understood = decoded(&body, &shop(None)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        told += usize::from(matches!(&understood, Decoded::Facts(facts) if !facts.is_empty()));
    }
    assert!(told >= 2, "{told}");
}

#[test]
fn a_published_answer_about_an_item_leads_to_its_models() {
    let Some(folder) = copies() else { return };
    let path = folder.join("shopee/api/product.get_item_base_info-response__1.json");
    // A dash stands for any text there, for that of the error as well.
    let body = fs::read_to_string(path).expect("a copy").replacen(r#""error": "-""#, r#""error": """#, 1);
    let facts = Shopee.seen(&hint("product", "34002"), body.as_bytes(), noon(), &shop(None));
    assert_eq!(facts, Ok(vec![Fact::Hint(models("34002", "seller discount", noon()))]));
}

#[test]
fn published_signatures_verify_or_fail_as_published() {
    let Some(folder) = copies() else { return };
    let vectors = fs::read(folder.join("signature_vectors.json")).expect("the vectors");
    let vectors: Vec<Value> = serde_json::from_slice(&vectors).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ours = vectors.iter().filter(|vector| text(&vector["platform"]).starts_with("shopee"));
    let mut checked = 0;
    for vector in ours {
        let (expected, secret) = (text(&vector["expected"]), text(&vector["secret"]));
        let verdict = verified(&[&expected], &text(&vector["url"]), &text(&vector["body"]), &[&secret]);
        assert_eq!(verdict.is_ok(), vector["valid"] == true, "{}", vector["source"]);
        checked += 1;
    }
    assert!(checked >= 3, "{checked}");
}
