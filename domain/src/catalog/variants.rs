//! The variants of a product that a shop shows: found or made, listed, and changed where the shop has changed them.
//!
//! As with words, what counts of a variant that is known is what differs from how the shop was known to show it. Its first
//! sight there is remembered and changes nothing, so neither a SKU that was changed here nor another shop's way of saying
//! what sets it apart is undone.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Known, ObservedVariant, Sight, of_brand};
use crate::{
    Refusal,
    listing::{Listing, ListingCommand, Mapping, ShownVariant},
    product::{ProductCommand, VariantDetails},
    sighting,
    values::{ListingId, ProductId, Sku, VariantId},
};

impl Sight<'_, '_> {
    /// Our product and variant for one of theirs, by mapping or by SKU.
    pub(super) fn known(&self, variant: &ObservedVariant) -> Known {
        let listing = self.listing(&ListingId::of(self.id, &variant.external));
        match listing.and_then(|listing| listing.mapping.as_ref()) {
            Some(mapping) => Some((mapping.product, mapping.variant)),
            None => self.named(&self.sku(variant)),
        }
    }

    /// The SKU, or one made from the shop's id: where the shop has none, or where its SKU names a variant of
    /// another brand, which this connection has no business with. Where the shop's id is too long for that, one made from
    /// the listing's.
    fn sku(&self, variant: &ObservedVariant) -> Sku {
        let foreign = |sku: &Sku| {
            self.named(sku).is_some_and(|(product, _)| !of_brand(self.lookup, product, &self.details.brand))
        };
        variant.sku.clone().filter(|sku| !foreign(sku)).unwrap_or_else(|| {
            let made = format!("{}-{}", self.details.platform, variant.external);
            Sku::new(&made).unwrap_or_else(|_| ListingId::of(self.id, &variant.external).into())
        })
    }

    pub(super) fn take_in_variant(
        &mut self,
        variant: &ObservedVariant,
        home: ProductId,
    ) -> Result<(), Refusal> {
        let listing = ListingId::of(self.id, &variant.external);
        let (product, ours) = self.known(variant).unwrap_or_else(|| {
            let before = self.lookup.listing(&listing).mapping.as_ref();
            (before.map_or(home, |before| before.product), self.fresh_variant(variant))
        });
        let is_new = !self.product(product).variants.contains_key(&ours);
        let shown = if is_new {
            let sku = self.sku(variant);
            self.name(&sku, product, ours)?;
            let details = VariantDetails { sku, attributes: variant.attributes.clone() };
            self.ask(product, ProductCommand::PutVariant { variant: ours, details })?;
            ShownVariant { sku: variant.sku.clone(), attributes: variant.attributes.clone() }
        } else {
            self.change(variant, listing, product, ours)?
        };
        self.list(listing, variant, product, ours)?;
        self.ask_listing(listing, ListingCommand::ObserveVariant(shown))?;
        self.take_price(listing, variant, product, ours)
    }

    /// Takes in what the shop has changed of a variant that is known. Gives how it is known to be shown from now on: what is
    /// not told, as it was, and the SKU only once it is settled whose it is.
    fn change(
        &mut self,
        variant: &ObservedVariant,
        listing: ListingId,
        product: ProductId,
        ours: VariantId,
    ) -> Result<ShownVariant, Refusal> {
        let mut shown = ShownVariant { sku: variant.sku.clone(), attributes: variant.attributes.clone() };
        let before = self.listing(&listing).and_then(|listing| listing.shown_variant.as_ref());
        let known = self.product(product).variants.get(&ours).map(|known| known.details.clone());
        let (Some(before), Some(mut details)) = (before, known) else { return Ok(shown) };
        if shown.attributes.is_empty() {
            shown.attributes.clone_from(&before.attributes);
        }
        match shown.sku.take_if(|sku| before.sku.as_ref() != Some(&*sku)) {
            Some(changed) if self.named(&changed).is_some_and(|(_, named)| named == ours) => {
                details.sku = changed.clone();
                shown.sku = Some(changed);
            }
            // It names another variant: it is asked for again when it is next shown.
            _ => shown.sku.clone_from(&before.sku),
        }
        set_apart(&mut details.attributes, &before.attributes, &shown.attributes);
        self.ask(product, ProductCommand::PutVariant { variant: ours, details })?;
        Ok(shown)
    }

    fn fresh_variant(&self, variant: &ObservedVariant) -> VariantId {
        VariantId(Uuid::new_v5(&self.fresh.0, variant.external.as_str().as_bytes()))
    }

    fn list(
        &mut self,
        id: ListingId,
        variant: &ObservedVariant,
        product: ProductId,
        ours: VariantId,
    ) -> Result<(), Refusal> {
        let mapping = Mapping {
            connection: self.id,
            product,
            variant: ours,
            external_product: self.observed.external.clone(),
            external_variant: variant.external.clone(),
            external_inventory: variant.inventory.clone(),
        };
        self.ask_listing(id, ListingCommand::Map(mapping))
    }

    fn take_price(
        &mut self,
        listing: ListingId,
        variant: &ObservedVariant,
        product: ProductId,
        ours: VariantId,
    ) -> Result<(), Refusal> {
        let Some(price) = variant.price else {
            return Ok(());
        };
        let begun = Listing::default();
        let (known, connection) = (self.listing(&listing).unwrap_or(&begun), self.connection);
        let sight = (price, self.observed.at, true);
        let ours = (product, ours, self.product(product));
        let (changes, _) = sighting::judge_price((listing, known), ours, sight, connection)?;
        self.record(changes);
        Ok(())
    }
}

/// Sets in ours what differs between how a shop showed a variant before and how it shows it now.
fn set_apart(
    ours: &mut BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) {
    for (name, value) in now.iter().filter(|(name, value)| before.get(*name) != Some(*value)) {
        ours.insert(name.clone(), value.clone());
    }
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    for (name, value) in gone {
        // What we say in our own way was not the shop's to take away.
        if ours.get(name) == Some(value) {
            ours.remove(name);
        }
    }
}
