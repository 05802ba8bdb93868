//! Items and their models, as they are shown.
//!
//! An item with models shows neither prices nor stock of its own; one that is unlisted is shown like any other.

use serde_json::{Value, json};

use super::{BATCH_MAX, Good, Reply, Shop, is_plain, number, refusal, scale, success};

/// Items by their ids, with commas between. Those that are not there are missing from the answer, unless none is there.
pub(super) fn base_info(shop: &Shop, ids: &str) -> Reply {
    let ids: Vec<&str> = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    let wrong = |id: &&str| !id.bytes().all(|byte| byte.is_ascii_digit());
    if ids.is_empty() || ids.len() > BATCH_MAX || ids.iter().any(wrong) {
        return refusal(200, "product.error_param", "item_id_list takes 1 to 50 ids of items");
    }
    let items: Vec<Value> = ids.iter().filter_map(|id| item(shop, id)).collect();
    if items.is_empty() {
        return not_found();
    }
    success(json!({ "item_list": items }))
}

/// The models of an item; none for one without.
pub(super) fn model_list(shop: &Shop, id: &str) -> Reply {
    let goods = goods(shop, id);
    if goods.is_empty() {
        return not_found();
    }
    if goods.iter().any(|good| is_plain(good)) {
        return success(json!({ "tier_variation": [], "model": [] }));
    }
    let sizes: Vec<Value> = goods.iter().map(|good| json!({ "option": good.size })).collect();
    let model = |(index, good): (usize, &&Good)| {
        json!({
            "model_id": number(&good.variant), "model_sku": good.sku, "tier_index": [index],
            "promotion_id": 0, "has_promotion": false, "model_status": "MODEL_NORMAL",
            "price_info": prices(shop, good), "stock_info_v2": stock(shop, good),
        })
    };
    let models: Vec<Value> = goods.iter().enumerate().map(model).collect();
    success(json!({ "tier_variation": [{ "name": "Size", "option_list": sizes }], "model": models }))
}

/// What is said of an item that is not there.
pub(super) fn not_found() -> Reply {
    refusal(200, "product.error_item_not_found", "there is no such item")
}

/// What an item consists of, for its seller.
fn goods<'s>(shop: &'s Shop, id: &str) -> Vec<&'s Good> {
    shop.goods.iter().filter(|good| good.product == id && (good.hidden || !good.removed)).collect()
}

/// The brand; what has none is of one that is called so.
pub(super) fn brand(good: &Good) -> Value {
    let name = if good.vendor.is_empty() { "NoBrand" } else { good.vendor.as_str() };
    json!({ "brand_id": 0, "original_brand_name": name })
}

fn item(shop: &Shop, id: &str) -> Option<Value> {
    let goods = goods(shop, id);
    let first = *goods.first()?;
    let changed = goods.iter().map(|good| good.changed_at.timestamp()).max()?;
    let plain = is_plain(first);
    let mut item = json!({
        "item_id": number(&first.product), "category_id": 100_532, "item_name": first.title,
        "item_sku": if plain { first.sku.as_str() } else { "" }, "create_time": changed, "update_time": changed,
        "item_status": if first.hidden { "UNLIST" } else { "NORMAL" }, "has_model": !plain, "condition": "NEW",
        "deboost": "false", "brand": brand(first), "promotion_id": 0,
    });
    if plain {
        item["price_info"] = prices(shop, first);
        item["stock_info_v2"] = stock(shop, first);
    }
    Some(item)
}

fn prices(shop: &Shop, good: &Good) -> Value {
    let price = good.price as f64 / scale(shop);
    json!([{ "currency": shop.settings.currency, "original_price": price, "current_price": price }])
}

fn stock(shop: &Shop, good: &Good) -> Value {
    json!({
        "summary_info": { "total_reserved_stock": 0, "total_available_stock": good.quantity },
        "seller_stock": [
            { "location_id": shop.settings.location, "stock": good.quantity, "if_saleable": true }
        ],
        "shopee_stock": [],
    })
}
