//! Bodies and values that have broken somebody's parser before, for the tests of what adapters survive; and answers of
//! the platforms' APIs, to be broken there.

use onhand_domain::connection::Platform;
use serde_json::{Value, json};

/// Whole bodies.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let digits = "9".repeat(10_000);
    let texts = [
        "",
        " ",
        "null",
        "true",
        "7",
        "[]",
        "{}",
        "[null]",
        "[{}]",
        "\"\"",
        "\u{feff}{}",
        "\u{feff}",
        "1e999",
        "-0",
        "{\"id\":1e999}",
        "{\"id\":-0}",
        "{\"id\":-0.0,\"data\":-1e-999}",
        "{\"id\":1,\"id\":2,\"type\":\"a\",\"type\":\"b\",\"data\":{},\"data\":[]}",
        "\"\\ud800\"",
        "{\"id\":\"\\ud800\",\"type\":\"\\udc00\\ud800\"}",
        "{\"id\":\"\\u0000\",\"type\":\"\\u0000\",\"data\":{\"id\":\"\\u0000\"}}",
        "{\"type\":null,\"event\":null,\"code\":null,\"merchants\":null,\"data\":null}",
        "{\"errors\":[]}",
        "{\"errors\":[{\"code\":\"NOT_FOUND\",\"detail\":null}]}",
        "{\"message\":\"Not Found\"}",
        "{\"code\":\"rest_no_route\",\"message\":null,\"data\":{\"status\":404}}",
        "{\"code\":105005,\"message\":\"no\",\"data\":null}",
        "{\"code\":0,\"data\":null}",
        "{\"error\":\"error_auth\",\"message\":null}",
        "{\"error\":\"\",\"response\":null}",
        "{\"download_url\":\"\",\"data\":{\"download_url\":\" \"}}",
        "webhook_id=7",
        "secret=",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    for text in [
        "[".repeat(200),
        "[".repeat(1 << 20),
        "{\"data\":".repeat(200),
        format!("{}{}", "[".repeat(127), "]".repeat(127)),
        digits.clone(),
        format!("{{\"id\":{digits}}}"),
        format!("{{\"id\":\"{digits}\"}}"),
        format!("{{\"id\":0.{digits}}}"),
        "\u{10ffff}".repeat(1_000),
    ] {
        bodies.push(text.into_bytes());
    }
    bodies.push(b"\xff\xfe".to_vec());
    bodies.push(b"\xff\xfe{\x00}\x00".to_vec());
    bodies.push(b"{\"id\":\"\xc3\x28\"}".to_vec());
    bodies.push(vec![0; 1_000]);
    bodies
}

/// JSON values of every kind and at the ends of their ranges.
pub(super) fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!({}),
        json!([]),
        json!([[]]),
        json!(""),
        json!(" "),
        json!("é\u{0}\u{202e}"),
        json!("x".repeat(1_000)),
        json!("9".repeat(400)),
        json!("-9223372036854775808"),
        json!("+1"),
        json!("."),
        json!("0.0000000000000000000001"),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e308),
        json!(-0.0),
        json!(1.5),
    ]
}

/// The places of all values in a JSON text, as pointers.
pub(super) fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{here}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                places(value, &format!("{here}/{place}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an API answers to a look.
pub(super) struct Answer {
    /// What was looked at.
    pub(super) resource: &'static str,
    /// Which one.
    pub(super) external: &'static str,
    pub(super) body: Value,
}

/// Answers that tell something, in the shapes of each platform that is looked at.
pub(super) fn answers(platform: Platform) -> Vec<Answer> {
    match platform {
        Platform::Square => square(),
        Platform::Clover => clover(),
        Platform::Shopee => shopee(),
        Platform::TiktokShop => tiktokshop(),
        Platform::Trackstar => trackstar(),
        Platform::Woocommerce => woocommerce(),
        Platform::Shopify | Platform::Kicksdb | Platform::Standard | Platform::Tradingview => vec![],
    }
}

fn answer(resource: &'static str, external: &'static str, body: Value) -> Answer {
    Answer { resource, external, body }
}

fn square() -> Vec<Answer> {
    let page = json!({
        "objects": [
            {
                "type": "ITEM", "id": "I1", "updated_at": "2026-03-01T11:00:00Z", "is_deleted": false,
                "item_data": { "name": "Runner", "variations": [{
                    "type": "ITEM_VARIATION", "id": "V1", "updated_at": "2026-03-01T11:30:00Z",
                    "is_deleted": false, "item_variation_data": {
                        "name": "42", "sku": "RUN-42", "price_money": { "amount": 12_900, "currency": "USD" },
                    },
                }] },
            },
            { "type": "ITEM", "id": "I2", "is_deleted": true },
        ],
        "cursor": "next",
    });
    let order = json!({ "order": {
        "id": "1", "state": "OPEN", "location_id": "7", "tenders": [{ "id": "T1" }], "customer_id": "C1",
        "fulfillments": [{ "type": "SHIPMENT", "shipment_details": { "recipient": { "display_name": "Robin" } } }],
        "net_amount_due_money": { "amount": 0, "currency": "USD" },
        "line_items": [
            { "catalog_object_id": "V1", "quantity": "2", "name": "Runner" },
            { "quantity": "0.25", "name": "Lace, by the metre" },
        ],
    } });
    vec![answer("catalog", "2026-03-01T12:00:00Z", page), answer("order", "1", order)]
}

fn clover() -> Vec<Answer> {
    let item = json!({
        "id": "1", "name": "Runner", "sku": "RUN-42", "price": 12_900, "priceType": "FIXED", "hidden": false,
        "deleted": false, "modifiedTime": 1_772_360_000_000_i64,
        "itemStock": { "quantity": 7.5, "stockCount": 8, "modifiedTime": 1_772_361_000_000_i64 },
    });
    let order = json!({
        "id": "1", "state": "locked", "paymentState": "PAID", "deleted": false,
        "lineItems": { "elements": [
            { "item": { "id": "A" }, "name": "Runner", "unitQty": 1_500 },
            { "item": { "id": "A" }, "name": "Runner", "unitQty": null },
            { "item": null, "name": "Gift wrap" },
        ] },
        "payments": { "elements": [{ "id": "P1", "result": "SUCCESS" }] },
    });
    let gone = json!({ "message": "Not Found" });
    vec![answer("product", "1", item), answer("order", "1", order), answer("product", "1", gone)]
}

fn shopee() -> Vec<Answer> {
    let price = json!([{ "currency": "USD", "original_price": 129.5, "current_price": 99 }]);
    let stock = json!({
        "summary_info": { "total_available_stock": 5 },
        "seller_stock": [{ "location_id": "", "stock": 5, "if_saleable": true }],
    });
    let item = json!({ "error": "", "message": "", "response": { "item_list": [{
        "item_id": 1, "item_name": "Runner", "item_sku": "RUN-42", "item_status": "NORMAL",
        "update_time": 1_772_360_000, "has_model": false, "brand": { "original_brand_name": "Quay" },
        "price_info": price, "stock_info_v2": stock,
    }] } });
    let models = json!({ "error": "", "message": "", "response": {
        "tier_variation": [{ "name": "Size", "option_list": [{ "option": "41" }, { "option": "42" }] }],
        "model": [{
            "model_id": 9, "model_sku": "RUN-42", "tier_index": [1], "price_info": price,
            "stock_info_v2": stock,
        }],
    } });
    let order = json!({ "error": "", "message": "", "response": { "order_list": [{
        "order_sn": "1", "order_status": "READY_TO_SHIP", "buyer_user_id": 5, "buyer_username": "robin",
        "item_list": [{
            "item_id": 8, "model_id": 9, "item_name": "Runner", "item_sku": "RUN", "model_sku": "RUN-42",
            "model_quantity_purchased": 2,
        }],
    }] } });
    let gone = json!({ "error": "product.error_item_not_found", "message": "no such item" });
    vec![
        answer("product", "1", item),
        answer("models", "1", models),
        answer("order", "1", order),
        answer("product", "1", gone),
    ]
}

fn tiktokshop() -> Vec<Answer> {
    let product = json!({ "code": 0, "message": "Success", "data": {
        "id": "1", "title": "Runner", "status": "ACTIVATE", "update_time": 1_772_360_000,
        "brand": { "name": "Quay" },
        "skus": [{
            "id": "9", "seller_sku": "RUN-42",
            "price": { "currency": "USD", "sale_price": "129.00", "tax_exclusive_price": "120.00" },
            "sales_attributes": [{ "name": "Size", "value_name": "42" }],
            "inventory": [{ "warehouse_id": "7", "quantity": 5 }],
        }],
    } });
    let unit = json!({
        "sku_id": "9", "seller_sku": "RUN-42", "product_name": "Runner",
        "display_status": "AWAITING_SHIPMENT",
    });
    let order = json!({ "code": 0, "message": "Success", "data": { "orders": [
        {
            "id": "1", "status": "AWAITING_SHIPMENT", "line_items": [unit, unit], "user_id": "7",
            "buyer_email": "robin@relay.example", "recipient_address": { "name": "Robin" },
        },
    ] } });
    vec![answer("product", "1", product), answer("order", "1", order)]
}

fn trackstar() -> Vec<Answer> {
    let time = "2026-03-01T11:00:00Z";
    let stock = json!({
        "id": "inv_1", "fulfillable": 3, "updated_date": time,
        "inventory_by_warehouse_id": { "7": { "fulfillable": 3 } },
    });
    let product = json!({
        "id": "prod_1", "name": "Runner", "sku": "RUN-42", "unit_price": "129.00", "supplier": "Quay",
        "is_kit": false, "inventory_items": [{ "inventory_item_id": "inv_1", "unit_quantity": 1 }],
        "updated_date": time,
    });
    let variant = json!({
        "id": "var_1", "parent_product_id": "prod_1", "name": "Runner", "sku": "RUN-42", "price": 129.5,
        "inventory": 3, "inventory_by_warehouse_id": { "7": 3 }, "tags": ["low"], "updated_date": time,
    });
    let order = json!({
        "id": "ord_1", "status": "confirmed", "line_items": [
            { "product_id": "var_1", "product_sku": "RUN-42", "sku": "RUN", "quantity": 2, "name": "Runner" },
        ],
    });
    let whole = json!({ "event_type": "inventory.updated", "data": stock });
    let stocked = "inventory.updated|https://x.example/y";
    vec![
        answer("document", stocked, json!({ "download_url": "https://files.example/1?a=b" })),
        answer("document", stocked, json!({ "data": { "download_url": "https://files.example/1" } })),
        answer("download", stocked, stock),
        answer("download", stocked, whole),
        answer("download", "product.updated|https://x.example/y", product),
        answer("download", "cart-product.updated|https://x.example/y", variant),
        answer("download", "cart-order.updated|https://x.example/y", order),
    ]
}

fn woocommerce() -> Vec<Answer> {
    let variations = json!([
        {
            "id": 9, "name": "42", "sku": "RUN-42", "price": "129.00", "regular_price": "139.00",
            "manage_stock": true, "stock_quantity": 4, "date_modified_gmt": "2026-03-01T11:00:00",
            "status": "publish", "type": "variation", "parent_id": 1,
            "attributes": [{ "id": 1, "name": "Size", "option": "42" }],
        },
        { "id": 10, "sku": "", "price": "", "manage_stock": "parent", "stock_quantity": null },
    ]);
    let gone = json!({
        "code": "woocommerce_rest_product_invalid_id", "message": "no such thing", "data": { "status": 404 },
    });
    let product = json!({
        "id": 1, "name": "Runner", "type": "simple", "status": "publish", "sku": "RUN-42", "price": "129.00",
        "manage_stock": true, "stock_quantity": 4, "date_modified_gmt": "2026-03-01T11:00:00", "variations": [],
        "categories": [{ "id": 15, "name": "Shoes", "slug": "shoes" }], "tags": [{ "id": 16, "name": "low" }],
    });
    let varied = json!({ "id": 1, "name": "Runner", "type": "variable", "variations": [9, 10] });
    vec![
        answer("product", "1", product),
        answer("product", "1", varied),
        answer("product", "1", gone),
        answer("product", "1/1/UnVubmVy", variations),
    ]
}
