//! Products and variants that are new, put in by hand or over the API.

use std::collections::BTreeSet;

use chrono::Utc;

use super::money::Money;
use super::queries::PUBLICATION;
use super::state::{
    Product, ProductIds, QUANTITY_BOUND, SeedProduct, SeedVariant, State, Variant, VariantIds,
};
use super::webhooks;

/// A variant that is new: its own code, its values of the product's options, what it costs, and whether it is counted.
pub(super) struct NewVariant {
    pub(super) sku: String,
    pub(super) options: Vec<String>,
    pub(super) price: Money,
    pub(super) tracked: bool,
    /// Whether the location keeps it.
    pub(super) stocked: bool,
    pub(super) available: i64,
}

impl State {
    pub(super) fn seed(&mut self, seed: SeedProduct) -> ProductIds {
        let variant = |variant: SeedVariant| NewVariant {
            sku: variant.sku,
            options: vec![variant.option1],
            price: variant.price.parse().unwrap_or_default(),
            tracked: true,
            stocked: true,
            available: variant.quantity.clamp(-QUANTITY_BOUND, QUANTITY_BOUND),
        };
        let variants = seed.variants.into_iter().map(variant).collect();
        let now = Utc::now();
        let product = Product {
            id: self.new_id(),
            handle: if seed.handle.is_empty() { handle_of(&seed.title) } else { seed.handle },
            title: seed.title,
            vendor: seed.vendor,
            product_type: seed.product_type,
            tags: seed.tags,
            status: "ACTIVE".to_owned(),
            publications: BTreeSet::from([PUBLICATION]),
            scheduled: false,
            options: vec!["Size".to_owned()],
            variants: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        let product_id = self.enter(product, variants);
        let ids = |variant: &Variant| VariantIds {
            sku: variant.sku.clone(),
            variant_id: variant.id,
            inventory_item_id: variant.inventory_item_id,
        };
        let variants = self.products.get(&product_id).into_iter().flat_map(|product| &product.variants);
        ProductIds { product_id, variants: variants.map(ids).collect() }
    }

    /// Enters a product with its variants, and tells `products/create`.
    pub(super) fn enter(&mut self, product: Product, variants: Vec<NewVariant>) -> u64 {
        let product_id = product.id;
        self.products.insert(product_id, product);
        self.add(product_id, variants);
        if let Some(product) = self.products.get(&product_id) {
            let body = webhooks::product_body(product);
            self.emit("products/create", body);
        }
        product_id
    }

    /// Adds variants to a product, which is for the caller to tell. Gives their ids.
    pub(super) fn add(&mut self, product_id: u64, variants: Vec<NewVariant>) -> Vec<u64> {
        let mut ids = Vec::with_capacity(variants.len());
        for new in variants {
            let (id, inventory_item_id) = (self.new_id(), self.new_id());
            let Some(product) = self.products.get_mut(&product_id) else { return ids };
            let position = product.variants.len();
            let mut options = new.options.into_iter();
            product.variants.push(Variant {
                id,
                product_id,
                inventory_item_id,
                sku: new.sku,
                option1: options.next().unwrap_or_default(),
                further: options.collect(),
                price: new.price,
                compare_at_price: None,
                oversells: false,
                tracked: new.tracked,
                stocked: new.stocked,
                available: new.available,
                committed: 0,
                updated_at: Utc::now(),
            });
            self.places.extend([(id, (product_id, position)), (inventory_item_id, (product_id, position))]);
            ids.push(id);
        }
        ids
    }

    /// Removes the only variant of a product, to make room for others.
    pub(super) fn clear(&mut self, product_id: u64) {
        let Some(product) = self.products.get_mut(&product_id) else { return };
        for variant in std::mem::take(&mut product.variants) {
            self.places.remove(&variant.id);
            self.places.remove(&variant.inventory_item_id);
        }
    }
}

fn handle_of(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}
