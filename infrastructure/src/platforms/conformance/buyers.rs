//! Who bought: taken from where each platform writes it down, and never a reason to lose an order.

use onhand_domain::connection::Platform;
use serde_json::{Value, json};

use super::{
    super::{
        adapter::Genuine,
        adapter_of,
        fact::{Decoded, Fact, Person},
    },
    connection, hard, hint, now,
};

/// An order as a platform tells it: the topic of a webhook, or none for what a look has shown; and where in it the buyer is
/// written down.
struct Told {
    platform: Platform,
    topic: Option<&'static str>,
    body: Value,
    buyer: &'static [&'static str],
    /// Id, name and address.
    expected: (Option<&'static str>, Option<&'static str>, Option<&'static str>),
}

const ROBIN: &str = "Robin Quay";
const ADDRESS: &str = "Robin@quay.example";

fn told() -> Vec<Told> {
    let line = json!([{ "variant_id": 2, "quantity": 1 }]);
    let customer = json!({ "id": 77, "email": ADDRESS, "first_name": "Robin", "last_name": "Quay" });
    let shopify = json!({
        "id": 1, "line_items": line, "email": "other@quay.example", "customer": customer,
        "cancelled_at": "2026-03-01T12:00:00Z",
    });
    let bare = json!({ "id": 1, "line_items": line, "email": ADDRESS, "customer": null });
    let woocommerce = |status: &str, customer: u64| {
        json!({
            "id": 1, "status": status, "line_items": [{ "product_id": 2, "quantity": 1 }], "customer_id": customer,
            "billing": { "first_name": "Robin", "last_name": "Quay", "email": ADDRESS },
        })
    };
    let recipient = json!({ "customer_id": "C2", "display_name": ROBIN, "email_address": ADDRESS });
    let square = |customer: Value| {
        json!({ "order": {
            "id": "1", "state": "OPEN", "line_items": [{ "catalog_object_id": "V1", "quantity": "1" }],
            "customer_id": customer,
            "fulfillments": [{ "type": "PICKUP" }, { "type": "SHIPMENT", "shipment_details": { "recipient": recipient } }],
        } })
    };
    let shopee = json!({ "error": "", "response": { "order_list": [{
        "order_sn": "1", "order_status": "UNPAID", "item_list": [{ "item_id": 8, "model_quantity_purchased": 1 }],
        "buyer_user_id": 258_065_931_u64, "buyer_username": "robin.quay",
    }] } });
    let tiktokshop = json!({ "code": 0, "data": { "orders": [{
        "id": "1", "status": "UNPAID", "line_items": [{ "sku_id": "9" }], "user_id": "7494545630022",
        "buyer_email": ADDRESS, "recipient_address": { "name": ROBIN, "full_address": "1 Quay" },
    }] } });
    let all = |id| (Some(id), Some(ROBIN), Some(ADDRESS));
    let told = |platform, topic, body: &Value, buyer, expected| Told {
        platform,
        topic,
        body: body.clone(),
        buyer,
        expected,
    };
    let at_shopify: &[&str] =
        &["/customer", "/customer/id", "/customer/email", "/customer/first_name", "/email"];
    let at_woocommerce: &[&str] = &["/customer_id", "/billing", "/billing/email", "/billing/last_name"];
    let at_square: &[&str] =
        &["/order/customer_id", "/order/fulfillments", "/order/fulfillments/1/shipment_details"];
    let at_shopee: &[&str] =
        &["/response/order_list/0/buyer_user_id", "/response/order_list/0/buyer_username"];
    let at_tiktokshop: &[&str] =
        &["/data/orders/0/user_id", "/data/orders/0/buyer_email", "/data/orders/0/recipient_address"];
    vec![
        told(Platform::Shopify, Some("orders/create"), &shopify, at_shopify, all("77")),
        told(Platform::Shopify, Some("orders/paid"), &shopify, at_shopify, all("77")),
        told(Platform::Shopify, Some("orders/cancelled"), &shopify, at_shopify, all("77")),
        told(
            Platform::Shopify,
            Some("orders/create"),
            &bare,
            &["/customer", "/email"],
            (None, None, Some(ADDRESS)),
        ),
        told(
            Platform::Woocommerce,
            Some("order.created"),
            &woocommerce("pending", 5),
            at_woocommerce,
            all("5"),
        ),
        told(
            Platform::Woocommerce,
            Some("order.updated"),
            &woocommerce("cancelled", 5),
            at_woocommerce,
            all("5"),
        ),
        told(
            Platform::Woocommerce,
            Some("order.created"),
            &woocommerce("processing", 0),
            at_woocommerce,
            (None, Some(ROBIN), Some(ADDRESS)),
        ),
        told(Platform::Square, None, &square(json!("C1")), at_square, all("C1")),
        told(Platform::Square, None, &square(json!(null)), at_square, all("C2")),
        told(Platform::Shopee, None, &shopee, at_shopee, (Some("258065931"), Some("robin.quay"), None)),
        told(Platform::TiktokShop, None, &tiktokshop, at_tiktokshop, all("7494545630022")),
    ]
}

fn facts(told: &Told, body: &Value) -> Vec<Fact> {
    facts_of(told, body.to_string().as_bytes())
}

fn facts_of(told: &Told, body: &[u8]) -> Vec<Fact> {
    let (adapter, details) = (adapter_of(told.platform), connection(told.platform));
    let Some(topic) = told.topic else {
        return adapter.seen(&hint("order", "1"), body, now(), &details).expect("an answer");
    };
    match adapter.decode(&Genuine { topic, body, at: now(), details: &details }) {
        Ok(Decoded::Facts(facts)) => facts,
        other => panic!("{} {topic}: {other:?}", told.platform),
    }
}

#[test]
fn a_buyer_is_found_where_the_platform_writes_it_down() {
    for case in told() {
        let facts = facts(&case, &case.body);
        let Some((_, Person { id, name, email })) = facts.iter().find_map(Fact::buyer) else {
            panic!("{} {:?}: nobody", case.platform, case.topic)
        };
        let found = (id.as_deref(), name.as_deref(), email.as_deref());
        assert_eq!(found, case.expected, "{} {:?}", case.platform, case.topic);
        assert!(!format!("{facts:?}").contains("Quay"), "{}: a buyer shows itself nowhere", case.platform);
    }
}

#[test]
fn no_order_is_lost_for_the_sake_of_its_buyer() {
    for case in told() {
        let plain = facts(&case, &case.body).len();
        for place in case.buyer {
            for odd in hard::values() {
                let mut body = case.body.clone();
                *body.pointer_mut(place).expect("a place of this very text") = odd;
                assert_eq!(facts(&case, &body).len(), plain, "{} {place}", case.platform);
            }
        }
    }
}

#[test]
fn no_order_is_lost_because_a_name_was_cut_in_the_middle_of_a_letter() {
    // The answers of the others are read as a whole, and have always had to be whole.
    let of_parts = |case: &Told| !matches!(case.platform, Platform::Shopee | Platform::TiktokShop);
    for case in told().into_iter().filter(of_parts) {
        let plain = facts(&case, &case.body).len();
        for cut in [&b"Robin\\ud83d"[..], b"Robin\xf0\x9f"] {
            let whole = case.body.to_string().into_bytes();
            let place = whole.windows(5).position(|part| part == b"Robin").expect("a name");
            let body = [&whole[..place], cut, &whole[place + 5..]].concat();
            assert_eq!(facts_of(&case, &body).len(), plain, "{} {:?}", case.platform, case.topic);
        }
    }
}

#[test]
fn a_person_is_found_whatever_the_topic_is_and_whatever_is_wrong_with_the_body() {
    let customer = json!({ "id": 77, "email": ADDRESS, "first_name": "Robin", "last_name": "Quay" });
    let order = json!({ "id": 1, "line_items": "none", "customer": customer });
    let billed = json!({ "id": 1, "customer_id": 77, "billing": { "email": ADDRESS } });
    for (platform, topic, body) in [
        (Platform::Shopify, "orders/updated", &order),
        (Platform::Shopify, "orders/create", &order),
        (Platform::Shopify, "customers/redact", &order),
        (Platform::Shopify, "customers/update", &customer),
        (Platform::Woocommerce, "order.deleted", &billed),
        (Platform::Woocommerce, "customer.updated", &customer),
    ] {
        let (adapter, details, body) = (adapter_of(platform), connection(platform), body.to_string());
        let genuine = Genuine { topic, body: body.as_bytes(), at: now(), details: &details };
        let person = adapter.person(&genuine).expect(topic);
        assert_eq!((person.id.as_deref(), person.email.as_deref()), (Some("77"), Some(ADDRESS)), "{topic}");
        let nothing = Genuine { body: b"{", ..genuine };
        assert_eq!(adapter.person(&nothing), None, "{topic}");
        let product = Genuine { body: br#"{"id":1,"title":"Runner"}"#, topic: "orders/updated", ..genuine };
        assert_eq!(adapter.person(&product), None, "{topic}");
    }
}

#[test]
fn a_question_about_a_person_is_none_to_forget_them() {
    let customer = json!({ "id": 77, "email": ADDRESS, "phone": null });
    let of_shop = |shop: &str, more: &[(&str, Value)]| {
        let mut body = json!({ "shop_id": 1, "shop_domain": shop, "customer": customer });
        more.iter().for_each(|(name, value)| body[*name] = value.clone());
        body
    };
    let shopify = adapter_of(Platform::Shopify);
    let details = connection(Platform::Shopify);
    let decoded = |topic: &str, body: &Value| {
        let body = body.to_string().into_bytes();
        let genuine = Genuine { topic, body: &body, at: now(), details: &details };
        assert_eq!(shopify.is_anothers(&genuine), !shopify.other_accounts(&genuine).is_empty());
        (shopify.decode(&genuine), shopify.other_accounts(&genuine))
    };
    let asked = of_shop("shop-1", &[("orders_requested", json!([3]))]);
    let told = of_shop("shop-1", &[("orders_to_redact", json!([3, "4"]))]);
    let (redact, others) = decoded("customers/redact", &told);
    let Ok(Decoded::Facts(redact)) = redact else { panic!("{redact:?}") };
    let [Fact::ErasureAsked { person, orders }] = &redact[..] else { panic!("{redact:?}") };
    assert_eq!((person.id.as_deref(), person.email.as_deref(), orders.len()), (Some("77"), Some(ADDRESS), 2));
    assert!(others.is_empty());
    assert!(decoded("customers/redact", &asked).0.is_err(), "the topic is not signed");
    let (data, _) = decoded("customers/data_request", &asked);
    assert!(matches!(data.as_ref().map(told_one), Ok(Some(Fact::DisclosureAsked { .. }))), "{data:?}");
    let nobody = json!({ "shop_domain": "shop-1", "customer": { "phone": "1" }, "orders_to_redact": [] });
    assert!(decoded("customers/redact", &nobody).0.is_err());

    // One address serves all the shops that have the app.
    for topic in ["customers/redact", "customers/data_request", "shop/redact"] {
        let other = of_shop("Shop-2", &[("orders_to_redact", json!([3]))]);
        let (decoded, others) = decoded(topic, &other);
        assert_eq!((decoded, others), (Ok(Decoded::Facts(vec![])), vec!["Shop-2".to_owned()]), "{topic}");
    }
    let whole = json!({ "shop_id": 1, "shop_domain": "SHOP-1" });
    assert_eq!(decoded("shop/redact", &whole).0, Ok(Decoded::Facts(vec![Fact::ShopErasureAsked])));
    assert!(decoded("orders/create", &whole).1.is_empty());
}

fn told_one(decoded: &Decoded) -> Option<&Fact> {
    let Decoded::Facts(facts) = decoded else { return None };
    facts.first().filter(|_| facts.len() == 1)
}
