//! New quantities and prices: what the platform takes of them, SKU by SKU.
//!
//! A quantity that cannot be fails alone and is listed; if it is too large, without a word on whose it is. A price that
//! cannot be fails the whole call, and nothing of it is applied; only what is refused on purpose fails alone there as well.

use onhand_domain::values::{Currency, Money};
use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Reply, Request, Shop},
    answers::ok,
    refused,
};

const SKUS_MAX: usize = 100;
const QUANTITY_MAX: i64 = 99_999;

/// A code and its message.
pub(super) type Fault = (i64, &'static str);

pub(super) const NO_SUCH_PRODUCT: Fault = (12_052_048, "this shop has no such product");
/// Which code the platform has for this is not known; it is one of those that are about a product.
pub(super) const DELETED: Fault = (12_052_032, "the product was deleted or is switched off");
const NO_SUCH_SKU: Fault = (12_019_022, "the product has no such SKU");
const NO_SUCH_PRICE: Fault = (12_052_073, "nothing can cost that");
const NO_SUCH_QUANTITY: Fault = (98_001_004, "so many there cannot be");
const NO_SUCH_WAREHOUSE: Fault = (98_001_004, "the shop has no such warehouse");
/// For what is refused on purpose: it may go well another time.
const TROUBLE: Fault = (36_009_003, "it went wrong here");

/// Shows other quantities of a product's SKUs.
pub(super) fn set_quantities(shop: &mut Shop, product: &str, request: &Request) -> Reply {
    let skus = match skus(shop, product, request) {
        Ok(skus) => skus,
        Err(reply) => return reply,
    };
    let mut errors = Vec::new();
    for sku in &skus {
        match quantity(shop, product, sku) {
            Ok(_) if skus.len() > 1 && shop.refuses() => errors.push(listed(sku, TROUBLE)),
            Ok((place, quantity)) => shop.set_quantity(place, quantity),
            Err(NO_SUCH_QUANTITY) => errors.push(unnamed(NO_SUCH_QUANTITY)),
            Err(fault) => errors.push(listed(sku, fault)),
        }
    }
    done(shop, &errors)
}

/// Shows other prices of a product's SKUs.
pub(super) fn set_prices(shop: &mut Shop, product: &str, request: &Request) -> Reply {
    let skus = match skus(shop, product, request) {
        Ok(skus) => skus,
        Err(reply) => return reply,
    };
    let prices: Result<Vec<(usize, i64)>, Fault> = skus.iter().map(|sku| price(shop, product, sku)).collect();
    let prices = match prices {
        Ok(prices) => prices,
        Err((code, message)) => return refused(200, code, message),
    };
    let mut errors = Vec::new();
    for (sku, (place, price)) in skus.iter().zip(prices) {
        if skus.len() > 1 && shop.refuses() {
            errors.push(listed(sku, TROUBLE));
        } else {
            shop.set_price(place, price);
        }
    }
    done(shop, &errors)
}

/// The SKUs of the body, if there is such a product and not too many of them.
fn skus(shop: &Shop, product: &str, request: &Request) -> Result<Vec<Value>, Reply> {
    if shop.product(product).is_empty() {
        let deleted = shop.goods.iter().any(|good| good.product == product);
        let (code, message) = if deleted { DELETED } else { NO_SUCH_PRODUCT };
        return Err(refused(200, code, message));
    }
    let body = request.json();
    match body["skus"].as_array() {
        Some(skus) if (1..=SKUS_MAX).contains(&skus.len()) => Ok(skus.clone()),
        _ => Err(refused(200, 98_001_004, "it takes 1 to 100 SKUs")),
    }
}

/// The place of one of a product's SKUs.
fn place(shop: &Shop, product: &str, sku: &Value) -> Result<usize, Fault> {
    let place = sku["id"].as_str().and_then(|id| shop.variant(id)).ok_or(NO_SUCH_SKU)?;
    if shop.product(product).contains(&place) { Ok(place) } else { Err(NO_SUCH_SKU) }
}

fn quantity(shop: &Shop, product: &str, sku: &Value) -> Result<(usize, i64), Fault> {
    let place = place(shop, product, sku)?;
    let stock = &sku["inventory"][0];
    if !stock["warehouse_id"].is_null() && stock["warehouse_id"] != json!(shop.settings.location) {
        return Err(NO_SUCH_WAREHOUSE);
    }
    let quantity = stock["quantity"].as_i64().filter(|units| (0..=QUANTITY_MAX).contains(units));
    Ok((place, quantity.ok_or(NO_SUCH_QUANTITY)?))
}

fn price(shop: &Shop, product: &str, sku: &Value) -> Result<(usize, i64), Fault> {
    let place = place(shop, product, sku)?;
    let (amount, currency) = (sku["price"]["amount"].as_str(), sku["price"]["currency"].as_str());
    if currency != Some(shop.settings.currency.as_str()) {
        return Err(NO_SUCH_PRICE);
    }
    let currency = Currency::new(&shop.settings.currency).map_err(|_| NO_SUCH_PRICE)?;
    let price = amount.and_then(|amount| Money::parse(amount, currency).ok());
    Ok((place, price.filter(|price| price.minor > 0).ok_or(NO_SUCH_PRICE)?.minor))
}

/// One of those that were not changed, without a word on which one.
fn unnamed((code, message): Fault) -> Value {
    json!({ "code": code, "message": message, "detail": null })
}

/// A SKU among those that were not changed.
fn listed(sku: &Value, (code, message): Fault) -> Value {
    let warehouse = &sku["inventory"][0]["warehouse_id"];
    let mut detail = json!({ "sku_id": sku["id"], "extra_errors": [] });
    if !warehouse.is_null() {
        detail["extra_errors"] = json!([{ "warehouse_id": warehouse, "code": code, "message": message }]);
    }
    json!({ "code": code, "message": message, "detail": detail })
}

fn done(shop: &Shop, errors: &[Value]) -> Reply {
    if errors.is_empty() { ok(shop, &json!({})) } else { ok(shop, &json!({ "errors": errors })) }
}
