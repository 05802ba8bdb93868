//! Products that are made in the stand-in's warehouse, each with an item of its own, of which there is nothing yet.

use serde_json::{Map, Value, json};

use super::{
    super::super::sandbox::{Described, Reply, Request, Shop},
    adjust::{fields, once},
    records::Shelf,
    refused, refused_behind,
};

/// What a body may have, apart from what is not used.
const FIELDS: [&str; 2] = ["name", "sku"];
/// The longest name that the system behind takes, in characters.
const NAME_MAX: usize = 250;

/// Makes a product, once for a key.
pub(super) fn answer(shop: &mut Shop, request: &Request) -> Reply {
    once(shop, request, |shop| made(shop, &fields(request)?))
}

fn made(shop: &mut Shop, fields: &Map<String, Value>) -> Result<Reply, Reply> {
    let (name, sku) = (text(fields, "name")?, text(fields, "sku")?);
    if name.chars().count() > NAME_MAX {
        return Err(refused_behind(400, "The name is too long"));
    }
    if shop.sku(&sku).is_some() {
        return Err(refused_behind(400, "A product with this SKU already exists"));
    }
    let described = Described { title: name, ..Described::default() };
    let number = shop.number();
    let places = shop.make(&number, &described, &[(sku, String::new(), 0)]);
    let place = places[0];
    let good = &mut shop.goods[place];
    good.product.clone_from(&good.variant);
    let unused: Vec<_> = fields.keys().filter(|name| !FIELDS.contains(&name.as_str())).collect();
    let record = Shelf::Products.record_at(shop, place);
    Ok(Reply::ok(json!({ "id": record["id"], "data": record, "unused_fields": unused })))
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<String, Reply> {
    let text = fields.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| refused(422, &format!("json: {name}: this is required, as a text")))
}
