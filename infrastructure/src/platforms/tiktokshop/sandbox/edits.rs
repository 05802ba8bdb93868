//! Products that are called something else, and products that are switched off.
//!
//! Of what can be changed of a product its title is read. The platform shows a new one after a review, which takes time in the
//! stand-in if it is told so.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Described, Reply, Request, Shop},
    answers::ok,
    changes::{DELETED, Fault, NO_SUCH_PRODUCT},
    refused,
};

/// The longest title, in characters; in some countries there is also a shortest one.
const TITLE_MAX: usize = 255;
const PRODUCTS_MAX: usize = 20;

/// Changes what is given of a product.
pub(super) fn describe(shop: &mut Shop, product: &str, request: &Request) -> Reply {
    let places = shop.product(product);
    let Some(first) = places.first().map(|place| shop.goods[*place].clone()) else {
        let (code, message) = absence(shop, product);
        return refused(200, code, message);
    };
    let body = request.json();
    let mut described =
        Described { title: first.title, vendor: first.vendor, category: first.category, tags: first.tags };
    if let Some(title) = body.get("title") {
        match title.as_str().filter(|title| (1..=TITLE_MAX).contains(&title.chars().count())) {
            Some(title) => title.clone_into(&mut described.title),
            None => return refused(400, 36_009_004, "the param `title` takes 1 to 255 characters"),
        }
    }
    shop.describe_after_review(product, described);
    let sku = |place: &usize| {
        let good = &shop.goods[*place];
        json!({ "id": good.variant, "seller_sku": good.sku })
    };
    let skus: Vec<Value> = places.iter().map(sku).collect();
    ok(shop, &json!({ "product_id": product, "skus": skus, "warnings": [] }))
}

/// Switches products off. What cannot be switched off is listed; what the platform says of a product that is off already is
/// not known, and here it is refused.
pub(super) fn switch_off(shop: &mut Shop, request: &Request) -> Reply {
    let body = request.json();
    let ids: Option<Vec<&str>> =
        body["product_ids"].as_array().and_then(|ids| ids.iter().map(Value::as_str).collect());
    let Some(ids) = ids.filter(|ids| (1..=PRODUCTS_MAX).contains(&ids.len())) else {
        return refused(400, 36_009_004, "the param `product_ids` takes 1 to 20 ids");
    };
    let mut errors = Vec::new();
    for id in ids {
        if !shop.hide(id) {
            let (code, message) = absence(shop, id);
            errors.push(json!({ "code": code, "message": message, "detail": { "product_id": id } }));
        }
    }
    if errors.is_empty() { ok(shop, &json!({})) } else { ok(shop, &json!({ "errors": errors })) }
}

/// Why a product cannot be changed.
fn absence(shop: &Shop, product: &str) -> Fault {
    let known = shop.goods.iter().any(|good| good.product == product);
    if known { DELETED } else { NO_SUCH_PRODUCT }
}
