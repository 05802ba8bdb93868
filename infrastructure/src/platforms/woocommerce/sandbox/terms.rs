//! Tags and categories: names with ids. A name is there once, in whatever letters it is written.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Reply, Request, Shop},
    fault, id,
    products::slug,
};

/// As the routes name them.
pub(super) const TAGS: &str = "tags";
pub(super) const CATEGORIES: &str = "categories";
/// The category of what is in no other.
const USUAL: (&str, &str) = ("15", "Uncategorized");

/// Answers a batch of new names.
pub(super) fn create(shop: &mut Shop, kind: &str, request: &Request) -> Reply {
    let asked = request.json();
    let mut made = Vec::new();
    for object in asked["create"].as_array().into_iter().flatten() {
        let name = object["name"].as_str().unwrap_or_default().trim();
        made.push(if name.is_empty() {
            json!({ "id": 0, "error": fault(400, "empty_term_name", "A name is needed") })
        } else if let Some(known) = number(shop, kind, name) {
            let mut known_there = fault(400, "term_exists", "There is one of this name already");
            known_there["data"]["resource_id"] = id(&known);
            json!({ "id": 0, "error": known_there })
        } else {
            let new = shop.number();
            shop.kept.insert(format!("{kind}/{new}"), json!(name));
            object_of(&new, name)
        });
    }
    Reply::ok(json!({ "create": made }))
}

/// What has an id is called.
pub(super) fn name(shop: &Shop, kind: &str, id: &str) -> Option<String> {
    if kind == CATEGORIES && id == USUAL.0 {
        return Some(USUAL.1.to_owned());
    }
    shop.kept.get(&format!("{kind}/{id}"))?.as_str().map(str::to_owned)
}

/// A product's tags.
pub(super) fn tags(shop: &Shop, names: &[String]) -> Value {
    let tag = |name: &String| object_of(&number(shop, TAGS, name).unwrap_or_default(), name);
    names.iter().map(tag).collect()
}

/// A product's only category.
pub(super) fn category(shop: &Shop, name: &str) -> Value {
    if name.is_empty() {
        return json!([object_of(USUAL.0, USUAL.1)]);
    }
    json!([object_of(&number(shop, CATEGORIES, name).unwrap_or_default(), name)])
}

fn number(shop: &Shop, kind: &str, name: &str) -> Option<String> {
    if kind == CATEGORIES && name.eq_ignore_ascii_case(USUAL.1) {
        return Some(USUAL.0.to_owned());
    }
    let known = |(key, kept): (&String, &Value)| {
        let number = key.strip_prefix(kind)?.strip_prefix('/')?;
        let same = kept.as_str()?.to_lowercase() == name.to_lowercase();
        same.then(|| number.to_owned())
    };
    shop.kept.iter().find_map(known)
}

fn object_of(number: &str, name: &str) -> Value {
    json!({ "id": id(number), "name": name, "slug": slug(name) })
}
