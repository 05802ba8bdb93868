//! Products made and changed over the API, with the refusals of the real one.
//! What is made is on no sales channel until it is put there.

use std::collections::BTreeSet;

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::entering::NewVariant;
use super::mutations::{check_prices, rows, user_error};
use super::queries::{self, PUBLICATIONS, id_of};
use super::schema::as_money;
use super::state::{Product, State};

/// The longest title, vendor, kind and option, in characters.
const WORD_MAX: usize = 255;
/// What a product has that has no options.
const ALONE: &str = "Default Title";

/// Makes a product with all its variants, or nothing.
pub(super) fn set(state: &mut State, input: &Value) -> Value {
    let refused = |errors: Vec<Value>| json!({"product": null, "userErrors": errors});
    let mut errors = Vec::new();
    for (field, message) in wrong_words(input, true) {
        errors.push(user_error(&["input", field], "INVALID_INPUT", message));
    }
    let handle = input["handle"].as_str().unwrap_or_default();
    if state.products.values().any(|known| known.handle == handle) {
        errors.push(user_error(&["input", "handle"], "HANDLE_NOT_UNIQUE", "Another product has this handle"));
    }
    let options: Vec<String> = texts(rows(&input["productOptions"]), "name");
    if rows(&input["variants"]).is_empty() {
        let message = "Options without variants are nothing";
        errors.push(user_error(&["input", "variants"], "VARIANTS_INPUT_MISSING", message));
    }
    let mut variants: Vec<NewVariant> = Vec::new();
    for (index, entry) in rows(&input["variants"]).iter().enumerate() {
        let place = index.to_string();
        let taken: Vec<_> = variants.iter().map(|known| known.options.as_slice()).collect();
        match new_variant(state, entry, &entry["sku"], "quantity", &options, &taken) {
            Ok(variant) => variants.push(variant),
            Err((code, message)) => {
                errors.push(user_error(&["input", "variants", &place], code, message));
            }
        }
    }
    if !errors.is_empty() {
        return refused(errors);
    }
    let now = Utc::now();
    let mut product = Product {
        id: state.new_id(),
        title: String::new(),
        vendor: shop_name(state),
        product_type: String::new(),
        tags: Vec::new(),
        handle: handle.to_owned(),
        status: "ACTIVE".to_owned(),
        publications: BTreeSet::new(),
        scheduled: false,
        options,
        variants: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    describe(&mut product, input, &shop_name(state));
    let id = state.enter(product, variants);
    let product = state.products.get(&id).map(|product| queries::whole_product(state, product));
    json!({"product": product, "userErrors": []})
}

/// Changes what describes a product, and whether it is for sale.
pub(super) fn update(state: &mut State, input: &Value) -> Value {
    let id = id_of("Product", input.get("id"));
    let name = shop_name(state);
    let Some(known) = id.and_then(|id| state.products.get_mut(&id)) else {
        let error = json!({"field": ["id"], "message": "There is no such product"});
        return json!({"product": null, "userErrors": [error]});
    };
    let wrong = wrong_words(input, false);
    if !wrong.is_empty() {
        let error = |(field, message): &(&str, &str)| json!({"field": [field], "message": message});
        let errors: Vec<Value> = wrong.iter().map(error).collect();
        return json!({"product": queries::product(known), "userErrors": errors});
    }
    let before = known.clone();
    describe(known, input, &name);
    let parts = |it: &Product| {
        (it.title.clone(), it.vendor.clone(), it.product_type.clone(), it.tags.clone(), it.status.clone())
    };
    let (id, differs) = (known.id, parts(&before) != parts(known));
    if differs {
        state.product_changed(id);
    }
    json!({"product": state.products.get(&id).map(queries::product), "userErrors": []})
}

/// Adds variants to a product, all or none.
pub(super) fn add_variants(state: &mut State, arguments: &Map<String, Value>) -> Value {
    let refused =
        |errors: Vec<Value>| json!({"product": null, "productVariants": null, "userErrors": errors});
    let id = id_of("Product", arguments.get("productId"));
    let Some(product) = id.and_then(|id| state.products.get(&id)) else {
        let message = "There is no such product";
        return refused(vec![user_error(&["productId"], "PRODUCT_DOES_NOT_EXIST", message)]);
    };
    let (id, options) = (product.id, product.options.clone());
    let present: Vec<Vec<String>> =
        product.variants.iter().map(|known| known.options().map(str::to_owned).collect()).collect();
    let alone = present.len() == 1 && present[0] == [ALONE];
    let (mut errors, mut variants) = (Vec::new(), Vec::<NewVariant>::new());
    for (index, entry) in rows(arguments.get("variants").unwrap_or(&Value::Null)).iter().enumerate() {
        let place = index.to_string();
        let known = present.iter().map(Vec::as_slice);
        let taken: Vec<_> = known.chain(variants.iter().map(|new| new.options.as_slice())).collect();
        let sku = &entry["inventoryItem"]["sku"];
        match new_variant(state, entry, sku, "availableQuantity", &options, &taken) {
            Ok(variant) => variants.push(variant),
            Err((code, message)) => errors.push(user_error(&["variants", &place], code, message)),
        }
    }
    if !errors.is_empty() {
        return refused(errors);
    }
    let strategy = arguments.get("strategy").and_then(Value::as_str).unwrap_or("DEFAULT");
    if (alone && strategy == "DEFAULT") || (present.len() == 1 && strategy.starts_with("REMOVE")) {
        state.clear(id);
    }
    let added = state.add(id, variants);
    state.product_changed(id);
    let shown = added.iter().filter_map(|id| state.variant(*id)).map(|it| queries::variant(state, it));
    json!({
        "product": state.products.get(&id).map(queries::product),
        "productVariants": shown.collect::<Vec<_>>(),
        "userErrors": [],
    })
}

/// Publishes a product: on sales channels, of which there is one, and elsewhere.
pub(super) fn publish(state: &mut State, arguments: &Map<String, Value>) -> Value {
    let refused = |field: &str, message: &str| json!({"publishable": null, "shop": null, "userErrors": [{"field": [field], "message": message}]});
    let input = rows(arguments.get("input").unwrap_or(&Value::Null));
    let known = |entry: &Value| {
        let id = id_of("Publication", entry.get("publicationId"));
        id.filter(|id| PUBLICATIONS.iter().any(|(known, _, _)| known == id))
    };
    let Some(wanted) = input.iter().map(known).collect::<Option<Vec<u64>>>() else {
        return refused("input", "There is no such publication");
    };
    let id = id_of("Product", arguments.get("id"));
    let Some(product) = id.and_then(|id| state.products.get_mut(&id)) else {
        return refused("id", "There is no such product");
    };
    let (id, before) = (product.id, product.is_published());
    product.publications.extend(wanted);
    if product.is_published() != before {
        state.product_changed(id);
    }
    json!({"publishable": state.products.get(&id).map(queries::product), "userErrors": []})
}

/// What cannot be said of a product.
fn wrong_words(input: &Value, is_new: bool) -> Vec<(&'static str, &'static str)> {
    let mut wrong = Vec::new();
    let blank = |text: &str| text.trim().is_empty();
    if input["title"].as_str().map_or(is_new, blank) {
        wrong.push(("title", "A title is needed"));
    }
    for field in ["title", "vendor", "productType"] {
        if input[field].as_str().is_some_and(|text| text.chars().count() > WORD_MAX) {
            wrong.push((field, "This is longer than 255 characters"));
        }
    }
    let long = |tag: &Value| tag.as_str().is_some_and(|tag| tag.chars().count() > WORD_MAX);
    if rows(&input["tags"]).iter().any(long) {
        wrong.push(("tags", "A tag is longer than 255 characters"));
    }
    wrong
}

/// Takes over what is said, in the shop's own way: whoever is said to make nothing is the shop, and a tag is there once.
fn describe(product: &mut Product, input: &Value, shop_name: &str) {
    let text = |field: &str| input[field].as_str().map(|text| text.trim().to_owned());
    product.title = text("title").unwrap_or_else(|| product.title.clone());
    product.vendor = text("vendor").unwrap_or_else(|| product.vendor.clone());
    if product.vendor.is_empty() {
        shop_name.clone_into(&mut product.vendor);
    }
    product.product_type = text("productType").unwrap_or_else(|| product.product_type.clone());
    product.status = text("status").unwrap_or_else(|| product.status.clone());
    if let Some(given) = input["tags"].as_array() {
        let mut tags: Vec<String> = Vec::new();
        for tag in given.iter().filter_map(Value::as_str).flat_map(|tag| tag.split(',')).map(str::trim) {
            let known = tags.iter().any(|known| known.to_lowercase() == tag.to_lowercase());
            if !known && !tag.is_empty() {
                tags.push(tag.to_owned());
            }
        }
        tags.sort_by_key(|tag| tag.to_lowercase());
        product.tags = tags;
    }
}

/// A variant that is to be made, or why it cannot be. What is taken are the options of the product's other variants.
fn new_variant(
    state: &State,
    entry: &Value,
    sku: &Value,
    quantity: &str,
    options: &[String],
    taken: &[&[String]],
) -> Result<NewVariant, (&'static str, &'static str)> {
    let wrong = check_prices(entry);
    if let Some((_, code, message)) = wrong.first() {
        return Err((*code, *message));
    }
    let given = rows(&entry["optionValues"]);
    let value = |option: &String| {
        let named = given.iter().find(|value| value["optionName"].as_str() == Some(option.as_str()));
        named.and_then(|value| value["name"].as_str()).map(str::to_owned)
    };
    let values: Vec<String> = options.iter().filter_map(value).collect();
    if values.len() < options.len() {
        return Err(("NEED_TO_ADD_OPTION_VALUES", "A value of each option is needed"));
    }
    if given.len() > options.len() {
        return Err(("OPTION_VALUES_FOR_NUMBER_OF_UNKNOWN_OPTIONS", "The product has no such option"));
    }
    if values.iter().any(|value| value.chars().count() > WORD_MAX) {
        return Err(("OPTION_VALUE_NAME_TOO_LONG", "A value is longer than 255 characters"));
    }
    if taken.contains(&values.as_slice()) {
        return Err(("VARIANT_ALREADY_EXISTS_CHANGE_OPTION_VALUE", "There is a variant with these values"));
    }
    let levels = rows(&entry["inventoryQuantities"]);
    let here = |level: &Value| id_of("Location", level.get("locationId")) == Some(state.location_id);
    if !levels.iter().all(here) {
        return Err(("TRACKED_VARIANT_LOCATION_NOT_FOUND", "There is no such location"));
    }
    Ok(NewVariant {
        sku: sku.as_str().unwrap_or_default().to_owned(),
        options: values,
        price: as_money(&entry["price"]).unwrap_or_default(),
        tracked: entry["inventoryItem"]["tracked"].as_bool().unwrap_or_default(),
        stocked: !levels.is_empty(),
        available: levels.first().and_then(|level| level[quantity].as_i64()).unwrap_or_default(),
    })
}

fn texts(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().filter_map(|row| row[field].as_str().map(str::to_owned)).collect()
}

fn shop_name(state: &State) -> String {
    state.domain.split('.').next().unwrap_or_default().to_owned()
}
