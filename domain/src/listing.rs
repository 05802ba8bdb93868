//! Listings: a variant as it stands on a connection, and what the platform is believed to show.

mod command;
mod event;

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use self::{
    command::ListingCommand,
    event::{Conflict, Figure, FigureKind, ListingEvent, Mapping, Resolution, Sent, ShownVariant},
};
use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ListingId, Money},
};

/// Pushes whose echo is still awaited; beyond it the oldest is forgotten.
const AWAITED_MAX: usize = 32;
/// Moments up to which a platform was told what has moved; beyond it the oldest is forgotten.
const TOLD_MAX: usize = 8;
/// Earlier prices of ours whose late news are taken for echoes; beyond it the oldest is forgotten.
const AWAITED_PRICES_MAX: usize = 4;
/// Figures that were sent and not answered; beyond it the oldest is forgotten.
const UNANSWERED_MAX: usize = 16;
/// For so long a figure that was sent and not answered may still come to be shown. Then it is anybody's.
const UNANSWERED_FOR: TimeDelta = TimeDelta::hours(1);

/// What the platform is believed to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown<T> {
    /// The value, if anything is known.
    pub value: Option<T>,
    /// The ledger position of the newest push that was taken.
    pub as_of: i64,
    /// The time of the newest observation.
    pub observed_at: Option<DateTime<Utc>>,
}

impl<T> Default for Shown<T> {
    fn default() -> Self {
        Self { value: None, as_of: 0, observed_at: None }
    }
}

impl<T> Shown<T> {
    /// Whether something newer was observed than what was shown at a time.
    fn is_stale(&self, at: DateTime<Utc>) -> bool {
        self.observed_at.is_some_and(|known| at < known)
    }
}

/// That a platform was told what has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// Until when what has moved was in it, by our clock.
    until: DateTime<Utc>,
    /// What it shows from then on has that in it.
    since: DateTime<Utc>,
    /// That is by its own clock, and goes for what it shows at that very moment: some tell whole seconds, and what comes behind an echo
    /// was most likely made behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    heard: bool,
}

impl Told {
    fn is_in(&self, at: DateTime<Utc>) -> bool {
        self.since < at || (self.heard && self.since == at)
    }
}

/// A listing as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// None before it was recognised.
    pub mapping: Option<Mapping>,
    /// True once the platform no longer offers it, or somebody has taken it away here.
    pub removed: bool,
    /// Since when, where the platform said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<DateTime<Utc>>,
    /// True if it is gone because we have taken it off there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_off: bool,
    /// How the variant is known to be told from others there; none if that was not seen yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_variant: Option<ShownVariant>,
    /// The quantity shown.
    pub quantity: Shown<i64>,
    /// The last quantity of ours that may have been taken was none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emptied: bool,
    /// The price shown.
    pub price: Shown<Money>,
    /// What it was told of what has moved, the newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    told: VecDeque<Told>,
    /// A quantity in question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity_conflict: Option<Conflict>,
    /// A price in question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_conflict: Option<Conflict>,
    /// Quantities we pushed and have not heard of again.
    awaited: VecDeque<i64>,
    /// Quantities we pushed that were heard of at the time of the newest observation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heard: Vec<i64>,
    /// Prices we pushed before the one that is believed to be shown, the newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    awaited_prices: VecDeque<Money>,
    /// When it had taken our last price, by our clock; none once something newer was seen of it, whose clock counts from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price_taken_at: Option<DateTime<Utc>>,
    /// The price that is believed to be shown was set there, and is none of ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    price_is_theirs: bool,
    /// Figures that were sent and not answered, each once, the newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    unanswered: VecDeque<Sent>,
}

impl Listing {
    fn decide(&self, command: ListingCommand) -> Result<Vec<ListingEvent>, Refusal> {
        match command {
            ListingCommand::Map(mapping) if !self.removed && self.mapping.as_ref() == Some(&mapping) => {
                Ok(vec![])
            }
            ListingCommand::Map(mapping) => Ok(vec![ListingEvent::Mapped(mapping)]),
            ListingCommand::Remove { at } if self.listed().is_some() => {
                Ok(vec![ListingEvent::Removed { at, taken_off: false }])
            }
            ListingCommand::TakeOff { at } if self.listed().is_some() => {
                Ok(vec![ListingEvent::Removed { at: Some(at), taken_off: true }])
            }
            ListingCommand::Remove { .. } | ListingCommand::TakeOff { .. } => Ok(vec![]),
            ListingCommand::NoteSent(sent) => {
                // One entry for each attempt at a platform that is down would be many.
                let mut known = self.unanswered.iter().filter(|known| known.figure == sent.figure);
                let noted = !sent.lost && known.any(|known| sent.at < known.at + UNANSWERED_FOR / 2);
                Ok(if noted { vec![] } else { vec![ListingEvent::FigureSent(sent)] })
            }
            ListingCommand::ObserveQuantity { quantity, owed, at, told, now } => {
                Ok(self.observe_quantity(quantity, owed, (at, told), now))
            }
            ListingCommand::ObservePrice { price, at, told } => Ok(self.observe_price(price, (at, told))),
            ListingCommand::ObserveVariant(shown) => {
                let known = self.shown_variant.as_ref() == Some(&shown);
                Ok(if known { vec![] } else { vec![ListingEvent::VariantObserved(shown)] })
            }
            ListingCommand::NoteDrift { shows, at } => {
                // What was pushed since we looked has changed what is believed.
                let believed = match shows {
                    Figure::Quantity { quantity } => self.quantity.value == Some(quantity),
                    Figure::Price { price } => self.price.value == Some(price),
                };
                Ok(if believed { vec![ListingEvent::Drifted { shows, at }] } else { vec![] })
            }
            ListingCommand::OpenConflict(conflict) => Ok(self.open_conflict(conflict)),
            ListingCommand::ResolveConflict { kind, resolution } => {
                self.conflict(kind)?;
                Ok(vec![ListingEvent::ConflictResolved { kind, resolution }])
            }
        }
    }

    fn open_conflict(&self, conflict: Conflict) -> Vec<ListingEvent> {
        let known = self.conflict(conflict.shows.kind());
        let same = known.is_ok_and(|known| known.shows == conflict.shows);
        if same || self.mapping.is_none() { vec![] } else { vec![ListingEvent::ConflictOpened(conflict)] }
    }

    /// The figure of this kind that is in question.
    pub fn conflict(&self, kind: FigureKind) -> Result<&Conflict, Refusal> {
        let conflict = match kind {
            FigureKind::Quantity => self.quantity_conflict.as_ref(),
            FigureKind::Price => self.price_conflict.as_ref(),
        };
        conflict.ok_or_else(|| {
            Refusal::missing("conflict.unknown", "no figure of this kind is in question on this listing")
        })
    }

    /// What it is, unless it is gone.
    pub fn listed(&self) -> Option<&Mapping> {
        self.mapping.as_ref().filter(|_| !self.removed)
    }

    /// Whether a figure that is shown is one of ours whose answer never came, and that nothing else explains.
    pub fn was_sent(&self, figure: Figure, at: DateTime<Utc>) -> bool {
        let explained = match figure {
            Figure::Quantity { quantity } => self.awaited.contains(&quantity),
            Figure::Price { price } => self.awaited_prices.contains(&price),
        };
        let mut sent = self.unanswered.iter().filter(|sent| sent.figure == figure);
        !explained && sent.any(|sent| at < sent.at + UNANSWERED_FOR)
    }

    /// When a figure of this kind was last sent without any answer.
    pub fn lost_at(&self, kind: FigureKind) -> Option<DateTime<Utc>> {
        self.unanswered
            .iter()
            .filter(|sent| sent.lost && sent.figure.kind() == kind)
            .map(|sent| sent.at)
            .max()
    }

    /// Until when it was told what has moved, by our clock, when it showed something at a time; none if that is not known.
    pub fn told_before(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.told.iter().rev().find(|told| told.is_in(at)).map(|told| told.until)
    }

    fn note_told(&mut self, until: Option<DateTime<Utc>>, (since, heard): (Option<DateTime<Utc>>, bool)) {
        let Some(until) = until else { return };
        let newer = self.told.back().is_none_or(|last| last.until < until);
        self.told.extend(newer.then_some(Told { until, since: since.unwrap_or(until), heard }));
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// Whether a quantity is one of ours coming back, or the one it is believed to show: nobody over there has made it so.
    pub(crate) fn is_known(&self, quantity: i64, (at, told): (DateTime<Utc>, bool)) -> bool {
        // What was sent may also be what we see ourselves.
        let believed = self.quantity.value == Some(quantity);
        self.was_sent(Figure::Quantity { quantity }, at) || (told && (believed || self.is_ours(quantity, at)))
    }

    /// Whether a quantity that is told is one that we pushed: not heard of yet, or heard of at this very moment. Some tell whole
    /// seconds, tell things twice, and in any order.
    fn is_ours(&self, quantity: i64, at: DateTime<Utc>) -> bool {
        self.awaited.contains(&quantity)
            || (self.quantity.observed_at == Some(at) && self.heard.contains(&quantity))
    }

    fn observe_quantity(
        &self,
        quantity: i64,
        owed: Option<i64>,
        (at, told): (DateTime<Utc>, bool),
        now: DateTime<Utc>,
    ) -> Vec<ListingEvent> {
        let ours = told && self.is_ours(quantity, at);
        let stale = self.quantity.is_stale(at);
        let believed = self.quantity.value == Some(quantity);
        let sent = self.was_sent(Figure::Quantity { quantity }, at);
        let (known, is_owed) = (self.is_known(quantity, (at, told)), owed == Some(quantity));
        // What is later than the echo of our last push is later than the push, whatever clock they go by over there.
        let heard = self.quantity.value.is_some_and(|value| !self.awaited.contains(&value))
            && self.quantity.observed_at.is_some_and(|known| at > known);
        // Late news may by chance be what is owed by now, and not be shown any more since our last push was taken.
        let behind = told
            && !heard
            && !self.is_last_echo(quantity)
            && self.told.back().is_some_and(|last| at <= last.since);
        if (stale && !ours) || (behind && is_owed && !known) {
            return vec![];
        }
        let echo = known || is_owed;
        let until = (is_owed && !behind && !stale).then_some(now);
        let mut events = vec![ListingEvent::QuantityObserved { quantity, at, echo, until }];
        // It may have been applied behind what was taken since, and then nothing else would put it right.
        if sent && !believed && owed.is_some_and(|owed| owed != quantity) {
            events.push(ListingEvent::Drifted { shows: Figure::Quantity { quantity }, at });
        }
        events
    }

    /// Whether a figure is the last one that was pushed, which has not come back yet.
    fn is_last_echo(&self, quantity: i64) -> bool {
        self.awaited.back() == Some(&quantity) && self.quantity.value == Some(quantity)
    }

    fn observe_price(&self, price: Money, (at, told): (DateTime<Utc>, bool)) -> Vec<ListingEvent> {
        let unheard = self.price_taken_at.filter(|_| told);
        // An earlier price of ours, told late, is no news; since our last one has come back, what is later is somebody's.
        let late = unheard.is_some() || self.price.observed_at.is_none_or(|known| at <= known);
        let ours = told && late && self.awaited_prices.contains(&price);
        let echo = self.price.value == Some(price);
        // Platforms repeat the price with every change of anything else. The first time tells when our push was taken, by
        // their own clock.
        let known = echo && unheard.is_none();
        if ours || known || self.price.is_stale(at) {
            return vec![];
        }
        vec![ListingEvent::PriceObserved { price, at, echo }]
    }

    /// Whether a price that is told is, as far as the clocks say, from before our last push was taken. It may be shown all the same,
    /// for their clocks need not be ours: it is put right, and never counts.
    pub(crate) fn is_behind(&self, price: Money, (at, told): (DateTime<Utc>, bool)) -> bool {
        // What was sent and not answered may have been applied behind what was taken.
        told && self.price.value != Some(price)
            && self.price_taken_at.is_some_and(|taken| at <= taken)
            && !self.was_sent(Figure::Price { price }, at)
    }

    /// Whether a price is what it shows since it took one of ours: whatever it shows next is later than that price, also if its
    /// clock is behind.
    pub(crate) fn has_taken(&self, price: Money) -> bool {
        self.price.as_of > 0 && self.price.value == Some(price)
    }

    fn take_price(&mut self, price: Money, as_of: i64, at: Option<DateTime<Utc>>) {
        if as_of < self.price.as_of {
            return;
        }
        let ours = self.price.as_of > 0 && !self.price_is_theirs;
        let before = self.price.value.filter(|before| ours && *before != price);
        self.awaited_prices.retain(|awaited| *awaited != price);
        self.awaited_prices.extend(before);
        if self.awaited_prices.len() > AWAITED_PRICES_MAX {
            self.awaited_prices.pop_front();
        }
        // Shown already: its echo was quicker than its answer, and need not come again.
        if self.price.value != Some(price) {
            self.price_taken_at = at;
        }
        self.price.value = Some(price);
        self.price.as_of = as_of;
        self.price_is_theirs = false;
    }

    fn conflict_mut(&mut self, kind: FigureKind) -> &mut Option<Conflict> {
        match kind {
            FigureKind::Quantity => &mut self.quantity_conflict,
            FigureKind::Price => &mut self.price_conflict,
        }
    }

    /// What is in question is what is shown now, whatever became of the sight otherwise: nobody is to judge what was shown
    /// once.
    fn follow(&mut self, shows: Figure, at: DateTime<Utc>) {
        if let Some(conflict) = self.conflict_mut(shows.kind())
            && conflict.shows != shows
            && conflict.at <= at
        {
            *conflict = Conflict { shows, at };
        }
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: ListingEvent) -> Self {
        match event {
            ListingEvent::Mapped(mapping) => {
                // What another variant was seen with says nothing about this one.
                if self.mapping.as_ref().is_some_and(|old| old.variant != mapping.variant) {
                    self = Self::default();
                }
                // Nor does what was shown or said at one place of another.
                if self.mapping.as_ref().is_some_and(|old| !old.is_at_place_of(&mapping)) {
                    let Self { shown_variant, removed_at, .. } = self;
                    self = Self { shown_variant, removed_at, ..Self::default() };
                }
                // While it was gone nobody looked what became of its figures there.
                if self.removed {
                    (self.quantity.value, self.price.value, self.emptied) = (None, None, false);
                }
                self.mapping = Some(mapping);
                (self.removed, self.taken_off) = (false, false);
            }
            ListingEvent::Removed { at, taken_off } => {
                (self.removed, self.taken_off) = (true, taken_off);
                self.removed_at = at;
                (self.quantity_conflict, self.price_conflict) = (None, None);
            }
            ListingEvent::QuantityPushed { quantity, as_of, until, at } => {
                // Already heard of: its echo was quicker than its answer, and will not come again.
                let heard = self.quantity.value == Some(quantity);
                // An answer for an older position says nothing about a newer one.
                if as_of >= self.quantity.as_of {
                    self.quantity.value = Some(quantity);
                    self.quantity.as_of = as_of;
                    self.emptied = quantity == 0;
                    self.note_told(until, (at, false));
                }
                // What went before it unanswered may be heard of behind it: then it is not what is shown.
                for sent in &self.unanswered {
                    if let Figure::Quantity { quantity: before } = sent.figure
                        && before != quantity
                        && !self.awaited.contains(&before)
                    {
                        self.awaited.push_back(before);
                    }
                }
                if !heard {
                    self.awaited.push_back(quantity);
                }
                let beyond = self.awaited.len().saturating_sub(AWAITED_MAX);
                self.awaited.drain(..beyond);
            }
            ListingEvent::FigureSent(sent) => {
                self.emptied &= !matches!(sent.figure, Figure::Quantity { quantity: 1.. });
                let is_over = |known: &Sent| known.at + UNANSWERED_FOR <= sent.at;
                self.unanswered.retain(|known| known.figure != sent.figure && !is_over(known));
                self.unanswered.push_back(sent);
                if self.unanswered.len() > UNANSWERED_MAX {
                    self.unanswered.pop_front();
                }
            }
            ListingEvent::PricePushed { price, as_of, at } => self.take_price(price, as_of, at),
            ListingEvent::QuantityObserved { quantity, at, echo, until } => {
                // Our last push has come back, so when it was taken is known by the platform's own clock.
                if echo
                    && self.is_last_echo(quantity)
                    && let Some(last) = self.told.back_mut().filter(|last| at <= last.since)
                {
                    (last.since, last.heard) = (at, true);
                }
                self.note_told(until, (Some(at), true));
                let again = self.is_ours(quantity, at);
                if self.quantity.observed_at < Some(at) {
                    self.heard.clear();
                }
                match self.awaited.iter().position(|awaited| *awaited == quantity) {
                    // Perhaps an older push than the last one: what is shown now is not told by it. Those before it
                    // were either heard out of turn, or are told at the same moment, or never will be; a later change to one of
                    // them is foreign.
                    Some(place) => self.heard.extend(self.awaited.drain(..=place)),
                    None if again => {}
                    None => self.quantity.value = Some(quantity),
                }
                let beyond = self.heard.len().saturating_sub(AWAITED_MAX);
                self.heard.drain(..beyond);
                if !echo {
                    self.quantity.value = Some(quantity);
                    self.awaited.clear();
                }
                // Late news of an earlier push are not what is shown.
                if self.quantity.value == Some(quantity) {
                    self.follow(Figure::Quantity { quantity }, at);
                }
                self.quantity.observed_at = self.quantity.observed_at.max(Some(at));
            }
            ListingEvent::PriceObserved { price, at, echo } => {
                self.price.value = Some(price);
                // News from before our push say nothing of when it was taken.
                self.price_taken_at = self.price_taken_at.filter(|taken| !echo && at <= *taken);
                self.price_is_theirs = !echo;
                if !echo {
                    self.awaited_prices.clear();
                }
                self.follow(Figure::Price { price }, at);
                self.price.observed_at = self.price.observed_at.max(Some(at));
            }
            ListingEvent::VariantObserved(shown) => self.shown_variant = Some(shown),
            ListingEvent::ConflictOpened(conflict) => {
                *self.conflict_mut(conflict.shows.kind()) = Some(conflict)
            }
            ListingEvent::ConflictResolved { kind, .. } => *self.conflict_mut(kind) = None,
            // One of the attempts may have got through: what is shown is not known any more.
            ListingEvent::PushFailed { kind, .. } if kind == "price" => self.price.value = None,
            ListingEvent::PushFailed { .. } => (self.quantity.value, self.emptied) = (None, false),
            ListingEvent::Drifted { .. } => {}
        }
        self
    }
}

aggregate!(Listing, ListingId, ListingEvent, ListingCommand, Refusal);

#[cfg(test)]
mod tests;
