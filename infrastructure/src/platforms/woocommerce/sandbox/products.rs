//! Products and variations as the platform writes them down, and lists of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Good, Reply, Request, Shop},
    decimal, gmt, id, is_simple, paged,
};

/// Something that has an id of its own in the shop.
pub(super) enum Listed<'a> {
    /// A product that is sold as it is.
    Simple(&'a Good),
    /// A product that is sold in sizes: these.
    Variable(Vec<&'a Good>),
    /// One of the sizes.
    Variation(&'a Good),
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
        }
    }

    /// The resource, as lists, batches and webhooks carry it.
    pub(super) fn object(&self, shop: &Shop) -> Value {
        match self {
            Self::Simple(good) => simple(shop, good),
            Self::Variable(goods) => variable(shop, goods),
            Self::Variation(good) => variation(shop, good),
        }
    }
}

/// What is there of products, or of the variations of one: the newest first, as the query asks for it.
pub(super) fn list(shop: &Shop, product: Option<&str>, request: &Request) -> Reply {
    let there = shop.goods.iter().filter(|good| !good.removed);
    let mut all = match product {
        None => Listed::products(there),
        Some(product) => variations(there, product),
    };
    let query = request.query();
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
        "id": id(&good.variant), "name": good.title, "slug": slug(&good.title), "type": "simple",
        "status": "publish", "featured": false, "catalog_visibility": "visible", "sku": good.sku,
        "price": price, "regular_price": price, "sale_price": "", "on_sale": false, "purchasable": true,
        "manage_stock": true, "stock_quantity": good.quantity, "stock_status": stock_status(good),
        "backorders": "no", "backorders_allowed": false, "parent_id": 0, "categories": [], "tags": [],
        "images": [], "attributes": [], "variations": [], "meta_data": [],
        "date_modified": gmt(good.changed_at), "date_modified_gmt": gmt(good.changed_at),
    })
}

/// What its variations cost and how many there are stands in these alone, apart from the lowest price.
fn variable(shop: &Shop, goods: &[&Good]) -> Value {
    let first = goods.first();
    let title = first.map(|good| good.title.as_str()).unwrap_or_default();
    let lowest = goods.iter().map(|good| good.price).min().unwrap_or_default();
    let sizes: Vec<&str> = goods.iter().map(|good| good.size.as_str()).collect();
    let ids: Vec<Value> = goods.iter().map(|good| id(&good.variant)).collect();
    let changed = goods.iter().map(|good| good.changed_at).max().map(gmt);
    json!({
        "id": first.map(|good| id(&good.product)), "name": title, "slug": slug(title), "type": "variable",
        "status": "publish", "featured": false, "catalog_visibility": "visible", "sku": "",
        "price": decimal(shop, lowest), "regular_price": "", "sale_price": "", "on_sale": false,
        "purchasable": true, "manage_stock": false, "stock_quantity": null, "stock_status": "instock",
        "backorders": "no", "backorders_allowed": false, "parent_id": 0, "categories": [], "tags": [],
        "images": [], "variations": ids, "meta_data": [],
        "attributes": [{
            "id": 0, "name": "Size", "slug": "Size", "position": 0, "visible": true, "variation": true,
            "options": sizes,
        }],
        "date_modified": changed, "date_modified_gmt": changed,
    })
}

fn variation(shop: &Shop, good: &Good) -> Value {
    let price = decimal(shop, good.price);
    json!({
        "id": id(&good.variant), "type": "variation", "parent_id": id(&good.product),
        "name": format!("{} - {}", good.title, good.size), "description": "", "sku": good.sku,
        "price": price, "regular_price": price, "sale_price": "", "on_sale": false, "status": "publish",
        "purchasable": true, "manage_stock": true, "stock_quantity": good.quantity,
        "stock_status": stock_status(good), "backorders": "no", "backorders_allowed": false, "image": null,
        "attributes": [{ "id": 0, "name": "Size", "slug": "Size", "option": good.size }], "meta_data": [],
        "date_modified": gmt(good.changed_at), "date_modified_gmt": gmt(good.changed_at),
    })
}

fn stock_status(good: &Good) -> &'static str {
    if good.quantity > 0 { "instock" } else { "outofstock" }
}

fn slug(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}
