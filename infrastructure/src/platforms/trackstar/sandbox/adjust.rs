//! The stand-in's writes to stock: more, fewer, or, for carts, exactly so many; and what all writes have in common.
//!
//! It is as strict as the vendor says to be: nothing blank in a body, and a key that stands for one request alone.

use serde_json::{Map, Value, json};

use super::{
    super::super::sandbox::{Remembered, Reply, Request, Shop},
    nothing,
    records::Shelf,
    refused, refused_behind,
};

/// The longest key.
const KEY_MAX: usize = 255;
/// What a body may have, apart from what is not used.
const FIELDS: [&str; 4] = ["quantity", "adjustment_type", "warehouse_id", "location_id"];

/// Shows other quantities of what has a record.
pub(super) fn answer(shop: &mut Shop, request: &Request, shelf: Shelf, id: &str) -> Reply {
    once(shop, request, |shop| applied(shop, request, shelf, id))
}

/// Applies a request once: what was applied under its key before is told again. A refusal keeps no key.
pub(super) fn once(
    shop: &mut Shop,
    request: &Request,
    apply: impl FnOnce(&mut Shop) -> Result<Reply, Reply>,
) -> Reply {
    let key = request.header("idempotency-key");
    if key.is_empty() {
        return apply(shop).unwrap_or_else(|refusal| refusal);
    }
    if key.len() > KEY_MAX {
        return refused(422, "headers: Idempotency-Key: a key has at most 255 characters");
    }
    let key = format!("{}|{key}", shop.settings.access_token);
    let words = format!("{} {}\n{}", request.method, request.path, String::from_utf8_lossy(&request.body));
    match shop.remembered(&key, words.as_bytes()) {
        Remembered::Another => refused(400, "Something else was asked under this key before"),
        Remembered::Same(reply) => reply.header("idempotent-replayed", &true),
        Remembered::Nothing => match apply(shop) {
            Err(refusal) => refusal,
            Ok(reply) => {
                shop.remember(&key, words.as_bytes(), &reply);
                reply
            }
        },
    }
}

fn applied(shop: &mut Shop, request: &Request, shelf: Shelf, id: &str) -> Result<Reply, Reply> {
    let fields = &fields(request)?;
    let Some(place) = shelf.place(shop, id) else {
        // What has a record and no place is a product of variants.
        return Err(match shelf.record(shop, id) {
            Some(_) => refused_behind(400, "A product of variants has no stock of its own"),
            None => nothing(),
        });
    };
    if fields.get("warehouse_id").is_some_and(|it| it.as_str() != Some(shop.settings.location.as_str())) {
        return Err(refused_behind(400, "There is no such warehouse"));
    }
    let quantity = wanted(fields, shelf, shop.goods[place].quantity)?;
    shop.set_quantity(place, quantity);
    let unused: Vec<_> = fields.keys().filter(|name| !FIELDS.contains(&name.as_str())).collect();
    Ok(Reply::ok(json!({ "id": id, "data": shelf.record_at(shop, place), "unused_fields": unused })))
}

/// The fields of a body, none of which is blank.
pub(super) fn fields(request: &Request) -> Result<Map<String, Value>, Reply> {
    let Value::Object(fields) = request.json() else {
        return Err(refused(422, "json: an object is wanted"));
    };
    let blank = fields.iter().find(|(_, value)| is_blank(value)).map(|(name, _)| name.clone());
    match blank {
        Some(name) => Err(refused(422, &format!("json: {name}: what is blank is to be left out"))),
        None => Ok(fields),
    }
}

/// What there are to be, by what there are now.
fn wanted(fields: &Map<String, Value>, shelf: Shelf, now: i64) -> Result<i64, Reply> {
    let units = fields.get("quantity").and_then(Value::as_i64).filter(|units| *units >= 0);
    let units = units.ok_or_else(|| refused(422, "json: quantity: a whole number from 0 on is wanted"))?;
    let wanted = match fields.get("adjustment_type").and_then(Value::as_str) {
        Some("increase") => now.checked_add(units),
        Some("decrease") => now.checked_sub(units),
        Some("exact") if shelf == Shelf::Cart => Some(units),
        _ => return Err(refused(422, "json: adjustment_type: this kind is not known here")),
    };
    wanted.filter(|wanted| *wanted >= 0).ok_or_else(|| refused_behind(400, "There are not so many"))
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || matches!(value.as_str(), Some("" | "none"))
}
