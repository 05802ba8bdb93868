//! Orders among the facts: whose lines are which shelves, and whose units stay where they are for now.

use chrono::{DateTime, Utc};
use onhand_domain::{
    Event, Refusal,
    flag::FlagName,
    order::{self, Heard, News, Order, OrderEvent, ToldLine},
    stream::Lookup,
    values::{ExternalId, ListingId, OrderId, Quantity, StockId, VariantId},
};

use super::{super::steps::ToldOrder, Effects, Tally};
use crate::platforms::{SoldLine, adapter_of};

impl Effects {
    /// An order: each line finds its shelf by the platform's variant or by SKU. Told again, it finds the lines that nobody
    /// knew before, and follows what has become of the others.
    pub(super) fn order(
        &self,
        told: &ToldOrder,
        (lookup, now): (&Lookup<'_>, DateTime<Utc>),
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let ToldOrder { external, lines, paid, waits, moved_at, told_at } = told;
        let (state, reopens) = (self.known(external, lookup), self.reopens_orders());
        // Where nothing is taken up again, what has its units goes on as it did: given up, it would be so for good.
        if *waits && self.figures_count(lookup) && (reopens || !has_units(state)) {
            let note =
                "it holds nothing until the shop, whose figures count here, has taken its units off them";
            tally.notes.push(note.to_owned());
            if has_units(state) && state.told_at.is_none_or(|known| known < *told_at) {
                self.give_up(external, *told_at, (lookup, now), tally)?;
            }
            return Ok(());
        }
        let flag = FlagName::FeatureOrdersMoveStock;
        if !lookup.flag(&flag).is_on(flag) {
            tally.notes.push(format!("{flag} is off; the order moves no stock"));
            return Ok(());
        }
        let location = self.details(lookup).map(|details| details.location.clone()).unwrap_or_default();
        let shelf = |variant| StockId { variant, location: location.clone() };
        // A tip or a gift wrap is of no variant, and nobody ever has to say which.
        let told = lines.iter().map(|line| match line_name(line) {
            Some(name) => {
                ToldLine { name, stock: self.variant_of(line, lookup).map(shelf), quantity: line.quantity }
            }
            None => ToldLine { name: String::new(), stock: None, quantity: Quantity::ZERO },
        });
        let told: Vec<_> = told.collect();
        let sealed = self.persons.buyers.get(external);
        let news = News {
            connection: self.connection,
            external_id: external,
            lines: &told,
            paid: *paid,
            buyer: sealed.map(|sealed| sealed.buyer.clone()),
            moved_at: *moved_at,
            told_at: *told_at,
            reopens,
            now,
        };
        let Heard { changes, notes, unknown } = order::hear(&news, state, |id| lookup.stock(id))?;
        tally.unmapped += unknown.len();
        tally.notes.extend(unknown.iter().map(|name| format!("nothing here is {name}")));
        if changes.is_empty() && notes.is_empty() {
            tally.notes.push("the order is known already".to_owned());
        }
        let names_buyer =
            |event: &Event| matches!(event, Event::Order(OrderEvent::Placed { buyer: Some(_), .. }));
        if changes.iter().any(|(_, event)| names_buyer(event)) {
            tally.person_keys.extend(sealed.map(|sealed| sealed.key.clone()));
        }
        tally.notes.extend(notes);
        tally.changes.extend(changes);
        Ok(())
    }

    /// An order that is over; `failed`, for want of a payment.
    pub(super) fn cancel(
        &self,
        external: &ExternalId,
        (at, failed): (DateTime<Utc>, bool),
        (lookup, now): (&Lookup<'_>, DateTime<Utc>),
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let state = self.known(external, lookup);
        if failed && state.paid && !state.cancelled {
            tally.notes.push("a payment has failed, and the order is paid".to_owned());
        } else if failed && has_units(state) && self.figures_count(lookup) {
            // It was on hold, and the shop leaves what is on hold out of its figures until it is cancelled.
            tally.notes.push("the shop keeps its units until it is cancelled".to_owned());
        } else {
            self.give_up(external, at, (lookup, now), tally)?;
        }
        Ok(())
    }

    /// Lets go what an order has, if it has something.
    fn give_up(
        &self,
        external: &ExternalId,
        at: DateTime<Utc>,
        (lookup, now): (&Lookup<'_>, DateTime<Utc>),
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let order = (self.known(external, lookup), self.reopens_orders());
        let heard = order::cancel((self.connection, external), order, (at, now), |id| lookup.stock(id))?;
        tally.notes.extend(heard.notes);
        tally.changes.extend(heard.changes);
        Ok(())
    }

    fn known<'s>(&self, external: &ExternalId, lookup: &Lookup<'s>) -> &'s Order {
        lookup.order(&OrderId::of(self.connection, external))
    }

    fn reopens_orders(&self) -> bool {
        adapter_of(self.platform).reopens_orders()
    }

    /// Whether a shop's own figures change the ledger. What they have in them still must not be taken off here: it would be
    /// taken off twice once the order is paid, and stay off if it never is.
    fn figures_count(&self, lookup: &Lookup<'_>) -> bool {
        lookup.connection(&self.connection).rules.accept_inventory
    }

    fn variant_of(&self, line: &SoldLine, lookup: &Lookup<'_>) -> Option<VariantId> {
        let listed = line.external_variant.as_ref().and_then(|external| {
            let listing = lookup.listing(&ListingId::of(self.connection, external));
            listing.mapping.as_ref().map(|mapping| mapping.variant)
        });
        listed.or_else(|| self.variant_named(line.sku.as_ref()?, lookup))
    }
}

/// Whether an order has taken units off the shelves, as far as there were any.
fn has_units(order: &Order) -> bool {
    order.lines.is_some() && !order.cancelled
}

/// What a line is called in history; none for what has neither variant nor SKU. Its title is the buyer's to write as well, and
/// stands in the body only.
fn line_name(line: &SoldLine) -> Option<String> {
    match (&line.sku, &line.external_variant) {
        (Some(sku), _) => Some(sku.to_string()),
        (None, Some(variant)) => Some(format!("variant {variant}")),
        (None, None) => None,
    }
}
