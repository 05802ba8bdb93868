//! The catalogue: what follows when a shop shows us a product.
//!
//! A rule over several aggregates. The shop's variant becomes a listing; the listing points at our
//! variant, found by an earlier mapping or by SKU, or made new. Two shops with one SKU meet in one variant.
//!
//! A shop's words make a product that is new. One that is known they change only where the shop shows something else than it
//! was known to show: neither another shop's way of putting things nor our own words coming back are a change.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    Event, Refusal, StreamId,
    aggregate::verdict,
    connection::{Connection, ConnectionDetails},
    listing::{Conflict, Figure, ListingCommand, ListingEvent, Mapping},
    product::{Product, ProductCommand, ProductDetails, ProductEvent, VariantDetails, Words},
    sku_claim::{SkuCommand, SkuEvent},
    stream::Lookup,
    values::{ConnectionId, ExternalId, ListingId, Money, ProductId, Sku, VariantId},
};

/// Events, each with the stream it belongs to.
pub type Changes = Vec<(StreamId, Event)>;

/// A variant as a shop shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVariant {
    /// The shop's id.
    pub external: ExternalId,
    /// The shop's handle on its stock.
    pub inventory: Option<ExternalId>,
    /// The seller's SKU, if the shop has one.
    pub sku: Option<Sku>,
    /// `size` and so on.
    pub attributes: BTreeMap<String, String>,
    /// What it costs there.
    pub price: Option<Money>,
}

/// A product as a shop shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedProduct {
    /// The shop's id.
    pub external: ExternalId,
    /// What describes it; without a title, nothing that could change what is known.
    pub details: ProductDetails,
    /// Its variants.
    pub variants: Vec<ObservedVariant>,
    /// True if those are all there are; what is listed and not among them is then gone.
    pub complete: bool,
    /// When it looked so, by the shop's clock.
    pub at: DateTime<Utc>,
}

/// The streams that [`observe`] will look at, as far as can be told beforehand.
pub fn streams(id: ConnectionId, observed: &ObservedProduct) -> Vec<StreamId> {
    let mut streams = vec![StreamId::Connection(id)];
    for variant in &observed.variants {
        streams.push(StreamId::Listing(ListingId::of(id, &variant.external)));
        streams.extend(variant.sku.clone().map(StreamId::Sku));
    }
    streams
}

/// What follows from a shop showing a product: nothing, if a later sight of it is known already. `fresh` is the id of
/// the product, should it be new; `listed` are its listings as far as they are known.
pub fn observe(
    id: ConnectionId,
    observed: &ObservedProduct,
    fresh: ProductId,
    listed: &[ListingId],
    lookup: &Lookup<'_>,
) -> Result<Changes, Refusal> {
    let connection = lookup.connection(&id);
    let details = connection
        .details
        .as_ref()
        .ok_or_else(|| Refusal::missing("connection.unknown", "there is no connection with this id"))?;
    let mut sight = Sight {
        id,
        connection,
        details,
        lookup,
        observed,
        fresh,
        products: HashMap::new(),
        claims: HashMap::new(),
        changes: vec![],
    };
    if sight.take_in()? {
        sight.drop_missing(listed)?;
    }
    Ok(sight.changes)
}

/// Whether a brand's connection may touch a product: its own, or one that belongs to no brand.
pub fn of_brand(lookup: &Lookup<'_>, product: ProductId, brand: &str) -> bool {
    let details = lookup.product(&product).details.as_ref();
    details.and_then(|details| details.brand.as_deref()).is_none_or(|owner| owner == brand)
}

/// Whether an event makes known what platforms may have spoken of before: then that is worth another look.
pub fn makes_known(event: &Event) -> bool {
    matches!(
        event,
        Event::Listing(ListingEvent::Mapped(_))
            | Event::Sku(SkuEvent::Assigned { .. })
            | Event::Product(ProductEvent::VariantAdded { .. } | ProductEvent::VariantChanged { .. })
    )
}

/// One look at one product: what is known, and what has been decided so far.
struct Sight<'a, 's> {
    id: ConnectionId,
    connection: &'a Connection,
    details: &'a ConnectionDetails,
    lookup: &'a Lookup<'s>,
    observed: &'a ObservedProduct,
    fresh: ProductId,
    products: HashMap<ProductId, Product>,
    claims: HashMap<Sku, (ProductId, VariantId)>,
    changes: Changes,
}

impl Sight<'_, '_> {
    /// False, and nothing follows, if a later sight is known already.
    fn take_in(&mut self) -> Result<bool, Refusal> {
        let known: Vec<_> = self.observed.variants.iter().map(|variant| self.known(variant)).collect();
        let home = known.iter().flatten().map(|(product, _)| *product).next();
        let seen = home.and_then(|home| self.lookup.product(&home).observed.get(&self.id));
        // A part of a product says nothing about when the rest was seen.
        if self.observed.complete && seen.is_some_and(|seen| *seen > self.observed.at) {
            return Ok(false);
        }
        let product = home.unwrap_or(self.fresh);
        let shown = &self.observed.variants;
        // What is off already was described before.
        let off = !shown.is_empty() && !shown.iter().any(|variant| self.stands(variant));
        let shows = if off { None } else { self.describe(product, home.is_none())? };
        for (variant, known) in self.observed.variants.iter().zip(known) {
            if self.stands(variant) {
                self.take_in_variant(variant, known, product)?;
            }
        }
        let at = self.observed.complete.then_some(self.observed.at);
        self.ask(product, ProductCommand::Observe { connection: self.id, at, shows })?;
        Ok(true)
    }

    /// False if the news of its end were quicker than those of its last change.
    fn stands(&self, variant: &ObservedVariant) -> bool {
        let listing = self.lookup.listing(&ListingId::of(self.id, &variant.external));
        listing.removed_at.is_none_or(|removed| removed <= self.observed.at)
    }

    /// Makes the product in the shop's words, or takes in what the shop has changed of them. Gives the words by which it is
    /// known there from now on, if they tell something.
    fn describe(&mut self, product: ProductId, is_new: bool) -> Result<Option<Words>, Refusal> {
        let (observed, platform) = (self.observed, self.details.platform);
        let words = observed.details.words();
        let told = !words.title.trim().is_empty();
        if is_new {
            let mut details =
                ProductDetails { brand: Some(self.details.brand.clone()), ..observed.details.clone() };
            if !told {
                details.title = observed.external.to_string();
            }
            self.ask(product, ProductCommand::Create(details))?;
            // Words without a title, too: once the title is told, it is a change.
            return Ok(Some(words));
        }
        if !told {
            return Ok(None);
        }
        let id = self.id;
        let known = self.product(product);
        let shown = known.offers.get(&id).and_then(|offer| offer.shown.clone());
        let (Some(shown), Some(ours)) = (shown, known.details.clone()) else {
            return Ok(Some(words));
        };
        // One of several variants that stands by itself has the variant's title.
        let part = observed.complete && observed.variants.len() == 1 && known.variants.len() > 1;
        if part || platform.sells_variants_alone() {
            return Ok(None);
        }
        if !known.is_late(id, &words) {
            let described = ours.changed(&shown, &observed.details);
            self.ask(product, ProductCommand::Describe(described))?;
        }
        Ok(Some(words))
    }

    fn drop_missing(&mut self, listed: &[ListingId]) -> Result<(), Refusal> {
        if !self.observed.complete {
            return Ok(());
        }
        let shown: HashSet<ListingId> =
            self.observed.variants.iter().map(|variant| ListingId::of(self.id, &variant.external)).collect();
        for id in listed.iter().filter(|id| !shown.contains(id)) {
            self.ask_listing(*id, ListingCommand::Remove { at: Some(self.observed.at) })?;
        }
        Ok(())
    }

    /// Our product and variant for one of theirs, by mapping or by SKU.
    fn known(&self, variant: &ObservedVariant) -> Option<(ProductId, VariantId)> {
        let listing = self.lookup.listing(&ListingId::of(self.id, &variant.external));
        match &listing.mapping {
            Some(mapping) => Some((mapping.product, mapping.variant)),
            None => self.lookup.sku(&self.sku(variant)).names,
        }
    }

    /// The SKU, or one made from the shop's id: where the shop has none, or where its SKU names a variant of
    /// another brand, which this connection has no business with.
    fn sku(&self, variant: &ObservedVariant) -> Sku {
        let foreign = |sku: &Sku| {
            let named = self.lookup.sku(sku).names;
            named.is_some_and(|(product, _)| !of_brand(self.lookup, product, &self.details.brand))
        };
        variant.sku.clone().filter(|sku| !foreign(sku)).unwrap_or_else(|| {
            let made = format!("{}-{}", self.details.platform, variant.external);
            Sku::new(&made.chars().take(128).collect::<String>())
                .expect("a platform's name and an id without blanks make a SKU")
        })
    }

    fn take_in_variant(
        &mut self,
        variant: &ObservedVariant,
        known: Option<(ProductId, VariantId)>,
        home: ProductId,
    ) -> Result<(), Refusal> {
        let sku = self.sku(variant);
        let known = known.or_else(|| self.claims.get(&sku).copied());
        let (product, ours) = known.unwrap_or_else(|| (home, self.fresh_variant(variant)));
        let is_new = !self.product(product).variants.contains_key(&ours);
        let listing = ListingId::of(self.id, &variant.external);
        let mapped = self.lookup.listing(&listing).mapping.is_some();
        if is_new || mapped {
            self.name(sku.clone(), product, ours)?;
            let named = self.claims.get(&sku).is_some_and(|(_, variant)| *variant == ours);
            let sku = if named { sku } else { self.present_sku(product, ours).unwrap_or(sku) };
            let attributes = self.attributes(variant, product, ours);
            let details = VariantDetails { sku, attributes };
            self.ask(product, ProductCommand::PutVariant { variant: ours, details })?;
        }
        self.list(listing, variant, product, ours)?;
        self.take_price(listing, variant, product, ours, is_new)
    }

    /// What sets the variant apart: as the shop shows it, unless that is its way of showing what we have told it, or all
    /// that it says is in a title.
    fn attributes(
        &mut self,
        variant: &ObservedVariant,
        product: ProductId,
        ours: VariantId,
    ) -> BTreeMap<String, String> {
        let (id, alone) = (self.id, self.details.platform.sells_variants_alone());
        let product = self.product(product);
        let told = product.offers.get(&id).is_some_and(|offer| offer.pushed.is_some());
        let known = product.variants.get(&ours).filter(|_| told || alone || variant.attributes.is_empty());
        known.map_or_else(|| variant.attributes.clone(), |known| known.details.attributes.clone())
    }

    fn fresh_variant(&self, variant: &ObservedVariant) -> VariantId {
        VariantId(Uuid::new_v5(&self.fresh.0, variant.external.as_str().as_bytes()))
    }

    fn present_sku(&mut self, product: ProductId, variant: VariantId) -> Option<Sku> {
        self.product(product).variants.get(&variant).map(|known| known.details.sku.clone())
    }

    /// Lets the SKU name our variant, unless it names another one; then the variant keeps the SKU it has.
    fn name(&mut self, sku: Sku, product: ProductId, variant: VariantId) -> Result<(), Refusal> {
        if self.claims.contains_key(&sku) {
            return Ok(());
        }
        let claim = self.lookup.sku(&sku);
        if let Some(named) = claim.names {
            self.claims.insert(sku, named);
            return Ok(());
        }
        if let Some(old) = self.present_sku(product, variant) {
            self.changes.push((StreamId::Sku(old), SkuEvent::Released {}.into()));
        }
        for event in verdict(&sku, claim, SkuCommand::Assign { product, variant })? {
            self.changes.push((StreamId::Sku(sku.clone()), event.into()));
        }
        self.claims.insert(sku, (product, variant));
        Ok(())
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
        is_new: bool,
    ) -> Result<(), Refusal> {
        let Some(price) = variant.price else {
            return Ok(());
        };
        let before = self.changes.len();
        self.ask_listing(listing, ListingCommand::ObservePrice { price, at: self.observed.at })?;
        let news = self.changes.len() > before;
        let market = self.details.market.clone();
        let priced =
            self.product(product).variants.get(&ours).is_some_and(|v| v.prices.contains_key(&market));
        let owed = self.product(product).variants.get(&ours).and_then(|v| v.prices.get(&market).copied());
        let rules = &self.connection.rules;
        if is_new || !priced || (news && rules.accept_prices) {
            self.ask(product, ProductCommand::Price { variant: ours, market, price, at: None })?;
        } else if news && rules.hold_conflicts && owed != Some(price) {
            let conflict = Conflict { shows: Figure::Price { price }, at: self.observed.at };
            self.ask_listing(listing, ListingCommand::OpenConflict(conflict))?;
        }
        Ok(())
    }

    fn ask_listing(&mut self, id: ListingId, command: ListingCommand) -> Result<(), Refusal> {
        for event in verdict(&id, self.lookup.listing(&id), command)? {
            self.changes.push((StreamId::Listing(id), event.into()));
        }
        Ok(())
    }

    fn product(&mut self, id: ProductId) -> &Product {
        self.products.entry(id).or_insert_with(|| self.lookup.product(&id).clone())
    }

    /// Asks a product, and goes on with the answer's effect.
    fn ask(&mut self, id: ProductId, command: ProductCommand) -> Result<(), Refusal> {
        for event in verdict(&id, self.product(id), command)? {
            self.changes.push((StreamId::Product(id), event.clone().into()));
            if let Some(product) = self.products.remove(&id) {
                self.products.insert(id, product.evolve(event));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
