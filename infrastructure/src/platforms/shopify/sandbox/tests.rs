//! The shop over real HTTP, asked as the adapter asks and heard as an endpoint hears.
//! What is promised here is what the platform's recordings show, in words and goods of our own.

mod products;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::shop::lock;
use super::*;

const SET: &str = "mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
    inventorySetQuantities(input: $input) @idempotent(key: $key) {
        inventoryAdjustmentGroup { reason changes { name delta item { id } location { id } } }
        userErrors { field message code }
    }
}";

const PRICES: &str = "mutation Prices($id: ID!, $variants: [ProductVariantsBulkInput!]!, $partial: Boolean) {
    productVariantsBulkUpdate(productId: $id, variants: $variants, allowPartialUpdates: $partial) {
        productVariants { id price }
        userErrors { field code }
    }
}";

async fn open() -> (SandboxShop, ProductIds) {
    let settings = ShopSettings {
        domain: "kicks-and-co.myshopify.com".to_owned(),
        access_token: "token".to_owned(),
        webhook_secret: "secret".to_owned(),
        api_version: "2026-04".to_owned(),
        location_id: 77,
        bucket: CostBucket::default(),
    };
    let shop = SandboxShop::start(settings, ([127, 0, 0, 1], 0).into()).await.expect("a free port is bound");
    let size = |sku: &str, option1: &str| SeedVariant {
        sku: sku.to_owned(),
        option1: option1.to_owned(),
        price: "180".to_owned(),
        quantity: 5,
    };
    let variants = vec![size("HARBOR-42", "42"), size("HARBOR-43", "43")];
    let product = SeedProduct { title: "Harbor & Low".to_owned(), variants, ..SeedProduct::default() };
    let ids = shop.seed(product);
    (shop, ids)
}

async fn send(shop: &SandboxShop, query: &str, variables: Value) -> reqwest::Result<reqwest::Response> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(500)).build()?;
    client
        .post(format!("{}/admin/api/2026-04/graphql.json", shop.base_url()))
        .header("X-Shopify-Access-Token", "token")
        .json(&json!({"query": query, "variables": variables}))
        .send()
        .await
}

async fn ask(shop: &SandboxShop, query: &str, variables: Value) -> Value {
    let response = send(shop, query, variables).await.expect("the shop answers");
    response.json().await.expect("the answer is JSON")
}

fn quantity(item: u64, quantity: i64, from: &Value) -> Value {
    json!({
        "inventoryItemId": format!("gid://shopify/InventoryItem/{item}"),
        "locationId": "gid://shopify/Location/77",
        "quantity": quantity,
        "changeFromQuantity": from,
    })
}

fn setting(key: &str, quantities: &Value) -> Value {
    json!({"key": key, "input": {"name": "available", "reason": "correction", "quantities": quantities}})
}

fn shown(shop: &SandboxShop) -> Vec<(String, i64)> {
    shop.shows().into_iter().map(|variant| (variant.price, variant.available)).collect()
}

type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// An endpoint that refuses the first deliveries and keeps every one.
async fn endpoint(refusals: usize) -> (String, Heard) {
    let heard = Heard::default();
    let kept = heard.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port is bound");
    let address = listener.local_addr().expect("a bound port has an address");
    let hear = move |headers: HeaderMap, body: Bytes| async move {
        let mut kept = lock(&kept);
        kept.push((headers, body));
        if kept.len() > refusals { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
    };
    let routes = axum::Router::new().route("/hooks", axum::routing::post(hear));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}/hooks"), heard)
}

#[tokio::test]
async fn a_stale_compare_is_refused_and_nothing_changes() {
    let (shop, ids) = open().await;
    let items = [ids.variants[0].inventory_item_id, ids.variants[1].inventory_item_id];
    let quantities = json!([quantity(items[0], 9, &json!(5)), quantity(items[1], 9, &json!(4))]);
    let answer = ask(&shop, SET, setting("k1", &quantities)).await;
    let payload = &answer["data"]["inventorySetQuantities"];
    assert_eq!(payload["inventoryAdjustmentGroup"], Value::Null);
    assert_eq!(payload["userErrors"][0]["code"], "CHANGE_FROM_QUANTITY_STALE");
    assert_eq!(payload["userErrors"][0]["field"], json!(["input", "quantities", "1", "changeFromQuantity"]));
    assert_eq!(shown(&shop), [("180.00".to_owned(), 5), ("180.00".to_owned(), 5)]);
    let quantities = json!([quantity(items[0], 9, &json!(5)), quantity(items[1], 2, &Value::Null)]);
    let answer = ask(&shop, SET, setting("k2", &quantities)).await;
    let changes = &answer["data"]["inventorySetQuantities"]["inventoryAdjustmentGroup"]["changes"];
    assert_eq!(changes.as_array().map(Vec::len), Some(4), "{answer}");
    assert_eq!(shown(&shop), [("180.00".to_owned(), 9), ("180.00".to_owned(), 2)]);
    assert_eq!(answer["extensions"]["cost"]["requestedQueryCost"], 13);
}

#[tokio::test]
async fn the_same_key_answers_the_same_and_other_values_are_refused() {
    let (shop, ids) = open().await;
    let set = |to: i64| setting("k", &json!([quantity(ids.variants[0].inventory_item_id, to, &Value::Null)]));
    let first = ask(&shop, SET, set(8)).await;
    shop.buy(&[("HARBOR-42".to_owned(), 1)]).await.expect("eight are shown");
    let again = ask(&shop, SET, set(8)).await;
    assert_eq!(first["data"], again["data"]);
    assert_eq!(shown(&shop)[0].1, 7);
    let other = ask(&shop, SET, set(9)).await;
    let code = &other["data"]["inventorySetQuantities"]["userErrors"][0]["code"];
    assert_eq!(code, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH");
}

#[tokio::test]
async fn a_repetition_meets_the_request_under_way() {
    let (shop, ids) = open().await;
    shop.faults().delay(150);
    let set = setting("k", &json!([quantity(ids.variants[0].inventory_item_id, 8, &Value::Null)]));
    let (first, second) = tokio::join!(ask(&shop, SET, set.clone()), ask(&shop, SET, set));
    let code = |answer: &Value| answer["data"]["inventorySetQuantities"]["userErrors"][0]["code"].clone();
    let codes = [code(&first), code(&second)];
    assert!(
        codes.contains(&json!("IDEMPOTENCY_CONCURRENT_REQUEST")) && codes.contains(&Value::Null),
        "{codes:?}"
    );
}

#[tokio::test]
async fn a_request_of_the_wrong_form_is_refused_at_the_top() {
    let (shop, ids) = open().await;
    let item = ids.variants[0].inventory_item_id;
    let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    let bare = SET.replace("@idempotent(key: $key)", "").replace(", $key: String!", "");
    let answer = ask(&shop, &bare, setting("k", &json!([quantity(item, 1, &Value::Null)]))).await;
    assert_eq!(code(&answer), "BAD_REQUEST");
    assert_eq!(answer["data"], json!({"inventorySetQuantities": null}));
    let mut unguarded = quantity(item, 1, &Value::Null);
    unguarded.as_object_mut().and_then(|fields| fields.remove("changeFromQuantity"));
    let answer = ask(&shop, SET, setting("k", &json!([unguarded]))).await;
    assert_eq!(code(&answer), "INVALID_FIELD_ARGUMENTS");
    let mut legacy = setting("k", &json!([quantity(item, 1, &Value::Null)]));
    legacy["input"]["ignoreCompareQuantity"] = json!(true);
    let answer = ask(&shop, SET, legacy).await;
    assert_eq!(code(&answer), "INVALID_VARIABLE");
    assert_eq!(answer["errors"][0]["extensions"]["problems"][0]["path"], json!(["ignoreCompareQuantity"]));
    let wrong = SET.replace("reason changes", "reason colour changes");
    let answer = ask(&shop, &wrong, setting("k", &json!([quantity(item, 1, &Value::Null)]))).await;
    assert_eq!(code(&answer), "undefinedField");
    let endless = "query { ...a } fragment a on QueryRoot { ...a }";
    assert!(ask(&shop, endless, json!({})).await["errors"][0]["message"].is_string());
    assert!(ask(&shop, "query { shop {", json!({})).await["errors"][0]["message"].is_string());
    assert_eq!(shown(&shop)[0].1, 5);
}

#[tokio::test]
async fn a_bad_price_fails_alone_with_partial_updates() {
    let (shop, ids) = open().await;
    let gid = |index: usize| format!("gid://shopify/ProductVariant/{}", ids.variants[index].variant_id);
    let variables = |partial: bool| {
        json!({
            "id": format!("gid://shopify/Product/{}", ids.product_id),
            "variants": [{"id": gid(0), "price": "149.5"}, {"id": gid(1), "price": "-1.00"}],
            "partial": partial,
        })
    };
    let all = ask(&shop, PRICES, variables(false)).await;
    assert_eq!(all["data"]["productVariantsBulkUpdate"]["productVariants"], Value::Null);
    assert_eq!(shown(&shop)[0].0, "180.00");
    let some = ask(&shop, PRICES, variables(true)).await;
    assert_eq!(
        some["data"]["productVariantsBulkUpdate"],
        json!({
            "productVariants": [{"id": gid(0), "price": "149.50"}, {"id": gid(1), "price": "180.00"}],
            "userErrors": [{"field": ["variants", "1", "price"], "code": "GREATER_THAN_OR_EQUAL_TO"}],
        })
    );
    assert_eq!(shown(&shop)[0].0, "149.50");
}

#[tokio::test]
async fn the_signature_verifies_over_the_sent_bytes_and_changes_are_echoed() {
    let (shop, ids) = open().await;
    let (uri, heard) = endpoint(0).await;
    assert!(shop.subscribe("INVENTORY_LEVELS_UPDATE", &uri) && shop.subscribe("products/update", &uri));
    ask(&shop, SET, setting("k", &json!([quantity(ids.variants[0].inventory_item_id, 8, &Value::Null)])))
        .await;
    assert!(shop.change_price_by_hand("HARBOR-43", "99".to_owned()).await);
    shop.webhooks_idle().await;
    let heard = lock(&heard);
    for (headers, body) in heard.iter() {
        assert_eq!(headers["X-Shopify-Hmac-Sha256"], sign("secret", body));
        assert_eq!(headers["X-Shopify-Shop-Domain"], "kicks-and-co.myshopify.com");
    }
    assert_eq!(heard[0].0["X-Shopify-Topic"], "inventory_levels/update");
    assert_eq!(heard[1].0["X-Shopify-Topic"], "products/update");
    let level: Value = serde_json::from_slice(&heard[0].1).expect("the body is JSON");
    assert_eq!(level["inventory_item_id"], ids.variants[0].inventory_item_id);
    assert_eq!(level["available"], 8);
    let text = String::from_utf8_lossy(&heard[1].1);
    assert!(
        text.contains(r#""title":"Harbor \u0026 Low""#) && text.contains(r"gid:\/\/shopify\/Product\/"),
        "{text}"
    );
    assert_eq!(shop.calls().webhooks_sent, 2);
}

#[tokio::test]
async fn a_refused_webhook_is_sent_again_in_the_same_bytes() {
    let (shop, _) = open().await;
    let (uri, heard) = endpoint(2).await;
    shop.retry_webhooks(Duration::from_millis(1), 8);
    shop.subscribe("orders/create", &uri);
    shop.buy(&[("HARBOR-42".to_owned(), 2)]).await.expect("five are shown");
    shop.webhooks_idle().await;
    let heard = lock(&heard);
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|(headers, body)| {
        *body == heard[0].1 && headers["X-Shopify-Webhook-Id"] == heard[0].0["X-Shopify-Webhook-Id"]
    }));
    assert_eq!((shop.calls().webhooks_sent, shop.calls().webhooks_failed), (1, 2));
}

#[tokio::test]
async fn a_webhook_can_come_twice_or_never() {
    let (shop, _) = open().await;
    let (uri, heard) = endpoint(0).await;
    shop.subscribe("inventory_levels/update", &uri);
    shop.faults().duplicate_webhooks(1.0);
    shop.set_quantity_by_hand("HARBOR-42", 1).await;
    shop.webhooks_idle().await;
    assert_eq!(lock(&heard).len(), 2);
    shop.faults().lose_webhooks(1.0);
    shop.set_quantity_by_hand("HARBOR-42", 2).await;
    shop.webhooks_idle().await;
    assert_eq!((lock(&heard).len(), shop.calls().webhooks_lost), (2, 1));
}

#[tokio::test]
async fn the_last_pair_is_sold_once_and_returns_when_cancelled() {
    let (shop, _) = open().await;
    let lines = [("HARBOR-42".to_owned(), 3), ("HARBOR-42".to_owned(), 2)];
    let order = shop.buy(&lines).await.expect("five are shown");
    assert_eq!(shop.buy(&[("HARBOR-43".to_owned(), 1), ("HARBOR-42".to_owned(), 1)]).await, None);
    assert_eq!((shown(&shop)[0].1, shown(&shop)[1].1), (0, 5));
    assert!(shop.cancel(order).await && !shop.cancel(order).await);
    assert_eq!(shown(&shop)[0].1, 5);
}

#[tokio::test]
async fn stock_is_read_per_location_and_name() {
    let (shop, ids) = open().await;
    shop.buy(&[("HARBOR-42".to_owned(), 2)]).await.expect("five are shown");
    let query = r#"query($ids: [ID!]!) { nodes(ids: $ids) { id ...stock } }
        fragment stock on InventoryItem {
            here: inventoryLevel(locationId: "gid://shopify/Location/77") {
                quantities(names: ["available", "on_hand"]) { name quantity }
            }
            there: inventoryLevel(locationId: "gid://shopify/Location/1") { id }
        }"#;
    let id = format!("gid://shopify/InventoryItem/{}", ids.variants[0].inventory_item_id);
    let answer = ask(&shop, query, json!({"ids": [id, "gid://shopify/InventoryItem/1"]})).await;
    let quantities = json!([{"name": "available", "quantity": 3}, {"name": "on_hand", "quantity": 5}]);
    let nodes = json!([{"id": id, "here": {"quantities": quantities}, "there": null}, null]);
    assert_eq!(answer["data"]["nodes"], nodes, "{answer}");
}

#[tokio::test]
async fn pages_follow_one_another() {
    let (shop, ids) = open().await;
    let query = "query($after: String) { productVariants(first: 1, after: $after) {
        nodes { sku } pageInfo { hasNextPage endCursor } } }";
    let first = ask(&shop, query, json!({})).await["data"]["productVariants"].clone();
    assert_eq!(
        (&first["nodes"][0]["sku"], &first["pageInfo"]["hasNextPage"]),
        (&json!("HARBOR-42"), &json!(true))
    );
    let second = ask(&shop, query, json!({"after": first["pageInfo"]["endCursor"]})).await;
    let second = &second["data"]["productVariants"];
    assert_eq!(
        (&second["nodes"][0]["sku"], &second["pageInfo"]["hasNextPage"]),
        (&json!("HARBOR-43"), &json!(false))
    );
    assert!(shop.delete_product(ids.product_id).await);
    assert_eq!(ask(&shop, query, json!({})).await["data"]["productVariants"]["nodes"], json!([]));
}

#[tokio::test]
async fn a_throttled_request_has_no_data_and_no_actual_cost() {
    let (shop, _) = open().await;
    shop.faults().throttle_next(1, false);
    let query = "{ shop { myshopifyDomain } }";
    let answer = ask(&shop, query, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "THROTTLED");
    assert!(answer.get("data").is_none() && answer["extensions"]["cost"]["actualQueryCost"].is_null());
    shop.faults().throttle_next(1, true);
    let response = send(&shop, query, json!({})).await.expect("the shop answers");
    assert_eq!(
        (response.status(), response.headers().contains_key("Retry-After")),
        (StatusCode::TOO_MANY_REQUESTS, true)
    );
    assert_eq!(
        ask(&shop, query, json!({})).await["data"]["shop"]["myshopifyDomain"],
        "kicks-and-co.myshopify.com"
    );
    assert_eq!((shop.calls().throttled, shop.calls().graphql["shop"]), (2, 1));
}

#[tokio::test]
async fn a_request_can_be_applied_and_never_answered() {
    let (shop, ids) = open().await;
    shop.faults().time_out_after_applying_next(1);
    let set = setting("k", &json!([quantity(ids.variants[0].inventory_item_id, 8, &json!(5))]));
    let silence = send(&shop, SET, set.clone()).await.expect_err("nothing is answered");
    assert!(silence.is_timeout());
    assert_eq!(shown(&shop)[0].1, 8);
    let again = ask(&shop, SET, set).await;
    assert_eq!(again["data"]["inventorySetQuantities"]["userErrors"], json!([]));
}

#[tokio::test]
async fn a_shop_hangs_up_fails_goes_down_and_closes() {
    let (shop, _) = open().await;
    let query = "{ shop { name } }";
    let status = async || send(&shop, query, json!({})).await.map(|response| response.status().as_u16()).ok();
    shop.faults().drop_connection_rate(1.0);
    assert_eq!(status().await, None);
    shop.faults().clear();
    shop.faults().fail_next(1, 502);
    assert_eq!((status().await, status().await), (Some(502), Some(200)));
    shop.faults().down(true);
    assert_eq!(status().await, Some(503));
    shop.faults().clear();
    shop.stop().await;
    assert_eq!(status().await, None);
    shop.webhooks_idle().await;
}
