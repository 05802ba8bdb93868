//! Reservations: lines over several shelves that are held together, all or none.
//!
//! A reservation has no stream of its own. Its holds live in the stock streams, one entry a line, and
//! the reservation is what those entries say together: a second entry per sale would cost a quarter of
//! the throughput and could disagree with the first.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    Refusal,
    aggregate::verdict,
    refusal::RefusalKind,
    stock::{Stock, StockCommand, StockEvent},
    values::{Quantity, ReservationId, StockId},
};

/// The most lines one reservation may have.
pub const LINES_MAX: usize = 500;

/// So many units of one shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which shelf.
    pub stock: StockId,
    /// How many units.
    pub quantity: Quantity,
}

/// A shelf that has too little for what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// Which shelf.
    #[serde(flatten)]
    pub stock: StockId,
    /// Units asked for, over all lines that name this shelf.
    pub wanted: Quantity,
    /// Units that were free.
    pub available: Quantity,
}

/// Adds up lines that name the same shelf: two lines of one variant count together.
pub fn merge(lines: &[Line]) -> Result<BTreeMap<StockId, Quantity>, Refusal> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Refusal::invalid(
            "reservation.lines",
            format!("a reservation has 1 to {LINES_MAX} lines, not {}", lines.len()),
        ));
    }
    let mut merged = BTreeMap::new();
    for line in lines {
        if line.quantity.is_zero() {
            return Err(Refusal::invalid("quantity.zero", "the quantity of a line must be at least 1"));
        }
        let sum: &mut Quantity = merged.entry(line.stock.clone()).or_default();
        *sum = sum.plus(line.quantity)?;
    }
    Ok(merged)
}

/// Holds every line, or none and says which shelves are short.
pub fn reserve<'s>(
    reservation: ReservationId,
    lines: &BTreeMap<StockId, Quantity>,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Vec<(StockId, StockEvent)>, Refusal> {
    let mut events = Vec::with_capacity(lines.len());
    let mut shortages = Vec::new();
    for (id, quantity) in lines {
        let shelf = stock(id);
        let command = StockCommand::Reserve { reservation, quantity: *quantity, expires_at, now };
        match verdict(id, shelf, command) {
            Ok(decided) => events.extend(decided.into_iter().map(|event| (id.clone(), event))),
            Err(refusal) if refusal.code == "stock.insufficient" => shortages.push(Shortage {
                stock: id.clone(),
                wanted: *quantity,
                available: shelf.available(),
            }),
            Err(refusal) => return Err(refusal),
        }
    }
    if shortages.is_empty() { Ok(events) } else { Err(insufficient(&shortages)) }
}

/// Ends holds on the given shelves: all of each, or the given part.
pub fn end<'s>(
    lines: &BTreeMap<StockId, Option<Quantity>>,
    command: impl Fn(Option<Quantity>) -> StockCommand,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Vec<(StockId, StockEvent)>, Refusal> {
    let mut events = Vec::with_capacity(lines.len());
    for (id, quantity) in lines {
        let decided = verdict(id, stock(id), command(*quantity))?;
        events.extend(decided.into_iter().map(|event| (id.clone(), event)));
    }
    Ok(events)
}

fn insufficient(shortages: &[Shortage]) -> Refusal {
    let wanted: i64 = shortages.iter().map(|s| s.wanted.units()).sum();
    let available: i64 = shortages.iter().map(|s| s.available.units()).sum();
    Refusal {
        kind: RefusalKind::Conflict,
        code: "stock.insufficient".into(),
        detail: format!(
            "{} of the lines cannot be held: {wanted} wanted, {available} available; nothing was reserved",
            shortages.len()
        ),
        facts: Some(serde_json::json!({ "shortages": shortages })),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::values::{LocationCode, VariantId};

    const R: ReservationId = ReservationId(Uuid::from_u128(7));

    fn line(variant: u128, units: i64) -> Line {
        Line {
            stock: StockId {
                variant: VariantId(Uuid::from_u128(variant)),
                location: LocationCode::default(),
            },
            quantity: Quantity::new(units).expect("in range"),
        }
    }

    fn on_hand(units: i64) -> Stock {
        let quantity = Quantity::new(units).expect("in range");
        Stock::default().evolve(StockEvent::Restocked { quantity, reference: None })
    }

    fn ask(lines: &[Line], stock: &Stock) -> Result<usize, Refusal> {
        let lines = merge(lines)?;
        reserve(R, &lines, None, DateTime::UNIX_EPOCH, |_| stock).map(|events| events.len())
    }

    #[test]
    fn two_lines_of_one_variant_count_together() {
        let refusal = ask(&[line(1, 5), line(1, 5)], &on_hand(5)).expect_err("ten of five");
        assert_eq!(refusal.code, "stock.insufficient");
        assert_eq!(ask(&[line(1, 3), line(1, 2)], &on_hand(5)), Ok(1));
    }

    #[test]
    fn one_short_line_refuses_them_all_and_is_named() {
        let refusal = ask(&[line(1, 1), line(2, 9)], &on_hand(5)).expect_err("nine of five");
        let shortages = refusal.facts.expect("shortages are named")["shortages"].clone();
        assert_eq!(shortages.as_array().map(Vec::len), Some(1));
        assert_eq!((&shortages[0]["wanted"], &shortages[0]["available"]), (&9.into(), &5.into()));
    }

    #[test]
    fn a_reservation_without_lines_makes_no_sense() {
        assert_eq!(ask(&[], &on_hand(5)).expect_err("no lines").code, "reservation.lines");
        assert_eq!(ask(&[line(1, 0)], &on_hand(5)).expect_err("no units").code, "quantity.zero");
    }
}
