//! The catalogue: what follows when a shop shows us a product.
//!
//! A rule over several aggregates. The shop's variant becomes a listing; the listing points at our
//! variant, found by an earlier mapping or by SKU, or made new. Two shops with one SKU meet in one variant.
//!
//! A shop's words make a product that is new. One that is known they change only where the shop shows something else than it
//! was known to show: neither another shop's way of putting things nor our own words coming back are a change. They are
//! heard only of what is all of the product there: a shop may sell in two what is one product here, or in one what is two.

mod skus;
mod variants;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::{
    Event, Refusal, StreamId,
    aggregate::verdict,
    connection::{Connection, ConnectionDetails},
    listing::{Listing, ListingCommand, ListingEvent, Mapping},
    product::{Product, ProductCommand, ProductDetails, ProductEvent, Showing, Word, Words},
    sku_claim::SkuEvent,
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
    /// Which of its words are told even if they are none; else one that is left out is as it was.
    pub told: Vec<Word>,
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

/// What follows from a shop showing a product, and what somebody should know of that: nothing, if a later sight of it is known
/// already.
///
/// `fresh` is the id of the product, should it be new; `listed` are the listings of the shop's product, and all that there are on the connection
/// of ours that it is, as far as they are known.
pub fn observe(
    id: ConnectionId,
    observed: &ObservedProduct,
    fresh: ProductId,
    listed: &[ListingId],
    lookup: &Lookup<'_>,
) -> Result<(Changes, Vec<String>), Refusal> {
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
        listed,
        products: HashMap::new(),
        claims: HashMap::new(),
        anew: HashSet::new(),
        changes: vec![],
        notes: vec![],
    };
    if sight.take_in()? {
        sight.drop_missing()?;
    }
    Ok((sight.changes, sight.notes))
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
    listed: &'a [ListingId],
    products: HashMap<ProductId, Product>,
    /// What SKUs name by now, where that was decided here.
    claims: HashMap<Sku, Known>,
    /// What is to be another variant of ours than it was.
    anew: HashSet<ListingId>,
    changes: Changes,
    notes: Vec<String>,
}

/// Our product and variant for one of theirs, if it is known.
type Known = Option<(ProductId, VariantId)>;

impl<'s> Sight<'_, 's> {
    /// False, and nothing follows, if a later sight is known already.
    fn take_in(&mut self) -> Result<bool, Refusal> {
        let observed = self.observed;
        let known: Vec<Known> = observed.variants.iter().map(|variant| self.known(variant)).collect();
        let home = known.iter().flatten().map(|(product, _)| *product).next();
        let seen = home.and_then(|home| self.lookup.product(&home).seen(self.id, &observed.external));
        // A part of a product says nothing about when the rest was seen.
        if observed.complete && seen.is_some_and(|seen| seen > observed.at) {
            return Ok(false);
        }
        let product = home.unwrap_or(self.fresh);
        // What is off already was described before.
        let off = !observed.variants.is_empty() && !observed.variants.iter().any(|it| self.stands(it));
        let shows = if off { None } else { self.describe(product, &known)? };
        self.settle_skus()?;
        for variant in &observed.variants {
            if self.stands(variant) {
                self.take_in_variant(variant, product)?;
            }
        }
        let observe = ProductCommand::Observe {
            connection: self.id,
            external: observed.external.clone(),
            at: observed.at,
            complete: observed.complete,
            shows,
            told: observed.told.clone(),
        };
        self.ask(product, observe)?;
        Ok(true)
    }

    /// False if the news of its end were quicker than those of its last change.
    fn stands(&self, variant: &ObservedVariant) -> bool {
        let listing = self.lookup.listing(&ListingId::of(self.id, &variant.external));
        listing.removed_at.is_none_or(|removed| removed <= self.observed.at)
    }

    /// Makes the product in the shop's words, or takes in what the shop has changed of them. Gives the words by which it is
    /// known there from now on, if they tell something.
    fn describe(&mut self, product: ProductId, known: &[Known]) -> Result<Option<Words>, Refusal> {
        let (id, observed) = (self.id, self.observed);
        let words = observed.details.words();
        let told = !words.title.trim().is_empty();
        if known.iter().all(Option::is_none) {
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
        if self.details.platform.sells_variants_alone() || !self.is_whole(product, known) {
            let nothing_known = self.product(product).offers.get(&id).is_none_or(|it| it.shown.is_none());
            return Ok(nothing_known.then_some(words));
        }
        let showing = Showing {
            external: &observed.external,
            details: &observed.details,
            told: &observed.told,
            at: observed.at,
        };
        if self.is_familiar()
            && let Some(changed) = self.product(product).change(id, showing)
        {
            self.ask(product, ProductCommand::Describe(changed))?;
        }
        Ok(Some(words))
    }

    /// Whether the shop's product is all there is of ours there, and nothing of another one of ours.
    fn is_whole(&self, product: ProductId, known: &[Known]) -> bool {
        let parted = |mapping: &Mapping| {
            (mapping.product == product) != (mapping.external_product == self.observed.external)
        };
        known.iter().flatten().all(|(ours, _)| *ours == product)
            && !self.unseen().any(|(_, mapping)| parted(mapping))
    }

    /// Whether some of it was known to be there before; else what it is called is nothing new, but news to us.
    fn is_familiar(&self) -> bool {
        let mut listings = self
            .observed
            .variants
            .iter()
            .map(|it| self.lookup.listing(&ListingId::of(self.id, &it.external)));
        listings.any(|it| it.mapping.as_ref().is_some_and(|it| it.external_product == self.observed.external))
    }

    /// What is listed, of the shop's product or of ours, and not shown now.
    fn unseen(&self) -> impl Iterator<Item = (ListingId, &'s Mapping)> {
        let variants = self.observed.variants.iter();
        let shown: HashSet<ListingId> = variants.map(|it| ListingId::of(self.id, &it.external)).collect();
        let listings = self.listed.iter().filter(move |id| !shown.contains(id));
        listings.filter_map(move |id| {
            let listing = self.lookup.listing(id);
            listing.mapping.as_ref().filter(|_| !listing.removed).map(|mapping| (*id, mapping))
        })
    }

    /// What the shop's product has no more.
    fn drop_missing(&mut self) -> Result<(), Refusal> {
        if !self.observed.complete {
            return Ok(());
        }
        let gone = self.unseen().filter(|(_, it)| it.external_product == self.observed.external);
        let gone: Vec<ListingId> = gone.map(|(id, _)| id).collect();
        for id in gone {
            self.ask_listing(id, ListingCommand::Remove { at: Some(self.observed.at) })?;
        }
        Ok(())
    }

    /// How a listing is known; not at all, where it is mapped anew.
    fn listing(&self, id: &ListingId) -> Option<&'s Listing> {
        (!self.anew.contains(id)).then(|| self.lookup.listing(id))
    }

    fn ask_listing(&mut self, id: ListingId, command: ListingCommand) -> Result<(), Refusal> {
        let begun = Listing::default();
        for event in verdict(&id, self.listing(&id).unwrap_or(&begun), command)? {
            self.changes.push((StreamId::Listing(id), event.into()));
        }
        Ok(())
    }

    fn product(&mut self, id: ProductId) -> &Product {
        self.products.entry(id).or_insert_with(|| self.lookup.product(&id).clone())
    }

    /// Asks a product, and goes on with the answer's effect.
    fn ask(&mut self, id: ProductId, command: ProductCommand) -> Result<(), Refusal> {
        let events = verdict(&id, self.product(id), command)?;
        self.record(events.into_iter().map(|event| (StreamId::Product(id), event.into())).collect());
        Ok(())
    }

    /// Notes what follows, and goes on with its effect on products.
    fn record(&mut self, changes: Changes) {
        for (stream, event) in changes {
            if let (StreamId::Product(id), Event::Product(event)) = (&stream, &event)
                && let Some(product) = self.products.remove(id)
            {
                self.products.insert(*id, product.evolve(event.clone()));
            }
            self.changes.push((stream, event));
        }
    }
}

#[cfg(test)]
mod tests;
