//! Products made and changed. A product that is to be sold in variations has none at first, and is kept under its number.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Described, Reply, Request, Shop},
    NO_SUCH_ID, digits, error, fault, is_simple, minor,
    products::{self, Listed},
    settings, terms,
};

/// Between the options of a variation that has several.
pub(super) const BETWEEN: &str = " / ";

/// Makes a product.
pub(super) fn create(shop: &mut Shop, request: &Request) -> Reply {
    let asked = request.json();
    let described = described(shop, &Described::default(), &asked);
    if asked["type"] == "variable" {
        let id = shop.number();
        let slug = free_slug(shop, asked["slug"].as_str().unwrap_or_default());
        let record = json!({
            "name": described.title, "category": described.category, "tags": described.tags, "slug": slug,
            "attributes": asked["attributes"],
        });
        shop.kept.insert(key(&id), record);
        return Reply::with_status(201, Listed::Parent(&id).object(shop));
    }
    let (sku, price) = match checked(shop, &asked) {
        Ok(sold) => sold,
        Err(fault) => return Reply::with_status(400, fault),
    };
    let product = shop.number();
    let size = sku.clone();
    let places = shop.make(&product, &described, &[(sku, size, price)]);
    for place in &places {
        let variant = shop.goods[*place].variant.clone();
        settings::say(shop, &variant, &asked["stock_status"]);
    }
    let made = places.first().map(|place| Listed::of(&shop.goods[*place]).object(shop));
    Reply::with_status(201, made.unwrap_or_default())
}

/// Changes a product: what describes it, what sets its variations apart, whether customers see it.
pub(super) fn update(shop: &mut Shop, id: &str, request: &Request) -> Reply {
    let asked = request.json();
    let Some(product) = product(shop, id) else {
        return error(400, "woocommerce_rest_product_invalid_id", NO_SUCH_ID);
    };
    let places = places(shop, &product);
    let known = known(shop, &product, &places);
    let described = described(shop, &known, &asked);
    if let Some(record) = shop.kept.get_mut(&key(&product)) {
        record["name"] = json!(described.title);
        record["category"] = json!(described.category);
        record["tags"] = json!(described.tags);
    }
    if !asked["attributes"].is_null() {
        let record = shop.kept.entry(key(&product)).or_insert_with(|| json!({}));
        record["attributes"] = asked["attributes"].clone();
    }
    if let Some(given) = asked["categories"].as_array() {
        let others: Vec<String> = names(shop, terms::CATEGORIES, given).into_iter().skip(1).collect();
        let record = shop.kept.entry(key(&product)).or_insert_with(|| json!({}));
        record["others"] = json!(others);
    }
    shop.describe(&places, &described);
    match asked["status"].as_str() {
        Some("draft") => shop.hide(&product),
        Some("publish") => shop.put_back(&product),
        _ => false,
    };
    products::show(shop, id)
}

/// Makes variations of a product, or says of each why not.
pub(super) fn add(shop: &mut Shop, product: &str, objects: &[Value]) -> Vec<Value> {
    let existing = places(shop, product);
    let draft = existing.first().is_some_and(|place| shop.goods[*place].hidden);
    if existing.is_empty() && !products::is_parent(shop, product) {
        let none = fault(404, "woocommerce_rest_product_variation_invalid_parent", NO_SUCH_ID);
        return objects.iter().map(|_| json!({ "id": 0, "error": none })).collect();
    }
    let described = known(shop, product, &existing);
    let mut answers = Vec::new();
    let mut wanted: Vec<(String, String, i64)> = Vec::new();
    for object in objects {
        let sold = checked(shop, object).and_then(|sold| {
            let twice = wanted.iter().any(|(sku, _, _)| *sku == sold.0);
            if twice { Err(duplicate()) } else { Ok(sold) }
        });
        let sold = sold.and_then(|sold| {
            let saved = !shop.refuses();
            saved.then_some(sold).ok_or_else(|| fault(500, "db_insert_error", "It was not saved"))
        });
        match sold {
            Ok((sku, price)) => {
                answers.push(None);
                wanted.push((sku.clone(), size(shop, product, object, &sku), price));
            }
            Err(fault) => answers.push(Some(json!({ "id": 0, "error": fault }))),
        }
    }
    let made = shop.make(product, &described, &wanted);
    let taken = answers.iter().zip(objects).filter(|(refused, _)| refused.is_none());
    for (place, (_, object)) in made.iter().zip(taken) {
        let variant = shop.goods[*place].variant.clone();
        settings::say(shop, &variant, &object["stock_status"]);
    }
    for place in made.iter().filter(|_| draft) {
        (shop.goods[*place].removed, shop.goods[*place].hidden) = (true, true);
    }
    let mut made = made.into_iter();
    let answer = |refused: Option<Value>| {
        refused.or_else(|| made.next().map(|place| Listed::of(&shop.goods[place]).object(shop)))
    };
    answers.into_iter().filter_map(answer).collect()
}

/// Where a product is kept that was made here.
pub(super) fn key(product: &str) -> String {
    format!("product/{product}")
}

/// The SKU and the price of something new.
fn checked(shop: &Shop, asked: &Value) -> Result<(String, i64), Value> {
    let sku = asked["sku"].as_str().unwrap_or_default();
    if shop.goods.iter().any(|good| good.sku == sku && (!good.removed || good.hidden)) {
        return Err(duplicate());
    }
    let price = minor(shop, &asked["regular_price"]);
    let price = price.ok_or_else(|| fault(400, "rest_invalid_param", "regular_price makes no sense"))?;
    Ok((sku.to_owned(), price))
}

fn duplicate() -> Value {
    fault(400, "product_invalid_sku", "Something has this SKU already")
}

/// What is left of a variation's options where only a text is kept. It is never the SKU itself, which would stand for a
/// product that is sold as it is.
fn size(shop: &Shop, product: &str, object: &Value, sku: &str) -> String {
    let given = object["attributes"].as_array();
    let option = |name: &String| {
        let named = given.into_iter().flatten().find(|it| it["name"].as_str() == Some(name.as_str()));
        named.and_then(|it| it["option"].as_str()).unwrap_or_default().to_owned()
    };
    let options: Vec<String> = products::names(shop, product).iter().map(option).collect();
    let size = options.join(BETWEEN);
    if size == sku { format!("{size} ") } else { size }
}

/// The core's number of what has an id here: a product that is sold as it is has its only variant's.
fn product(shop: &Shop, id: &str) -> Option<String> {
    let mut goods = shop.goods.iter().filter(|good| !good.removed || good.hidden);
    let of_it = goods.find(|good| if is_simple(good) { good.variant == id } else { good.product == id });
    let known = of_it.map(|good| good.product.clone());
    known.or_else(|| products::is_parent(shop, id).then(|| id.to_owned()))
}

/// The places of a product's variants, drafts among them.
fn places(shop: &Shop, product: &str) -> Vec<usize> {
    let goods = shop.goods.iter().enumerate();
    let of_it = goods.filter(|(_, good)| good.product == product && (!good.removed || good.hidden));
    of_it.map(|(place, _)| place).collect()
}

/// What describes a product now.
fn known(shop: &Shop, product: &str, places: &[usize]) -> Described {
    if let Some(good) = places.first().map(|place| &shop.goods[*place]) {
        let (title, vendor, category, tags) =
            (good.title.clone(), good.vendor.clone(), good.category.clone(), good.tags.clone());
        return Described { title, vendor, category, tags };
    }
    let record = shop.kept.get(&key(product)).cloned().unwrap_or_default();
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let tags = record["tags"].as_array().into_iter().flatten();
    Described {
        title: text("name"),
        category: text("category"),
        tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
        ..Described::default()
    }
}

/// The same with what is asked for. Tags and categories come by their ids.
fn described(shop: &Shop, known: &Described, asked: &Value) -> Described {
    let mut described = known.clone();
    if let Some(name) = asked["name"].as_str() {
        name.clone_into(&mut described.title);
    }
    if let Some(given) = asked["categories"].as_array() {
        described.category = names(shop, terms::CATEGORIES, given).into_iter().next().unwrap_or_default();
    }
    if let Some(given) = asked["tags"].as_array() {
        described.tags = names(shop, terms::TAGS, given);
    }
    described
}

fn names(shop: &Shop, kind: &str, given: &[Value]) -> Vec<String> {
    given.iter().filter_map(|it| terms::name(shop, kind, &digits(&it["id"]))).collect()
}

/// A name for a page that no other has.
fn free_slug(shop: &Shop, wanted: &str) -> String {
    let taken = |slug: &str| shop.kept.values().any(|record| record["slug"] == slug);
    let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
    names.find(|slug| !taken(slug)).unwrap_or_default()
}
