//! What a platform's orders and its figures do to a shelf, in whatever order the news of them come.
//!
//! A platform takes what it sells off its figure by itself. So its figure holds all that its own orders have moved until
//! then, whether or not we have heard of them: what we hear of later is in it already, and what we have heard of
//! before, but happened after it, is not. Both are told by the platform's own clock. Of what others move, its figure knows
//! only once we have said so: what was recorded here after the moment that the last push before it spoke of comes on top, but
//! for what may have been entered there as well.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Figure, Origin, Report, Serving, Stock, StockEvent, decide::brief};
use crate::{
    Refusal,
    values::{ConnectionId, Quantity},
};

/// Moves that are remembered, and as many holds that come and go, so that a count or a figure can be told from what moved after it.
pub(super) const MOVES_MAX: usize = 1_000;

/// What has moved on a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    /// When, by our clock.
    pub(super) at: DateTime<Utc>,
    /// By how much, of what is on hand.
    pub(super) on_hand: i64,
    /// By how much, of what may be sold.
    pub(super) available: i64,
    /// Whose order or whose figure it was, if it was a platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<Origin>,
    /// Units were sold of which nobody has noted when they came to be held: a figure since then is taken to know of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unnoted: bool,
}

impl Move {
    /// Whether units were only set aside or freed.
    fn is_hold(&self) -> bool {
        self.on_hand == 0
    }

    /// Whether a figure has it in it.
    fn is_in(&self, figure: &Figure) -> bool {
        match self.origin.filter(|origin| origin.connection == figure.connection) {
            Some(origin) => origin.at <= figure.at,
            None if self.unnoted => self.at <= figure.at,
            None => self.at <= figure.knows.unwrap_or(figure.at),
        }
    }
}

impl Stock {
    /// By how many units what was counted then has moved since.
    pub(super) fn moved_since_count(&self, counted_at: DateTime<Utc>) -> Result<i64, Refusal> {
        self.remembers(counted_at)?;
        Ok(self.past.moves.iter().filter(|moved| moved.at > counted_at).map(|moved| moved.on_hand).sum())
    }

    fn remembers(&self, since: DateTime<Utc>) -> Result<(), Refusal> {
        if self.past.forgotten.is_some_and(|forgotten| forgotten > since) {
            return Err(Refusal::conflict(
                "count.too_old",
                "too much has moved since that count was made; count again",
            ));
        }
        Ok(())
    }

    /// By how many units what may be sold has moved without a figure's knowing.
    ///
    /// What came to this shelf untold may have been told all the same: an answer was lost, or somebody entered it there as well.
    /// It is not counted twice, nor does it pay for what is held: rather too few than too many.
    fn moved_without(&self, figure: &Figure) -> i64 {
        let told_all = Figure { knows: None, ..*figure };
        let (mut later, mut held, mut moved) = (0_i64, 0_i64, 0_i64);
        for unknown in self.past.moves.iter().filter(|moved| !moved.is_in(figure)) {
            let sum = match unknown.is_in(&told_all) {
                false => &mut later,
                true if unknown.is_hold() => &mut held,
                true => &mut moved,
            };
            *sum += unknown.available;
        }
        later + held.min(0) + moved.min(0)
    }

    /// When holds come and go is said where a figure may come that does not know of it.
    pub(super) fn noted(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (!self.past.figures.is_empty()).then_some(now)
    }

    /// The newest figure of an order's platform, if that has the order in it.
    fn figure_with(&self, origin: &Origin) -> Option<&Figure> {
        let figure = self.past.figures.get(&origin.connection)?;
        let looked_since = self.past.looked_at.is_some_and(|looked| looked >= figure.at);
        (figure.at >= origin.at && !looked_since).then_some(figure)
    }

    /// Whether a figure of then says nothing any more: somebody has counted since, or so much has moved that nobody knows what it
    /// lacks.
    pub(crate) fn is_past(&self, at: DateTime<Utc>, told_until: Option<DateTime<Utc>>) -> bool {
        self.counted_since(at) || self.has_forgotten(at, told_until)
    }

    fn has_forgotten(&self, at: DateTime<Utc>, told_until: Option<DateTime<Utc>>) -> bool {
        self.past.forgotten_holds.is_some_and(|forgotten| forgotten > told_until.unwrap_or(at))
    }

    /// A platform's figure counts, less what has moved without its knowing. It cannot take away what is reserved: what is then
    /// available is nothing.
    pub(super) fn accept(
        &self,
        shown: i64,
        (connection, at): (ConnectionId, DateTime<Utc>),
        told_until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        let occurred_at = at.min(now);
        let counted = Quantity::new(shown.max(0))?.plus(self.reserved)?;
        if self.counted_since(occurred_at) {
            let covered = StockEvent::Covered { report: Report::Count(counted), occurred_at };
            return Ok(if counted == self.on_hand { vec![] } else { vec![covered] });
        }
        // Also what is later than the figure, by our clock: the platform's own may be behind.
        let knows = told_until.filter(|told| *told != at);
        if self.has_forgotten(occurred_at, told_until) {
            // What it does not know of is not known here any more either; the next push puts it right.
            return Ok(vec![]);
        }
        let short = Quantity::new(shown.saturating_neg().max(0)).unwrap_or(Quantity::MAX);
        let figure = Figure { connection, at, short, knows };
        let available = shown.saturating_add(self.moved_without(&figure));
        let on_hand = Quantity::new(available.max(0))?.plus(self.reserved)?;
        if on_hand == self.on_hand && counted == self.on_hand && self.knows_short(&figure) {
            return Ok(vec![]);
        }
        Ok(vec![StockEvent::Counted {
            counted,
            reference: Some(format!("connection:{connection}")),
            occurred_at: Some(occurred_at),
            on_hand: (on_hand != counted).then_some(on_hand),
            figure: Some(figure),
        }])
    }

    /// Whether nobody needs to remember, for the orders it has in it, what was sold there by then and was not there.
    fn knows_short(&self, figure: &Figure) -> bool {
        match self.past.figures.get(&figure.connection) {
            Some(known) => known.at > figure.at || known.short == figure.short,
            None => figure.short.is_zero(),
        }
    }

    /// Whether more was sold on a platform than was there, when it last said so.
    pub(crate) fn is_oversold_on(&self, connection: ConnectionId) -> bool {
        self.past.figures.get(&connection).is_some_and(|known| !known.short.is_zero())
    }

    /// What an order asks for. Where the figure of its platform has that in it, the number here is corrected, so that what is
    /// available stays.
    pub(super) fn serve(&self, asked: &Serving) -> Result<Vec<StockEvent>, Refusal> {
        let Serving { reservation, take, give_back, sell, take_back, origin, ref reference, now } = *asked;
        brief(Some(reference))?;
        let figure = self.figure_with(&origin);
        let corrected = |delta: i64, reason: &str| StockEvent::Adjusted {
            delta,
            reason: reason.to_owned(),
            reference: Some(reference.clone()),
            occurred_at: None,
        };
        let mut events = Vec::new();
        let mut on_hand = self.on_hand;
        let mut held = self.holds.get(&reservation).map_or(Quantity::ZERO, |held| held.quantity);
        if !take.is_zero() {
            // What was sold there and was not there is missing here as well.
            let left_out = figure.map_or(Quantity::ZERO, |figure| take.minus(figure.short));
            if !left_out.is_zero() {
                on_hand = on_hand.plus(left_out)?;
                events.push(corrected(left_out.units(), "the platform's figure had left them out already"));
            }
            let (reservable, ended) = self.free_due(take.minus(left_out), Some(reservation), now);
            events.extend(ended);
            let reservable = left_out.plus(reservable).unwrap_or(Quantity::MAX);
            let quantity = take.min(reservable).min(Quantity::MAX.minus(self.reserved));
            if !quantity.is_zero() {
                held = held.plus(quantity)?;
                let (origin, occurred_at) = (Some(origin), Some(now));
                events.push(StockEvent::Reserved {
                    reservation,
                    quantity,
                    expires_at: None,
                    origin,
                    occurred_at,
                });
            }
        }
        let back = give_back.min(held);
        if !back.is_zero() {
            held = held.minus(back);
            let (origin, occurred_at) = (Some(origin), Some(now));
            events.push(StockEvent::Released { reservation, quantity: back, origin, occurred_at });
            let had = if figure.is_some() { back.min(on_hand) } else { Quantity::ZERO };
            if !had.is_zero() {
                on_hand = on_hand.minus(had);
                events.push(corrected(-had.units(), "the platform's figure had them back already"));
            }
        }
        let quantity = held.min(on_hand);
        if sell && !quantity.is_zero() {
            let (occurred_at, origin) = (Some(now), Some(origin));
            events.push(StockEvent::Committed {
                reservation,
                quantity,
                reference: None,
                occurred_at,
                origin,
            });
        }
        if !take_back.is_zero() {
            events.push(self.taken_back(asked, figure.is_some())?);
        }
        Ok(events)
    }

    fn taken_back(&self, asked: &Serving, counted: bool) -> Result<StockEvent, Refusal> {
        let quantity = asked.take_back;
        if counted {
            return Ok(StockEvent::Covered {
                report: Report::Restock(quantity),
                occurred_at: asked.origin.at.min(asked.now),
            });
        }
        self.on_hand.plus(quantity)?;
        Ok(StockEvent::Restocked {
            quantity,
            reference: Some(asked.reference.clone()),
            occurred_at: Some(asked.now),
            origin: Some(asked.origin),
        })
    }

    /// Remembers what has moved, for as long as a figure or a count may come that does not have it in it.
    pub(super) fn remember(&mut self, moved: Move) {
        if moved.is_hold() && moved.origin.is_some_and(|origin| self.figure_with(&origin).is_some()) {
            return;
        }
        self.add(moved);
    }

    fn add(&mut self, moved: Move) {
        let moves = &mut self.past.moves;
        // A batch shares one moment: what moves together is remembered together.
        let same = |last: &&mut Move| {
            (last.at, last.origin, last.unnoted) == (moved.at, moved.origin, moved.unnoted)
                && last.is_hold() == moved.is_hold()
        };
        if let Some(last) = moves.iter_mut().rev().take(2).find(same) {
            last.on_hand += moved.on_hand;
            last.available += moved.available;
            return;
        }
        // Carts that come and go push nothing out that a count has to know of, nor the other way round.
        let alike = |other: &Move| other.is_hold() == moved.is_hold();
        if moves.len() >= MOVES_MAX
            && moves.iter().filter(|other| alike(other)).count() >= MOVES_MAX
            && let Some(oldest) = moves.iter().position(alike).and_then(|place| moves.remove(place))
        {
            if !oldest.is_hold() {
                self.past.forgotten = self.past.forgotten.max(Some(oldest.at));
            }
            if oldest.available != 0 {
                self.past.forgotten_holds = self.past.forgotten_holds.max(Some(oldest.at));
            }
        }
        moves.push_back(moved);
    }

    /// From a count or a figure on, what it has in it need not be remembered for another. A platform that was not told of the
    /// difference yet does not know of it, even if it has never told a figure: until the next one that is remembered.
    pub(super) fn count_from(
        &mut self,
        at: DateTime<Utc>,
        figure: Option<Figure>,
        (on_hand, available): (i64, i64),
    ) {
        self.past.counted_at = self.past.counted_at.max(Some(at));
        match figure {
            Some(figure) => {
                let newest = self.past.figures.entry(figure.connection).or_insert(figure);
                if figure.at >= newest.at {
                    *newest = figure;
                }
            }
            None => self.past.looked_at = self.past.looked_at.max(Some(at)),
        }
        let origin = figure.map(|figure| Origin { connection: figure.connection, at: figure.at });
        self.add(Move { at, on_hand, available, origin, unnoted: false });
        let (counted_at, figures) = (self.past.counted_at, &self.past.figures);
        self.past.moves.retain(|moved| {
            Some(moved.at) >= counted_at || figures.values().any(|figure| !moved.is_in(figure))
        });
    }
}

#[cfg(test)]
mod tests;
