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
    values::{LocationCode, Quantity, ReservationId, StockId, VariantId},
};

/// The most lines one reservation may have.
pub const LINES_MAX: usize = 500;

/// So many units of one variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What.
    pub variant: VariantId,
    /// From where; from wherever there is some, if not given.
    pub location: Option<LocationCode>,
    /// How many units.
    pub quantity: Quantity,
}

/// A shelf, or a variant wherever it stands, of which there is too little for what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// Of what.
    pub variant: VariantId,
    /// Where; nowhere in particular if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationCode>,
    /// Units asked for, over all lines that name this shelf.
    pub wanted: Quantity,
    /// Units that could be had.
    pub available: Quantity,
}

/// Units per shelf.
pub type Lines = BTreeMap<StockId, Quantity>;
/// What happens to several shelves at once.
pub type Events = Vec<(StockId, StockEvent)>;

/// Finds the shelves for some lines.
///
/// Lines that name one shelf are added up, and what names no location is taken from `locations`, in their order, one after the other until there is enough: first what is there at
/// any of them, then what may be promised before it is there. `obtainable` says both of a shelf.
pub fn allocate(
    lines: &[Line],
    locations: &[LocationCode],
    obtainable: impl Fn(&StockId) -> (Quantity, Quantity),
) -> Result<Lines, Refusal> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Refusal::invalid(
            "reservation.lines",
            format!("a reservation has 1 to {LINES_MAX} lines, not {}", lines.len()),
        ));
    }
    let mut allocated = Lines::new();
    let mut anywhere: BTreeMap<VariantId, Quantity> = BTreeMap::new();
    for Line { variant, location, quantity } in lines {
        if quantity.is_zero() {
            return Err(Refusal::invalid("quantity.zero", "the quantity of a line must be at least 1"));
        }
        // Where there is but one place, it need not be named.
        let location = location.as_ref().or(match locations {
            [only] => Some(only),
            _ => None,
        });
        let sum = match location {
            Some(location) => {
                allocated.entry(StockId { variant: *variant, location: location.clone() }).or_default()
            }
            None => anywhere.entry(*variant).or_default(),
        };
        *sum = sum.plus(*quantity)?;
    }
    let mut shortages = Vec::new();
    for (variant, wanted) in anywhere {
        let mut missing = wanted;
        for pick in [|(there, _): (Quantity, Quantity)| there, |(_, promised)| promised] {
            for location in locations {
                let shelf = StockId { variant, location: location.clone() };
                let taken = allocated.get(&shelf).copied().unwrap_or_default();
                let part = missing.min(pick(obtainable(&shelf)).minus(taken));
                if !part.is_zero() {
                    allocated.insert(shelf, taken.plus(part)?);
                    missing = missing.minus(part);
                }
            }
        }
        if !missing.is_zero() {
            let available = wanted.minus(missing);
            shortages.push(Shortage { variant, location: None, wanted, available });
        }
    }
    if shortages.is_empty() { Ok(allocated) } else { Err(insufficient(&shortages)) }
}

/// Holds every line, or none and says which shelves are short.
///
/// Whatever else is held for the same reservation, on `others`, is given back: the buyer wants this now.
pub fn reserve<'s>(
    reservation: ReservationId,
    lines: &Lines,
    others: &[StockId],
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Events, Refusal> {
    let mut events = Vec::with_capacity(lines.len());
    let mut shortages = Vec::new();
    for (id, quantity) in lines {
        let shelf = stock(id);
        let command = StockCommand::Reserve { reservation, quantity: *quantity, expires_at, now };
        match verdict(id, shelf, command) {
            Ok(decided) => events.extend(decided.into_iter().map(|event| (id.clone(), event))),
            Err(refusal) if refusal.code == "stock.insufficient" => shortages.push(Shortage {
                variant: id.variant,
                location: Some(id.location.clone()),
                wanted: *quantity,
                available: shelf.obtainable(&reservation, now).1,
            }),
            Err(refusal) => return Err(refusal),
        }
    }
    if !shortages.is_empty() {
        return Err(insufficient(&shortages));
    }
    let left =
        others.iter().filter(|id| !lines.contains_key(id) && stock(id).held_for(&reservation).is_some());
    for id in left {
        let command = StockCommand::Release { reservation, quantity: None, now };
        let decided = verdict(id, stock(id), command)?;
        events.extend(decided.into_iter().map(|event| (id.clone(), event)));
    }
    Ok(events)
}

/// Asks the same of a reservation on some shelves, each with its part of the quantity: all of it or none happens.
pub fn each<'s>(
    parts: &BTreeMap<StockId, Option<Quantity>>,
    command: impl Fn(Option<Quantity>) -> StockCommand,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Events, Refusal> {
    let mut events = Vec::with_capacity(parts.len());
    for (id, quantity) in parts {
        let decided = verdict(id, stock(id), command(*quantity))?;
        events.extend(decided.into_iter().map(|event| (id.clone(), event)));
    }
    Ok(events)
}

/// Sells what is held on some shelves, all of it or none.
///
/// If a hold had run out and its units are gone, the refusal comes with events: the money for them has to go
/// back, and what was still held of the rest is free again.
pub fn commit<'s>(
    reservation: ReservationId,
    parts: &BTreeMap<StockId, Option<Quantity>>,
    reference: Option<&str>,
    now: DateTime<Utc>,
    stock: impl Fn(&StockId) -> &'s Stock + Copy,
) -> Result<(Events, Option<Refusal>), Refusal> {
    let reference = reference.map(str::to_owned);
    let command =
        |quantity| StockCommand::Commit { reservation, quantity, reference: reference.clone(), now };
    match each(parts, command, stock) {
        Ok(events) => Ok((events, None)),
        Err(refusal) if refusal.code == "reservation.expired" => {
            let mut events = Vec::new();
            for (id, quantity) in parts {
                let shelf = stock(id);
                let command = match shelf.held_for(&reservation) {
                    Some(_) => StockCommand::Release { reservation, quantity: None, now },
                    None => StockCommand::OweRefund { reservation, quantity: *quantity },
                };
                events.extend(verdict(id, shelf, command)?.into_iter().map(|event| (id.clone(), event)));
            }
            Ok((events, Some(refusal)))
        }
        Err(refusal) => Err(refusal),
    }
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

    const R: ReservationId = ReservationId(Uuid::from_u128(7));

    fn variant(n: u128) -> VariantId {
        VariantId(Uuid::from_u128(n))
    }

    fn units(n: i64) -> Quantity {
        Quantity::new(n).expect("in range")
    }

    fn place(code: &str) -> LocationCode {
        LocationCode::new(code).expect("a code")
    }

    fn line(n: u128, quantity: i64) -> Line {
        Line { variant: variant(n), location: None, quantity: units(quantity) }
    }

    fn on_hand(quantity: i64) -> Stock {
        let quantity = units(quantity);
        let (reference, occurred_at, origin) = (None, None, None);
        Stock::default().evolve(StockEvent::Restocked { quantity, reference, occurred_at, origin })
    }

    fn ask(lines: &[Line], stock: &Stock) -> Result<usize, Refusal> {
        let lines = allocate(lines, &[place("main")], |_| Default::default())?;
        reserve(R, &lines, &[], None, DateTime::UNIX_EPOCH, |_| stock).map(|events| events.len())
    }

    /// What is taken from a and b, where so much can be had.
    fn split(wanted: i64, a: i64, b: i64) -> Result<Vec<(String, i64)>, Refusal> {
        let obtainable = |id: &StockId| {
            let there = units(if id.location.as_str() == "a" { a } else { b });
            (there, there)
        };
        let lines = allocate(&[line(1, wanted)], &[place("a"), place("b")], obtainable)?;
        Ok(lines.into_iter().map(|(id, n)| (id.location.to_string(), n.units())).collect())
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
    fn a_line_without_a_location_is_spread_over_them_in_their_order() {
        assert_eq!(split(13, 10, 15), Ok(vec![("a".into(), 10), ("b".into(), 3)]));
        assert_eq!(split(2, 1, 1), Ok(vec![("a".into(), 1), ("b".into(), 1)]));
        assert_eq!(split(3, 5, 5), Ok(vec![("a".into(), 3)]));
        let refusal = split(26, 10, 15).expect_err("26 of 25");
        assert_eq!(refusal.facts.expect("facts")["shortages"][0]["available"], 25);
    }

    #[test]
    fn lines_with_and_without_a_location_do_not_count_on_the_same_units() {
        let named = Line { location: Some(place("a")), ..line(1, 4) };
        let locations = [place("a"), place("b")];
        let five = |_: &StockId| (units(5), units(5));
        let lines = allocate(&[line(1, 3), named.clone()], &locations, five).expect("4 and 1, and 2");
        assert_eq!(lines.values().map(|n| n.units()).collect::<Vec<_>>(), [5, 2]);
        allocate(&[line(1, 7), named], &locations, five).expect_err("eleven of ten");
    }

    #[test]
    fn what_is_there_anywhere_comes_before_what_may_be_promised() {
        let obtainable = |id: &StockId| match id.location.as_str() {
            "a" => (units(0), units(10)),
            _ => (units(4), units(4)),
        };
        let lines = allocate(&[line(1, 5)], &[place("a"), place("b")], obtainable).expect("4 and a promise");
        assert_eq!(lines.values().map(|n| n.units()).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn a_commit_that_is_too_late_says_whose_money_goes_back() {
        let stock = [
            StockEvent::Reserved {
                reservation: R,
                quantity: units(1),
                expires_at: None,
                origin: None,
                occurred_at: None,
            },
            StockEvent::Expired { reservation: R, quantity: units(1), occurred_at: None },
            StockEvent::Counted {
                counted: units(0),
                reference: None,
                occurred_at: None,
                on_hand: None,
                figure: None,
            },
        ]
        .into_iter()
        .fold(on_hand(1), Stock::evolve);
        let id = StockId { variant: variant(1), location: place("main") };
        let parts = BTreeMap::from([(id, None)]);
        let (events, refusal) =
            commit(R, &parts, None, DateTime::UNIX_EPOCH, |_| &stock).expect("the refusal comes with events");
        assert_eq!(refusal.map(|refusal| refusal.code), Some("reservation.expired".into()));
        assert!(matches!(events[..], [(_, StockEvent::RefundDue { .. })]));
    }

    #[test]
    fn a_reservation_without_lines_makes_no_sense() {
        assert_eq!(ask(&[], &on_hand(5)).expect_err("no lines").code, "reservation.lines");
        assert_eq!(ask(&[line(1, 0)], &on_hand(5)).expect_err("no units").code, "quantity.zero");
    }
}
