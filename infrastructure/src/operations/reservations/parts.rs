//! Which shelves of a reservation a step is about, and how the reservation stands after it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal,
    reservation::{self, Line},
    stock::{Stock, StockEvent},
    values::{LocationCode, Quantity, ReservationId, Sku, StockId},
};

use super::Bounded;

/// Everything that is still held for a reservation; for a commit also what has lapsed.
pub(super) fn all_of<'s>(
    reservation: ReservationId,
    shelves: &[StockId],
    step: &Bounded,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<BTreeMap<StockId, Option<Quantity>>, Refusal> {
    let concerned = |id: &&StockId| {
        let shelf = stock(id);
        let late = matches!(step, Bounded::Commit { .. }) && shelf.lapsed_for(&reservation).is_some();
        late || shelf.held_for(&reservation).is_some()
    };
    let parts: BTreeMap<_, _> = shelves.iter().filter(concerned).map(|id| (id.clone(), None)).collect();
    if parts.is_empty() {
        return Err(Refusal::conflict(
            "reservation.ended",
            format!("nothing is held for reservation {reservation} any more"),
        ));
    }
    Ok(parts)
}

/// Refuses a line that names a shelf, or a variant, of which the reservation has never held anything.
pub(super) fn is_in(
    reservation: ReservationId,
    shelves: &[StockId],
    line: &Line,
    sku: &Sku,
) -> Result<(), Refusal> {
    let of_variant = shelves.iter().filter(|id| id.variant == line.variant).map(|id| &id.location);
    let places: BTreeSet<&LocationCode> = of_variant.collect();
    if line.location.as_ref().map_or(!places.is_empty(), |location| places.contains(location)) {
        return Ok(());
    }
    let at = line.location.as_ref().map(|location| format!(" at {location}")).unwrap_or_default();
    let places: Vec<&str> = places.into_iter().map(LocationCode::as_str).collect();
    let else_at = if places.is_empty() { String::new() } else { format!(", but at {}", places.join(", ")) };
    Err(Refusal::conflict(
        "reservation.not_in",
        format!("reservation {reservation} holds nothing of {sku}{at}{else_at}"),
    ))
}

/// The given lines of a reservation. Lines that name no location are taken from wherever it holds units.
pub(super) fn parts_of<'s>(
    reservation: ReservationId,
    shelves: &[StockId],
    lines: &[Line],
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<BTreeMap<StockId, Option<Quantity>>, Refusal> {
    let locations: BTreeSet<LocationCode> = shelves.iter().map(|id| id.location.clone()).collect();
    let locations: Vec<LocationCode> = locations.into_iter().collect();
    let of_reservation = |id: &StockId| {
        let held = stock(id).held_for(&reservation).map(|held| held.quantity);
        let units = held.or_else(|| stock(id).lapsed_for(&reservation)).unwrap_or_default();
        (units, units)
    };
    let lines = reservation::allocate(lines, &locations, of_reservation).map_err(|refusal| {
        if refusal.code != "stock.insufficient" {
            return refusal;
        }
        let detail = format!("the lines name more than is held for reservation {reservation}");
        Refusal { detail, code: "reservation.exceeded".into(), ..refusal }
    })?;
    Ok(lines.into_iter().map(|(id, quantity)| (id, Some(quantity))).collect())
}

/// When a hold ends by itself, after some events.
pub(super) fn ends_at(
    reservation: ReservationId,
    id: &StockId,
    events: &[(StockId, StockEvent)],
    shelf: &Stock,
) -> Option<DateTime<Utc>> {
    let new = events.iter().find_map(|(shelf, event)| match event {
        StockEvent::Extended { expires_at, .. } if shelf == id => Some(*expires_at),
        StockEvent::Reserved { expires_at, .. } if shelf == id => *expires_at,
        _ => None,
    });
    new.or_else(|| shelf.held_for(&reservation).and_then(|held| held.expires_at))
}

/// Units that are held for a reservation after some events.
pub(super) fn still_held<'s>(
    reservation: ReservationId,
    shelves: &[StockId],
    events: &[(StockId, StockEvent)],
    stock: impl Fn(&StockId) -> &'s Stock,
) -> i64 {
    let held = shelves.iter().filter_map(|id| stock(id).held_for(&reservation));
    let held: i64 = held.map(|held| held.quantity.units()).sum();
    let moved = events.iter().map(|(_, event)| match event {
        StockEvent::Committed { reservation: of, quantity, .. }
        | StockEvent::Released { reservation: of, quantity, .. }
            if *of == reservation =>
        {
            -quantity.units()
        }
        StockEvent::Regained { reservation: of, quantity, .. } if *of == reservation => quantity.units(),
        _ => 0,
    });
    held + moved.sum::<i64>()
}

pub(super) fn units_of(event: &StockEvent) -> i64 {
    match event {
        StockEvent::Committed { quantity, .. } | StockEvent::Released { quantity, .. } => quantity.units(),
        _ => 0,
    }
}
