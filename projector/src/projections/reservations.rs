//! `reservations`: the lines of each reservation, and what became of their units.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use onhand_domain::{
    Event, StreamId,
    stock::StockEvent,
    values::{Quantity, ReservationId, StockId},
};
use onhand_infrastructure::ledger::Entry;
use sqlx::PgConnection;

use crate::{ProjectorError, registry::Stretch};

/// What a stretch adds up to for one line.
#[derive(Debug, Default)]
struct Net {
    reserved: i64,
    committed: i64,
    released: i64,
    expired: i64,
    refund_due: i64,
    made: Option<Made>,
    /// The newest end of the hold, if it was given more time after it was made.
    extended: Option<DateTime<Utc>>,
    position: i64,
}

#[derive(Debug)]
struct Made {
    at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    actor: String,
}

/// Applies a stretch with one statement: net changes per line.
pub fn apply<'c>(
    conn: &'c mut PgConnection,
    stretch: Stretch<'c>,
) -> BoxFuture<'c, Result<(), ProjectorError>> {
    Box::pin(async move {
        let nets = fold(stretch)?;
        if nets.is_empty() {
            return Ok(());
        }
        let made = |pick: fn(&Made) -> DateTime<Utc>| -> Vec<Option<DateTime<Utc>>> {
            nets.values().map(|net| net.made.as_ref().map(pick)).collect()
        };
        sqlx::query(include_str!("reservations.sql"))
            .bind(stretch.tenant.0)
            .bind(nets.keys().map(|(reservation, _)| reservation.0).collect::<Vec<_>>())
            .bind(nets.keys().map(|(_, shelf)| shelf.variant.0).collect::<Vec<_>>())
            .bind(nets.keys().map(|(_, shelf)| shelf.location.as_str()).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.reserved).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.committed).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.released).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.expired).collect::<Vec<_>>())
            .bind(made(|made| made.at))
            .bind(nets.values().map(|net| net.made.as_ref().and_then(|m| m.expires_at)).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.extended).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.refund_due).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.made.as_ref().map(|m| m.actor.as_str())).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.position).collect::<Vec<_>>())
            .execute(conn)
            .await?;
        Ok(())
    })
}

fn fold(stretch: Stretch<'_>) -> Result<BTreeMap<(ReservationId, StockId), Net>, ProjectorError> {
    let mut nets: BTreeMap<(ReservationId, StockId), Net> = BTreeMap::new();
    for entry in stretch.entries {
        let (StreamId::Stock(id), Event::Stock(event)) = (entry.stream_id()?, entry.event()?) else {
            continue;
        };
        let mut line = |reservation: ReservationId, add: &dyn Fn(&mut Net)| {
            let net = nets.entry((reservation, id.clone())).or_default();
            add(net);
            net.position = entry.position;
        };
        match event {
            StockEvent::Reserved { reservation, quantity, expires_at } => {
                let actor = actor(entry, stretch)?;
                line(reservation, &|net| {
                    net.reserved += Quantity::units(quantity);
                    net.made = Some(Made { at: entry.recorded_at, expires_at, actor: actor.clone() });
                    net.extended = None;
                });
            }
            StockEvent::Committed { reservation, quantity, .. } => {
                line(reservation, &|net| net.committed += quantity.units());
            }
            StockEvent::Released { reservation, quantity } => {
                line(reservation, &|net| net.released += quantity.units());
            }
            StockEvent::Expired { reservation, quantity } => {
                line(reservation, &|net| net.expired += quantity.units());
            }
            StockEvent::Extended { reservation, expires_at, .. } => {
                line(reservation, &|net| net.extended = Some(expires_at));
            }
            StockEvent::Regained { reservation, quantity } => {
                line(reservation, &|net| net.expired -= quantity.units());
            }
            StockEvent::RefundDue { reservation, quantity } => {
                line(reservation, &|net| net.refund_due += quantity.units());
            }
            StockEvent::Restocked { .. }
            | StockEvent::Adjusted { .. }
            | StockEvent::Counted { .. }
            | StockEvent::Covered { .. }
            | StockEvent::Waived { .. }
            | StockEvent::TransferredOut { .. }
            | StockEvent::TransferredIn { .. }
            | StockEvent::PolicySet(_)
            | StockEvent::Low { .. }
            | StockEvent::Recovered { .. } => {}
        }
    }
    Ok(nets)
}

fn actor(entry: &Entry, stretch: Stretch<'_>) -> Result<String, ProjectorError> {
    Ok(entry.context(stretch.tenant)?.actor)
}
