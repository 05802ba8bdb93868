//! The rules of a shelf: which events a command leads to, or why not.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Hold, Lapsed, Policy, Report, Stock, StockCommand, StockEvent};
use crate::{
    Refusal,
    values::{Quantity, ReservationId},
};

/// How far ahead of ours another clock may be.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

impl Stock {
    /// What a command leads to: events, or the reason why not.
    pub fn decide(&self, command: StockCommand) -> Result<Vec<StockEvent>, Refusal> {
        let mut events = self.answer(command)?;
        events.extend(self.alert(&events));
        Ok(events)
    }

    fn answer(&self, command: StockCommand) -> Result<Vec<StockEvent>, Refusal> {
        match command {
            StockCommand::Restock { quantity, reference, occurred_at } => {
                self.restock(quantity, reference, occurred_at)
            }
            StockCommand::Adjust { delta, reason, reference, occurred_at } => {
                self.adjust(delta, reason, reference, occurred_at)
            }
            StockCommand::Count { counted, reference, occurred_at } => {
                self.count(counted, reference, occurred_at)
            }
            StockCommand::Reserve { reservation, quantity, expires_at, now } => {
                self.reserve(reservation, quantity, expires_at, now)
            }
            StockCommand::Accept { shown, connection, at, told_until, now } => {
                self.accept(shown, (connection, at), told_until, now)
            }
            StockCommand::Serve(serving) => self.serve(&serving),
            StockCommand::Extend { reservation, expires_at, payment } => {
                self.give_time(reservation, expires_at, payment)
            }
            StockCommand::Commit { reservation, quantity, reference, now } => {
                self.commit(reservation, quantity, reference, now)
            }
            StockCommand::OweRefund { reservation, quantity } => Ok(self.owe_refund(reservation, quantity)),
            StockCommand::Waive { reservation } => Ok(match self.lapsed(&reservation) {
                Some(_) => vec![StockEvent::Waived { reservation }],
                None => vec![],
            }),
            StockCommand::Release { reservation, quantity, now } => {
                let held = self.holds.get(&reservation).ok_or_else(|| ended(reservation))?;
                let quantity = part_of(held.quantity, quantity, reservation)?;
                // Where it was noted that it came, it is noted that it goes.
                let occurred_at = self.noted(now).or(held.noted.then_some(now));
                Ok(vec![StockEvent::Released { reservation, quantity, origin: None, occurred_at }])
            }
            StockCommand::Expire { now, limit } => Ok(self.overdue(now).take(limit).collect()),
            StockCommand::TransferOut { quantity, to, reference, now } => {
                at_least_one(quantity)?;
                brief(reference.as_deref())?;
                if quantity > self.available() {
                    return Err(insufficient(quantity, self.available()));
                }
                Ok(vec![StockEvent::TransferredOut { quantity, to, reference, occurred_at: Some(now) }])
            }
            StockCommand::TransferIn { quantity, from, reference, now } => {
                at_least_one(quantity)?;
                self.on_hand.plus(quantity)?;
                Ok(vec![StockEvent::TransferredIn { quantity, from, reference, occurred_at: Some(now) }])
            }
            StockCommand::SetPolicy(policy) => self.set_policy(policy),
        }
    }

    fn restock(
        &self,
        quantity: Quantity,
        reference: Option<String>,
        occurred_at: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        at_least_one(quantity)?;
        brief(reference.as_deref())?;
        if self.counted_since(occurred_at) {
            return Ok(vec![StockEvent::Covered { report: Report::Restock(quantity), occurred_at }]);
        }
        self.on_hand.plus(quantity)?;
        let occurred_at = Some(occurred_at);
        Ok(vec![StockEvent::Restocked { quantity, reference, occurred_at, origin: None }])
    }

    fn adjust(
        &self,
        delta: i64,
        reason: String,
        reference: Option<String>,
        occurred_at: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        if delta == 0 {
            return Err(Refusal::invalid("stock.no_change", "an adjustment by 0 changes nothing"));
        }
        brief(Some(&reason))?;
        brief(reference.as_deref())?;
        if self.counted_since(occurred_at) {
            return Ok(vec![StockEvent::Covered { report: Report::Adjustment(delta), occurred_at }]);
        }
        let left = self.on_hand.units().saturating_add(delta);
        if left < 0 {
            return Err(Refusal::conflict(
                "stock.insufficient",
                format!("{} are on hand; {} cannot be taken away", self.on_hand, delta.unsigned_abs()),
            ));
        }
        self.covers_reserved(Quantity::new(left)?)?;
        Ok(vec![StockEvent::Adjusted { delta, reason, reference, occurred_at: Some(occurred_at) }])
    }

    /// A count says what was there when it was made; what has moved since comes on top.
    fn count(
        &self,
        counted: Quantity,
        reference: Option<String>,
        occurred_at: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        brief(reference.as_deref())?;
        if self.counted_since(occurred_at) {
            return Ok(vec![StockEvent::Covered { report: Report::Count(counted), occurred_at }]);
        }
        let since = self.moved_since_count(occurred_at)?;
        let on_hand = counted.units() + since;
        if on_hand < 0 {
            return Err(Refusal::conflict(
                "count.contradicted",
                format!("{counted} were counted, but {} have left since; count again", -since),
            ));
        }
        let on_hand = Quantity::new(on_hand)?;
        self.covers_reserved(on_hand)?;
        let on_hand = (on_hand != counted).then_some(on_hand);
        let occurred_at = Some(occurred_at);
        Ok(vec![StockEvent::Counted { counted, reference, occurred_at, on_hand, figure: None }])
    }

    pub(super) fn counted_since(&self, occurred_at: DateTime<Utc>) -> bool {
        self.past.counted_at.is_some_and(|counted| counted > occurred_at)
    }

    fn covers_reserved(&self, on_hand: Quantity) -> Result<(), Refusal> {
        if on_hand.plus(self.policy.backorder_limit).unwrap_or(Quantity::MAX) < self.reserved {
            return Err(Refusal::conflict(
                "stock.reserved",
                format!(
                    "{} are reserved; release reservations before going down to {on_hand}",
                    self.reserved
                ),
            ));
        }
        Ok(())
    }

    fn reserve(
        &self,
        reservation: ReservationId,
        quantity: Quantity,
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        at_least_one(quantity)?;
        let held = self.holds.get(&reservation);
        // Whoever asks again does not lose time by it; what has no end gets none.
        let expires_at = match (held, expires_at) {
            (Some(held), Some(asked)) => held.expires_at.map(|due| due.max(asked)),
            (_, asked) => asked,
        };
        let before = held.map_or(Quantity::ZERO, |held| held.quantity);
        if before > quantity {
            let quantity = before.minus(quantity);
            let occurred_at = self.noted(now).or(held.filter(|held| held.noted).map(|_| now));
            let back = StockEvent::Released { reservation, quantity, origin: None, occurred_at };
            let more = extended(reservation, held, expires_at);
            return Ok([Some(back), more].into_iter().flatten().collect());
        }
        if before == quantity {
            // A caller repeats itself when our answer is lost; the second ask is not a second hold.
            return Ok(extended(reservation, held, expires_at).into_iter().collect());
        }
        let wanted = quantity.minus(before);
        self.reserved.plus(wanted)?;
        let (reservable, mut events) = self.free_due(wanted, Some(reservation), now);
        if wanted > reservable {
            return Err(insufficient(quantity, before.plus(reservable)?));
        }
        let (quantity, occurred_at) = (wanted, self.noted(now));
        events.push(StockEvent::Reserved { reservation, quantity, expires_at, origin: None, occurred_at });
        Ok(events)
    }

    /// What a buyer can have here at `now`: what is available, what is due, and what is held for him already;
    /// and how much that is with what may be promised before it is there.
    pub fn obtainable(&self, reservation: &ReservationId, now: DateTime<Utc>) -> (Quantity, Quantity) {
        let own = self.holds.get(reservation).map_or(Quantity::ZERO, |held| held.quantity);
        let due = self.overdue(now).filter_map(|event| match event {
            StockEvent::Expired { reservation: late, quantity, .. } if late != *reservation => {
                Some(quantity.units())
            }
            _ => None,
        });
        let promised = self.reservable_units() + own.units() + due.sum::<i64>();
        let there = promised - self.policy.backorder_limit.units();
        let units = |units: i64| Quantity::new(units.max(0)).unwrap_or(Quantity::MAX);
        (units(there), units(promised))
    }

    /// What is reservable at `now`, and the ends of holds that are due by then: as many as it takes to have
    /// `wanted`, the longest overdue first. What is due is free, whether or not anybody has come round to say so;
    /// only the buyer who asks does not lose his own hold by asking.
    pub(super) fn free_due(
        &self,
        wanted: Quantity,
        own: Option<ReservationId>,
        now: DateTime<Utc>,
    ) -> (Quantity, Vec<StockEvent>) {
        let free = |units: i64| Quantity::new(units.max(0)).unwrap_or(Quantity::MAX);
        let mut reservable = self.reservable_units();
        let mut events = Vec::new();
        for event in self.overdue(now) {
            if reservable >= wanted.units() {
                break;
            }
            if let StockEvent::Expired { reservation, quantity, .. } = &event
                && Some(*reservation) != own
            {
                reservable += quantity.units();
                events.push(event);
            }
        }
        (free(reservable), events)
    }

    /// The ends of all holds that are due, the longest overdue first.
    fn overdue(&self, now: DateTime<Utc>) -> impl Iterator<Item = StockEvent> {
        self.due.iter().take_while(move |(due, _)| *due <= now).filter_map(move |(_, reservation)| {
            let held = self.holds.get(reservation)?;
            let occurred_at = self.noted(now).or(held.noted.then_some(now));
            let (reservation, quantity) = (*reservation, held.quantity);
            Some(StockEvent::Expired { reservation, quantity, occurred_at })
        })
    }

    fn give_time(
        &self,
        reservation: ReservationId,
        expires_at: DateTime<Utc>,
        payment: bool,
    ) -> Result<Vec<StockEvent>, Refusal> {
        let held = self.holds.get(&reservation).ok_or_else(|| ended(reservation))?;
        Ok(match held.expires_at {
            // It ends when it is committed or cancelled, not before.
            None => vec![],
            Some(_) if payment && held.payment => vec![],
            Some(due) if payment => {
                vec![StockEvent::Extended { reservation, expires_at: due.max(expires_at), payment }]
            }
            Some(due) if due >= expires_at => vec![],
            Some(_) => vec![StockEvent::Extended { reservation, expires_at, payment }],
        })
    }

    fn commit(
        &self,
        reservation: ReservationId,
        quantity: Option<Quantity>,
        reference: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        brief(reference.as_deref())?;
        if reference.as_ref().is_some_and(|reference| self.is_committed(&reservation, reference)) {
            return Ok(vec![]);
        }
        let Some(held) = self.holds.get(&reservation) else {
            return self.commit_late(reservation, quantity, reference, now);
        };
        let quantity = part_of(held.quantity, quantity, reservation)?;
        self.is_there(quantity)?;
        let occurred_at = Some(now);
        Ok(vec![StockEvent::Committed { reservation, quantity, reference, occurred_at, origin: None }])
    }

    fn is_there(&self, quantity: Quantity) -> Result<(), Refusal> {
        if quantity > self.on_hand {
            return Err(Refusal::conflict(
                "stock.not_on_hand",
                format!("{quantity} were promised, but only {} are on hand yet; restock first", self.on_hand),
            ));
        }
        Ok(())
    }

    /// The buyer has paid, but the hold has run out: the units are his if they can still be had.
    fn commit_late(
        &self,
        reservation: ReservationId,
        quantity: Option<Quantity>,
        reference: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Vec<StockEvent>, Refusal> {
        let lapsed = self.lapsed(&reservation).ok_or_else(|| ended(reservation))?;
        let quantity = part_of(lapsed.quantity, quantity, reservation)?;
        let (reservable, mut events) = self.free_due(quantity, None, now);
        if lapsed.refund_due || quantity > reservable {
            return Err(Refusal::conflict(
                "reservation.expired",
                format!(
                    "the hold of reservation {reservation} has run out, and its units are gone; \
                     a payment for it has to go back"
                ),
            ));
        }
        self.is_there(quantity)?;
        events.push(StockEvent::Regained { reservation, quantity, occurred_at: self.noted(now) });
        let occurred_at = Some(now);
        events.push(StockEvent::Committed { reservation, quantity, reference, occurred_at, origin: None });
        Ok(events)
    }

    fn owe_refund(&self, reservation: ReservationId, paid: Option<Quantity>) -> Vec<StockEvent> {
        match self.lapsed(&reservation) {
            Some(Lapsed { quantity, refund_due: false, .. }) => {
                let quantity = paid.unwrap_or(*quantity).min(*quantity);
                vec![StockEvent::RefundDue { reservation, quantity }]
            }
            _ => vec![],
        }
    }

    fn set_policy(&self, policy: Policy) -> Result<Vec<StockEvent>, Refusal> {
        if self.on_hand.plus(policy.backorder_limit).unwrap_or(Quantity::MAX) < self.reserved {
            return Err(Refusal::conflict(
                "stock.backordered",
                format!(
                    "{} are reserved and {} on hand; release reservations or restock before lowering the limit",
                    self.reserved, self.on_hand
                ),
            ));
        }
        Ok(if policy == self.policy { vec![] } else { vec![StockEvent::PolicySet(policy)] })
    }

    /// Tells once that what is available has fallen to the threshold, and once that it has recovered.
    fn alert(&self, events: &[StockEvent]) -> Option<StockEvent> {
        if events.is_empty() {
            return None;
        }
        let policy = events.iter().rev().find_map(|event| match event {
            StockEvent::PolicySet(policy) => Some(*policy),
            _ => None,
        });
        let threshold = policy.unwrap_or(self.policy).low_stock_threshold;
        if threshold.is_none() && !self.low {
            return None;
        }
        let (on_hand, reserved) = self.totals_after(events);
        let available = Quantity::new((on_hand - reserved).max(0)).unwrap_or(Quantity::MAX);
        match threshold {
            Some(threshold) if available <= threshold => {
                (!self.low).then_some(StockEvent::Low { available, threshold })
            }
            _ => self.low.then_some(StockEvent::Recovered { available }),
        }
    }

    /// On hand and reserved after some events, without copying a shelf that may carry many holds.
    pub fn totals_after(&self, events: &[StockEvent]) -> (i64, i64) {
        let before = (self.on_hand.units(), self.reserved.units());
        events.iter().fold(before, |(on_hand, reserved), event| {
            let (moved, held) = event.moves(on_hand);
            (on_hand + moved, reserved + held)
        })
    }
}

/// The time of something that has happened; `now` if nobody said when.
pub fn occurred(at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    match at {
        Some(at) if at > now + CLOCK_TOLERANCE => Err(Refusal::invalid(
            "time.future",
            format!("occurred_at {at} lies ahead; send the time at which it happened, in UTC"),
        )),
        // What a clock that is a little ahead says has happened, has happened.
        Some(at) => Ok(at.min(now)),
        None => Ok(now),
    }
}

fn extended(
    reservation: ReservationId,
    held: Option<&Hold>,
    expires_at: Option<DateTime<Utc>>,
) -> Option<StockEvent> {
    let (due, expires_at) = (held?.expires_at?, expires_at?);
    (due < expires_at).then_some(StockEvent::Extended { reservation, expires_at, payment: false })
}

fn part_of(
    held: Quantity,
    quantity: Option<Quantity>,
    reservation: ReservationId,
) -> Result<Quantity, Refusal> {
    let quantity = quantity.unwrap_or(held);
    at_least_one(quantity)?;
    if quantity > held {
        return Err(Refusal::conflict(
            "reservation.exceeded",
            format!("{held} are held for reservation {reservation}, not {quantity}"),
        ));
    }
    Ok(quantity)
}

fn ended(reservation: ReservationId) -> Refusal {
    Refusal::conflict(
        "reservation.ended",
        format!(
            "nothing of this is held for reservation {reservation}: it was committed, released or has expired"
        ),
    )
}

fn at_least_one(quantity: Quantity) -> Result<(), Refusal> {
    if quantity.is_zero() {
        return Err(Refusal::invalid("quantity.zero", "the quantity must be at least 1"));
    }
    Ok(())
}

/// Reasons and references are for people, and stay in history for ever.
pub(super) fn brief(words: Option<&str>) -> Result<(), Refusal> {
    if words.is_some_and(|words| words.chars().count() > 500) {
        return Err(Refusal::invalid("text.too_long", "a reason or a reference has at most 500 characters"));
    }
    Ok(())
}

fn insufficient(wanted: Quantity, available: Quantity) -> Refusal {
    Refusal::conflict("stock.insufficient", format!("{wanted} wanted, {available} available"))
        .with_facts(serde_json::json!({ "wanted": wanted, "available": available }))
}
