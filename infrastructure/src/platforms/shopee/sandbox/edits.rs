//! Items that are called something else, and items that are unlisted.
//!
//! Of what can be changed of an item its name is read, and everything else is left as it is.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::Described,
    BATCH_MAX, Good, Reply, Shop, is_plain,
    items::{brand, not_found},
    number, refusal, success, surrounded,
};

/// The longest name, in characters. The real Shopee has another for each country.
const NAME_MAX: usize = 120;

/// Changes an item, and shows it.
pub(super) fn describe(shop: &mut Shop, body: &Value) -> Reply {
    let Some(item) = body["item_id"].as_u64() else {
        return refusal(200, "product.error_param", "item_id has to be a number");
    };
    let places = shop.product(&item.to_string());
    let Some(first) = places.first().map(|place| shop.goods[*place].clone()) else {
        return not_found();
    };
    let mut described =
        Described { title: first.title, vendor: first.vendor, category: first.category, tags: first.tags };
    if let Some(name) = body.get("item_name") {
        let Some(name) = name.as_str().filter(|name| !name.trim().is_empty()) else {
            return refusal(200, "product.error_item_name_empty", "an item has a name");
        };
        if name.chars().count() > NAME_MAX {
            return refusal(200, "product.error_title_exceeds_max_length", "the name is too long");
        }
        name.clone_into(&mut described.title);
    }
    for place in &places {
        let good = &mut shop.goods[*place];
        if is_plain(good) {
            good.size.clear();
        }
    }
    shop.describe(&places, &described);
    let shown = &shop.goods[places[0]];
    success(json!({
        "item_id": item, "item_name": shown.title, "item_status": "NORMAL", "category_id": 100_532,
        "brand": brand(shown), "condition": "NEW",
    }))
}

/// Unlists items, up to fifty a call. One that is unlisted already is unlisted.
pub(super) fn unlist(shop: &mut Shop, body: &Value) -> Reply {
    let items = body["item_list"].as_array().filter(|list| (1..=BATCH_MAX).contains(&list.len())).cloned();
    let Some(items) = items else {
        return refusal(200, "product.error_param", "item_list takes 1 to 50 items");
    };
    let (mut successes, mut failures) = (vec![], vec![]);
    for item in &items {
        let (Some(id), Some(true)) = (item["item_id"].as_u64(), item["unlist"].as_bool()) else {
            return refusal(200, "product.error_param", "an item has a number, and is only unlisted here");
        };
        let of_it = |good: &Good| number(&good.product) == id;
        if items.len() > 1 && shop.refuses() {
            failures.push(json!({ "item_id": id, "failed_reason": "it went wrong here, please try later" }));
        } else if shop.hide(&id.to_string()) || shop.goods.iter().any(|good| of_it(good) && good.hidden) {
            successes.push(json!({ "item_id": id, "unlist": true }));
        } else if items.len() == 1 {
            return not_found();
        } else {
            failures.push(json!({ "item_id": id, "failed_reason": "Product not found" }));
        }
    }
    let none = successes.is_empty();
    let lists = json!({ "success_list": successes, "failure_list": failures });
    if none {
        return Reply::ok(surrounded("product.error_unlist_item_all_failed", "see failure_list", lists));
    }
    success(lists)
}
