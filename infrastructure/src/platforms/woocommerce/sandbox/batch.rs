//! Batches: each object is changed or refused by itself, and answered for in its place.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Reply, Request, Shop},
    NO_SUCH_ID, changes, digits, error, fault, is_simple, minor,
    products::Listed,
    settings,
};

/// The most objects of a batch.
const OBJECTS_MAX: usize = 100;

/// What an object of a batch changes.
struct Change {
    /// In minor units.
    price: Option<i64>,
    quantity: Option<i64>,
}

/// Answers a batch of products, or of the variations of one. Of products, only updates are understood.
pub(super) fn update(shop: &mut Shop, product: Option<&str>, request: &Request) -> Reply {
    let asked = request.json();
    let many = |name: &str| asked[name].as_array().map_or(0, Vec::len);
    if many("create") + many("update") + many("delete") > OBJECTS_MAX {
        let message = format!("A batch has {OBJECTS_MAX} objects at most");
        return error(413, "woocommerce_rest_request_entity_too_large", &message);
    }
    let mut updated = Vec::new();
    for object in asked["update"].as_array().into_iter().flatten() {
        let refused = |fault: Value| json!({ "id": object["id"], "error": fault });
        updated.push(one(shop, product, object).unwrap_or_else(refused));
    }
    let new = asked["create"].as_array().filter(|new| !new.is_empty());
    let created = product.zip(new).map(|(product, new)| changes::add(shop, product, new));
    let mut answer = json!({});
    if let Some(created) = created {
        answer["create"] = json!(created);
    }
    if !updated.is_empty() {
        answer["update"] = json!(updated);
    }
    // PHP writes an array without anything in it as a list.
    Reply::ok(if answer == json!({}) { json!([]) } else { answer })
}

/// The object as it has become, or why it stays as it was.
fn one(shop: &mut Shop, product: Option<&str>, object: &Value) -> Result<Value, Value> {
    let id = digits(&object["id"]);
    if product.is_none()
        && let Some(variable) = variable(shop, &id)
    {
        // Accepted, and of no effect: the platform empties the price of such a product.
        return Ok(variable);
    }
    let place = place(shop, product, &id)?;
    let change = change(shop, object)?;
    if shop.refuses() {
        return Err(fault(500, "db_update_error", "The change was not saved"));
    }
    if let Some(price) = change.price {
        shop.set_price(place, price);
    }
    if let Some(quantity) = change.quantity.filter(|_| settings::counts(shop)) {
        shop.set_quantity(place, quantity);
    }
    Ok(Listed::of(&shop.goods[place]).object(shop))
}

fn variable(shop: &Shop, product: &str) -> Option<Value> {
    let goods = shop.product(product).into_iter().map(|place| &shop.goods[place]);
    let sized = Listed::products(goods.filter(|good| !is_simple(good)));
    sized.first().map(|listed| listed.object(shop))
}

/// Where the good is that an object of the batch is about.
fn place(shop: &Shop, product: Option<&str>, id: &str) -> Result<usize, Value> {
    let found = shop.variant(id);
    let simple = found.is_some_and(|place| is_simple(&shop.goods[place]));
    match (product, found) {
        (None, Some(place)) if simple => Ok(place),
        (None, Some(_)) => Err(fault(
            404,
            "woocommerce_rest_invalid_product_id",
            "This is a variation, which is changed under its product",
        )),
        (None, None) => Err(fault(400, "woocommerce_rest_product_invalid_id", NO_SUCH_ID)),
        (Some(product), Some(place)) if !simple && shop.goods[place].product == product => Ok(place),
        (Some(_), _) => Err(fault(400, "woocommerce_rest_product_variation_invalid_id", NO_SUCH_ID)),
    }
}

fn change(shop: &Shop, object: &Value) -> Result<Change, Value> {
    let invalid = |name: &str| fault(400, "rest_invalid_param", &format!("{name} makes no sense"));
    let price = match &object["regular_price"] {
        Value::Null => None,
        price => Some(minor(shop, price).ok_or_else(|| invalid("regular_price"))?),
    };
    let quantity = match &object["stock_quantity"] {
        Value::Null => None,
        quantity => Some(quantity.as_i64().ok_or_else(|| invalid("stock_quantity"))?),
    };
    Ok(Change { price, quantity })
}
