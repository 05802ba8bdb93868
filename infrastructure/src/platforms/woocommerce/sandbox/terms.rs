//! Tags and categories: names with ids. A name is there once, in whatever letters it is written; a category's is so below each
//! other category.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Reply, Request, Shop},
    digits, encoded, fault, id, paged,
    products::slug,
};

/// As the routes name them.
pub(super) const TAGS: &str = "tags";
pub(super) const CATEGORIES: &str = "categories";
/// The category of what is in no other.
const USUAL: (&str, &str) = ("15", "Uncategorized");

/// A name that is kept: its number, and the number of the category that it stands below.
struct Term<'a> {
    number: &'a str,
    name: &'a str,
    parent: &'a str,
}

/// Answers a batch of new names.
pub(super) fn create(shop: &mut Shop, kind: &str, request: &Request) -> Reply {
    let asked = request.json();
    let mut made = Vec::new();
    for object in asked["create"].as_array().into_iter().flatten() {
        let name = object["name"].as_str().unwrap_or_default().trim();
        let parent = digits(&object["parent"]);
        let known = all(shop, kind).find(|term| is(term.name, name) && term.parent == parent);
        made.push(if name.is_empty() {
            json!({ "id": 0, "error": fault(400, "empty_term_name", "A name is needed") })
        } else if let Some(known) = known {
            let mut known_there = fault(400, "term_exists", "There is one of this name already");
            known_there["data"]["resource_id"] = id(known.number);
            json!({ "id": 0, "error": known_there })
        } else {
            let new = shop.number();
            shop.kept.insert(format!("{kind}/{new}"), json!({ "name": name, "parent": parent }));
            object_of(&new, name)
        });
    }
    Reply::ok(json!({ "create": made }))
}

/// Lists names, or those in which a text is, as they are kept.
pub(super) fn list(shop: &Shop, kind: &str, request: &Request) -> Reply {
    let query = request.query();
    let part = query.get("search").map(|text| text.to_lowercase()).unwrap_or_default();
    let found = all(shop, kind).filter(|term| encoded(term.name).to_lowercase().contains(&part));
    paged(&found.collect::<Vec<_>>(), &query, |term| object_of(term.number, term.name))
}

/// What has an id is called.
pub(super) fn name(shop: &Shop, kind: &str, id: &str) -> Option<String> {
    all(shop, kind).find(|term| term.number == id).map(|term| term.name.to_owned())
}

/// A product's tags.
pub(super) fn tags(shop: &Shop, names: &[String]) -> Value {
    names.iter().map(|name| named(shop, TAGS, name)).collect()
}

/// A product's categories, by their names; what is in none is in one for that.
pub(super) fn categories<'n>(shop: &Shop, names: impl Iterator<Item = &'n str>) -> Value {
    let mut names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    if names.is_empty() {
        names.push(USUAL.1);
    }
    names.into_iter().map(|name| named(shop, CATEGORIES, name)).collect()
}

fn all<'a>(shop: &'a Shop, kind: &str) -> impl Iterator<Item = Term<'a>> {
    let usual = Term { number: USUAL.0, name: USUAL.1, parent: "" };
    let prefix = format!("{kind}/");
    let kept = shop.kept.iter().filter_map(move |(key, kept)| {
        let number = key.strip_prefix(&prefix)?;
        Some(Term { number, name: kept["name"].as_str()?, parent: kept["parent"].as_str()? })
    });
    (kind == CATEGORIES).then_some(usual).into_iter().chain(kept)
}

fn is(name: &str, other: &str) -> bool {
    name.to_lowercase() == other.to_lowercase()
}

fn named(shop: &Shop, kind: &str, name: &str) -> Value {
    let number = all(shop, kind).find(|term| is(term.name, name)).map_or("", |term| term.number);
    object_of(number, name)
}

fn object_of(number: &str, name: &str) -> Value {
    json!({ "id": id(number), "name": encoded(name), "slug": slug(name) })
}
