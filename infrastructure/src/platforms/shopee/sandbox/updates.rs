//! Stock and prices, as they are set: one item a call, up to fifty of its models.
//!
//! What is wrong with the call spoils it for all of its models; what is refused of single ones is listed.

use serde_json::{Value, json};

use super::{
    BATCH_MAX, Reply, Shop, is_plain, items::not_found, number, refusal, scale, success, surrounded,
};

/// The most units that are taken.
const STOCK_MAX: i64 = 9_999_999;

/// The highest price that is taken, in minor units.
const PRICE_MAX: f64 = 1e12;

/// What is set.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// The seller's stock.
    Stock,
    /// The price outside of promotions.
    Price,
}

/// One model's new value.
struct Wanted {
    model: u64,
    /// In the shop's goods.
    place: usize,
    /// Units, or minor units of the currency.
    value: i64,
    /// As it was sent.
    sent: Value,
}

/// Sets what a call wants of an item.
pub(super) fn update(shop: &mut Shop, field: Field, body: &Value) -> Reply {
    match wanted(shop, field, body) {
        Ok(wanted) => apply(shop, field, wanted),
        Err(reply) => reply,
    }
}

fn apply(shop: &mut Shop, field: Field, wanted: Vec<Wanted>) -> Reply {
    let (mut successes, mut failures) = (vec![], vec![]);
    for Wanted { model, place, value, sent } in wanted {
        if shop.refuses() {
            failures
                .push(json!({ "model_id": model, "failed_reason": "it went wrong here, please try later" }));
            continue;
        }
        match field {
            Field::Stock => shop.set_quantity(place, value),
            Field::Price => shop.set_price(place, value),
        }
        successes.push(match field {
            Field::Stock => {
                json!({ "model_id": model, "location_id": shop.settings.location, "stock": sent })
            }
            Field::Price => json!({ "model_id": model, "original_price": sent }),
        });
    }
    let none = successes.is_empty();
    let lists = json!({ "success_list": successes, "failure_list": failures });
    if none {
        return Reply::ok(surrounded(field.all_failed(), "see failure_list", lists));
    }
    success(lists)
}

/// What a call wants, if nothing is wrong with it.
fn wanted(shop: &Shop, field: Field, body: &Value) -> Result<Vec<Wanted>, Reply> {
    let item = body["item_id"].as_u64().ok_or_else(|| wrong("item_id has to be a number"))?;
    let entries = body[field.list()].as_array().filter(|list| (1..=BATCH_MAX).contains(&list.len()));
    let entries = entries.ok_or_else(|| wrong("the list takes 1 to 50 models"))?;
    let places = shop.product(&item.to_string());
    if places.is_empty() {
        return Err(not_found());
    }
    let mut wanted: Vec<Wanted> = Vec::with_capacity(entries.len());
    for entry in entries {
        let model = entry.get("model_id").map_or(Some(0), Value::as_u64);
        let model = model.ok_or_else(|| wrong("model_id has to be a number"))?;
        if wanted.iter().any(|before| before.model == model) {
            return Err(wrong("a model_id is there more than once"));
        }
        let place = place(shop, field, &places, model)?;
        let (value, sent) = field.value(shop, entry)?;
        wanted.push(Wanted { model, place, value, sent });
    }
    Ok(wanted)
}

/// Where a model of an item is; 0 is the item itself.
fn place(shop: &Shop, field: Field, places: &[usize], model: u64) -> Result<usize, Reply> {
    let plain = places.iter().find(|place| is_plain(&shop.goods[**place]));
    match (plain, model) {
        (Some(place), 0) => Ok(*place),
        (None, 0) => Err(refusal(200, field.has_models(), "the item has models, so they have to be named")),
        _ => {
            let it = places.iter().find(|place| number(&shop.goods[**place].variant) == model);
            it.filter(|_| plain.is_none()).copied().ok_or_else(|| wrong("a model_id is not of this item"))
        }
    }
}

fn wrong(message: &str) -> Reply {
    refusal(200, "product.error_param", message)
}

impl Field {
    fn list(self) -> &'static str {
        match self {
            Self::Stock => "stock_list",
            Self::Price => "price_list",
        }
    }

    /// The error of a call for the item itself, although it has models.
    fn has_models(self) -> &'static str {
        match self {
            Self::Stock => "product.error_edit_item_stock_for_item_has_model",
            Self::Price => "product.error_edit_item_price_for_item_has_model",
        }
    }

    /// The error of a call of which nothing was done.
    fn all_failed(self) -> &'static str {
        match self {
            Self::Stock => "product.error_busi_update_stock_failed",
            Self::Price => "product.error_update_price_fail",
        }
    }

    /// The new value, and the same as it was sent.
    fn value(self, shop: &Shop, entry: &Value) -> Result<(i64, Value), Reply> {
        match self {
            Self::Stock => units(shop, entry),
            Self::Price => minor(shop, entry),
        }
    }
}

fn units(shop: &Shop, entry: &Value) -> Result<(i64, Value), Reply> {
    let places = entry["seller_stock"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [place] = places else { return Err(wrong("seller_stock takes the stock of the one location")) };
    let location = place.get("location_id").map(|location| location.as_str().unwrap_or_default());
    if location.is_some_and(|location| location != shop.settings.location) {
        return Err(refusal(200, "product.error_auth", "the location_id is none of this shop"));
    }
    let stock = place["stock"].as_i64().filter(|stock| (0..=STOCK_MAX).contains(stock));
    let stock = stock.ok_or_else(|| wrong("stock has to be a number of units"))?;
    Ok((stock, json!(stock)))
}

fn minor(shop: &Shop, entry: &Value) -> Result<(i64, Value), Reply> {
    let sent = &entry["original_price"];
    let price = sent.as_f64().unwrap_or_default() * scale(shop);
    let whole = price.round();
    // A decimal is hardly ever exact in binary, but a third digit after the point is far from it.
    if !(whole > 0.0 && whole < PRICE_MAX && (price - whole).abs() < 1e-3) {
        return Err(refusal(200, "product.error_invalid_price", "this is no price in the shop's currency"));
    }
    Ok((whole as i64, sent.clone()))
}
