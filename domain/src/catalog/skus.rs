//! The SKUs that a shop has changed: settled all together, before anything else of its variants is taken in.
//!
//! Variants may have exchanged their SKUs, or handed them on: one at a time, each would find its own still taken. And where two
//! of a shop's variants are one of ours, what one of them is called by now says nothing about the other. What comes of it is
//! the same in whatever order the shop tells of them.

use std::collections::{BTreeMap, HashSet};

use super::{Known, Sight};
use crate::{
    Refusal, StreamId,
    aggregate::verdict,
    sku_claim::{SkuClaim, SkuCommand, SkuEvent},
    values::{ExternalId, ListingId, ProductId, Sku, VariantId},
};

/// A variant that is known, under another SKU than the shop was known to show.
struct Renamed<'a> {
    external: &'a ExternalId,
    listing: ListingId,
    product: ProductId,
    variant: VariantId,
    /// What it is called here.
    ours: Sku,
    /// What it was called there.
    before: Option<Sku>,
    /// What it is called there now.
    now: &'a Sku,
}

impl<'a> Sight<'a, '_> {
    /// What a SKU names by now.
    pub(super) fn named(&self, sku: &Sku) -> Known {
        self.claims.get(sku).copied().unwrap_or_else(|| self.lookup.sku(sku).names)
    }

    /// Lets a SKU name our variant, unless it names one.
    pub(super) fn name(&mut self, sku: &Sku, product: ProductId, variant: VariantId) -> Result<(), Refusal> {
        if self.named(sku).is_none() {
            for event in verdict(sku, &SkuClaim::default(), SkuCommand::Assign { product, variant })? {
                self.changes.push((StreamId::Sku(sku.clone()), event.into()));
            }
            self.claims.insert(sku.clone(), Some((product, variant)));
        }
        Ok(())
    }

    /// Lets the SKUs that the shop has changed name what it shows under them, first giving up those that it shows no more.
    ///
    /// One that names a variant which keeps it is asked for again when it is next shown. Where another listing there still shows
    /// what this one did, the variant is that one's, and this one is mapped anew.
    pub(super) fn settle_skus(&mut self) -> Result<(), Refusal> {
        let changed = self.renamed();
        if changed.is_empty() {
            return Ok(());
        }
        let shown = self.shown_skus();
        let mut renamed: BTreeMap<VariantId, Renamed<'a>> = BTreeMap::new();
        let mut wanted: HashSet<&Sku> = HashSet::new();
        for it in changed {
            let still = it.before.clone().filter(|_| *it.now != it.ours);
            let is_kept = still.is_some_and(|before| shown.contains(&(it.variant, before)));
            match renamed.get(&it.variant) {
                _ if is_kept => self.map_anew(&it),
                Some(other) if other.now != it.now => self.map_anew(&it),
                Some(_) => {}
                None if wanted.insert(it.now) => drop(renamed.insert(it.variant, it)),
                None => self.note_taken(&it),
            }
        }
        // What keeps its own SKU, after all, keeps others from having it.
        loop {
            let given_up = |sku: &Sku, by: VariantId| renamed.get(&by).is_some_and(|it| it.ours == *sku);
            let taken = renamed.values().filter(|it| {
                self.lookup.sku(it.now).names.is_some_and(|(_, named)| !given_up(it.now, named))
            });
            let taken: Vec<VariantId> = taken.map(|it| it.variant).collect();
            if taken.is_empty() {
                break;
            }
            for it in taken.iter().filter_map(|variant| renamed.remove(variant)) {
                self.note_taken(&it);
            }
        }
        renamed.retain(|_, it| *it.now != it.ours);
        for it in renamed.values() {
            self.changes.push((StreamId::Sku(it.ours.clone()), SkuEvent::Released {}.into()));
            self.claims.insert(it.ours.clone(), None);
        }
        for it in renamed.values() {
            self.name(it.now, it.product, it.variant)?;
        }
        Ok(())
    }

    /// The variants whose SKUs the shop has changed. First those that are called so here already, then by the shop's id.
    fn renamed(&mut self) -> Vec<Renamed<'a>> {
        let observed = self.observed;
        let mut renamed = vec![];
        for variant in &observed.variants {
            let id = ListingId::of(self.id, &variant.external);
            let listing = self.lookup.listing(&id);
            let known = listing.mapping.as_ref().zip(listing.shown_variant.as_ref());
            let (Some((mapping, shown)), Some(now)) = (known, &variant.sku) else { continue };
            if shown.sku.as_ref() == Some(now) || !self.stands(variant) {
                continue;
            }
            let ours = self.product(mapping.product).variants.get(&mapping.variant);
            let ours = ours.map(|ours| ours.details.sku.clone());
            renamed.extend(ours.map(|ours| Renamed {
                external: &variant.external,
                listing: id,
                product: mapping.product,
                variant: mapping.variant,
                ours,
                before: shown.sku.clone(),
                now,
            }));
        }
        renamed.sort_by_key(|it| (*it.now != it.ours, it.external));
        renamed
    }

    /// Under which SKUs this shop shows our variants by now, as far as is known.
    fn shown_skus(&self) -> HashSet<(VariantId, Sku)> {
        let observed = self.observed;
        let seen = observed.variants.iter().filter(|it| self.stands(it)).filter_map(|it| {
            let listing = self.lookup.listing(&ListingId::of(self.id, &it.external));
            let before = || listing.shown_variant.as_ref().and_then(|shown| shown.sku.as_ref());
            Some((listing.mapping.as_ref()?.variant, it.sku.as_ref().or_else(before)?.clone()))
        });
        let is_gone = |external: &ExternalId| observed.complete && *external == observed.external;
        let others = self.unseen().filter(|(_, mapping)| !is_gone(&mapping.external_product));
        let others = others.filter_map(|(id, mapping)| {
            let shown = self.lookup.listing(&id).shown_variant.as_ref()?;
            Some((mapping.variant, shown.sku.clone()?))
        });
        seen.chain(others).collect()
    }

    fn map_anew(&mut self, it: &Renamed<'_>) {
        self.anew.insert(it.listing);
        self.notes.push(format!(
            "the platform's variant {} has the SKU {} now, and others that were one with it have not: it is mapped anew, \
             and what there is of each is to be counted",
            it.external, it.now
        ));
    }

    fn note_taken(&mut self, it: &Renamed<'_>) {
        self.notes.push(format!(
            "the platform's variant {} has the SKU {} now, which names another variant: it stays {}",
            it.external, it.now, it.ours
        ));
    }
}
