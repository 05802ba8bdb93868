//! Products and variations as the platform writes them down, and lists of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Good, Reply, Request, Shop},
    NO_SUCH_ID,
    changes::{self, BETWEEN},
    decimal, encoded, error, gmt, id, is_simple, paged,
    settings::{counts, quantity, stock_status},
    terms,
};

/// Something that has an id of its own in the shop.
pub(super) enum Listed<'a> {
    /// A product that is sold as it is.
    Simple(&'a Good),
    /// A product that is sold in sizes: these.
    Variable(Vec<&'a Good>),
    /// One of the sizes.
    Variation(&'a Good),
    /// A product that is to be sold in sizes and has none yet, by its number.
    Parent(&'a str),
}

impl<'a> Listed<'a> {
    /// A good, by itself.
    pub(super) fn of(good: &'a Good) -> Self {
        if is_simple(good) { Self::Simple(good) } else { Self::Variation(good) }
    }

    /// The products that goods belong to or are.
    pub(super) fn products(goods: impl Iterator<Item = &'a Good>) -> Vec<Self> {
        let mut sized: BTreeMap<&str, Vec<&Good>> = BTreeMap::new();
        let mut products = Vec::new();
        for good in goods {
            if is_simple(good) {
                products.push(Self::Simple(good));
            } else {
                sized.entry(&good.product).or_default().push(good);
            }
        }
        products.extend(sized.into_values().map(Self::Variable));
        products
    }

    /// Digits.
    pub(super) fn id(&self) -> &'a str {
        match self {
            Self::Simple(good) | Self::Variation(good) => good.variant.as_str(),
            Self::Variable(goods) => goods.first().map_or("", |good| good.product.as_str()),
            Self::Parent(product) => product,
        }
    }

    /// The name of its page.
    fn slug(&self, shop: &Shop) -> String {
        let title = match self {
            Self::Simple(good) | Self::Variation(good) => &good.title,
            Self::Variable(goods) => return page_name(shop, goods),
            Self::Parent(product) => {
                return kept(shop, product)["slug"].as_str().unwrap_or_default().to_owned();
            }
        };
        slug(title)
    }

    /// The resource, as lists, batches and webhooks carry it.
    pub(super) fn object(&self, shop: &Shop) -> Value {
        match self {
            Self::Simple(good) => simple(shop, good),
            Self::Variable(goods) => variable(shop, goods),
            Self::Variation(good) => variation(shop, good),
            Self::Parent(product) => parent(shop, product),
        }
    }
}

/// Whether the merchant has it, be it as a draft.
fn is_kept(good: &Good) -> bool {
    !good.removed || good.hidden
}

fn status(good: &Good) -> &'static str {
    if good.removed { "draft" } else { "publish" }
}

/// What is known of a product that was made through the API.
fn kept(shop: &Shop, product: &str) -> Value {
    shop.kept.get(&changes::key(product)).cloned().unwrap_or_default()
}

/// Whether it is a product that is to be sold in variations and never had one.
pub(super) fn is_parent(shop: &Shop, product: &str) -> bool {
    shop.kept.contains_key(&changes::key(product)) && !shop.goods.iter().any(|good| good.product == product)
}

/// The names of what sets a product's variations apart.
pub(super) fn names(shop: &Shop, product: &str) -> Vec<String> {
    let kept = kept(shop, product);
    let Some(attributes) = kept["attributes"].as_array() else { return vec!["Size".to_owned()] };
    attributes.iter().filter_map(|it| it["name"].as_str().map(str::to_owned)).collect()
}

/// Answers what has an id: a product, or one variation of one.
pub(super) fn show(shop: &Shop, id: &str) -> Reply {
    let there = || shop.goods.iter().filter(|good| is_kept(good));
    let sized: Vec<&Good> = there().filter(|good| good.product == id && !is_simple(good)).collect();
    let listed = match there().find(|good| good.variant == id) {
        Some(good) => Listed::of(good),
        None if !sized.is_empty() => Listed::Variable(sized),
        None if is_parent(shop, id) => Listed::Parent(id),
        None => return error(404, "woocommerce_rest_product_invalid_id", NO_SUCH_ID),
    };
    Reply::ok(listed.object(shop))
}

/// What is there of products, or of the variations of one: the newest first, as the query asks for it.
pub(super) fn list(shop: &Shop, product: Option<&str>, request: &Request) -> Reply {
    let query = request.query();
    let there = shop.goods.iter().filter(|good| is_kept(good));
    let mut all = match (product, query.get("sku")) {
        // Variations are found by their SKU as products are. A comma divides, and may stand in a SKU as well.
        (None, Some(skus)) => {
            let wanted = |good: &&Good| good.sku == *skus || skus.split(',').any(|sku| sku == good.sku);
            there.filter(wanted).map(Listed::of).collect()
        }
        (None, None) => {
            let mut products = Listed::products(there);
            let parents = shop.kept.keys().filter_map(|key| key.strip_prefix("product/"));
            products.extend(parents.filter(|id| is_parent(shop, id)).map(Listed::Parent));
            products
        }
        (Some(product), _) => variations(there, product),
    };
    if let Some(slug) = query.get("slug") {
        all.retain(|listed| listed.slug(shop) == *slug);
    }
    let wanted: Vec<&str> = query.get("include").map(|ids| ids.split(',').collect()).unwrap_or_default();
    all.retain(|listed| wanted.is_empty() || wanted.contains(&listed.id()));
    all.sort_by_key(|listed| std::cmp::Reverse(listed.id().parse::<u64>().unwrap_or_default()));
    paged(&all, &query, |listed| listed.object(shop))
}

/// A product that is not there has none; the platform does not ask whether it is.
fn variations<'a>(goods: impl Iterator<Item = &'a Good>, product: &str) -> Vec<Listed<'a>> {
    goods.filter(|good| good.product == product && !is_simple(good)).map(Listed::Variation).collect()
}

fn simple(shop: &Shop, good: &Good) -> Value {
    let price = decimal(shop, good.price);
    json!({
        "id": id(&good.variant), "name": encoded(&good.title), "slug": slug(&good.title), "type": "simple",
        "status": status(good), "featured": false, "catalog_visibility": "visible", "sku": good.sku,
        "price": price, "regular_price": price, "sale_price": "", "on_sale": false, "purchasable": true,
        "manage_stock": counts(shop), "stock_quantity": quantity(shop, good),
        "stock_status": stock_status(shop, good), "backorders": "no", "backorders_allowed": false, "parent_id": 0,
        "categories": categories(shop, &good.product, &good.category), "tags": terms::tags(shop, &good.tags),
        "images": [], "attributes": [], "variations": [], "meta_data": [],
        "date_modified": gmt(good.changed_at), "date_modified_gmt": gmt(good.changed_at),
    })
}

/// What its variations cost and how many there are stands in these alone, apart from the lowest price.
fn variable(shop: &Shop, goods: &[&Good]) -> Value {
    let first = goods.first();
    let title = first.map(|good| good.title.as_str()).unwrap_or_default();
    let lowest = goods.iter().map(|good| good.price).min().unwrap_or_default();
    let ids: Vec<Value> = goods.iter().map(|good| id(&good.variant)).collect();
    let changed = goods.iter().map(|good| good.changed_at).max().map(gmt);
    let categories = first.map(|good| categories(shop, &good.product, &good.category));
    json!({
        "id": first.map(|good| id(&good.product)), "name": encoded(title), "slug": page_name(shop, goods), "type": "variable",
        "status": first.map(|good| status(good)), "featured": false, "catalog_visibility": "visible", "sku": "",
        "price": decimal(shop, lowest), "regular_price": "", "sale_price": "", "on_sale": false,
        "purchasable": true, "manage_stock": false, "stock_quantity": null, "stock_status": "instock",
        "backorders": "no", "backorders_allowed": false, "parent_id": 0, "categories": categories,
        "tags": first.map(|good| terms::tags(shop, &good.tags)), "images": [], "variations": ids,
        "meta_data": [], "attributes": attributes(shop, goods),
        "date_modified": changed, "date_modified_gmt": changed,
    })
}

/// One that has no variations yet: it cannot be bought.
fn parent(shop: &Shop, product: &str) -> Value {
    let kept = kept(shop, product);
    let tags: Vec<String> = kept["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    let category = kept["category"].as_str().unwrap_or_default();
    json!({
        "id": id(product), "name": encoded(kept["name"].as_str().unwrap_or_default()), "slug": kept["slug"], "type": "variable", "status": "publish",
        "sku": "", "price": "", "regular_price": "", "purchasable": false, "manage_stock": false,
        "stock_quantity": null, "stock_status": "outofstock", "parent_id": 0, "variations": [],
        "categories": categories(shop, product, category),
        "tags": terms::tags(shop, &tags), "attributes": with_ids(&kept["attributes"]),
    })
}

/// A product's categories: the first of them, and what others it was put into.
fn categories(shop: &Shop, product: &str, first: &str) -> Value {
    let kept = kept(shop, product);
    let others = kept["others"].as_array().into_iter().flatten().filter_map(Value::as_str);
    terms::categories(shop, std::iter::once(first).chain(others))
}

/// What sets the sizes of a product apart, and all the options there are.
fn attributes(shop: &Shop, goods: &[&Good]) -> Value {
    let product = goods.first().map_or("", |good| good.product.as_str());
    let kept = kept(shop, product);
    if kept["attributes"].is_array() {
        return with_ids(&kept["attributes"]);
    }
    let sizes: Vec<&str> = goods.iter().map(|good| good.size.as_str()).collect();
    json!([{
        "id": 0, "name": "Size", "slug": "Size", "position": 0, "visible": true, "variation": true,
        "options": sizes,
    }])
}

/// Attributes that are the product's alone have no id of their own.
fn with_ids(attributes: &Value) -> Value {
    let mut attributes = attributes.clone();
    for (position, attribute) in attributes.as_array_mut().into_iter().flatten().enumerate() {
        (attribute["id"], attribute["position"]) = (json!(0), json!(position));
    }
    attributes
}

fn page_name(shop: &Shop, goods: &[&Good]) -> String {
    let Some(first) = goods.first() else { return String::new() };
    kept(shop, &first.product)["slug"].as_str().map_or_else(|| slug(&first.title), str::to_owned)
}

fn variation(shop: &Shop, good: &Good) -> Value {
    let price = decimal(shop, good.price);
    let names = names(shop, &good.product);
    let options = names.iter().zip(good.size.splitn(names.len().max(1), BETWEEN));
    let attributes: Value = options
        .map(|(name, option)| json!({ "id": 0, "name": name, "slug": name, "option": option }))
        .collect();
    json!({
        "id": id(&good.variant), "type": "variation", "parent_id": id(&good.product),
        "name": encoded(&format!("{} - {}", good.title, good.size)), "description": "", "sku": good.sku,
        "price": price, "regular_price": price, "sale_price": "", "on_sale": false, "status": "publish",
        "purchasable": true, "manage_stock": counts(shop), "stock_quantity": quantity(shop, good),
        "stock_status": stock_status(shop, good), "backorders": "no", "backorders_allowed": false, "image": null,
        "attributes": attributes, "meta_data": [],
        "date_modified": gmt(good.changed_at), "date_modified_gmt": gmt(good.changed_at),
    })
}

pub(super) fn slug(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}
