//! `reservations`: the lines of each reservation, and what became of their units.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use onhand_domain::{
    Event, StreamId,
    stock::StockEvent,
    values::{ReservationId, StockId},
};
use onhand_infrastructure::ledger::Entry;
use sqlx::PgConnection;

use crate::{
    ProjectorError,
    registry::{Fact, Stretch},
};

/// What a stretch adds up to for one line.
#[derive(Debug, Default)]
struct Net {
    reserved: i64,
    committed: i64,
    released: i64,
    expired: i64,
    refund_due: i64,
    /// When it was made, and by whom, if that was in this stretch.
    made: Option<(DateTime<Utc>, String)>,
    /// The newest end of the hold, if it got one in this stretch; none within for a hold without an end.
    expires_at: Option<Option<DateTime<Utc>>>,
    position: i64,
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
        let (lost,): (i64,) = sqlx::query_as(include_str!("reservations.sql"))
            .bind(stretch.tenant.0)
            .bind(nets.keys().map(|(reservation, _)| reservation.0).collect::<Vec<_>>())
            .bind(nets.keys().map(|(_, shelf)| shelf.variant.0).collect::<Vec<_>>())
            .bind(nets.keys().map(|(_, shelf)| shelf.location.as_str()).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.reserved).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.committed).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.released).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.expired).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.refund_due).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.made.as_ref().map(|(at, _)| *at)).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.made.as_ref().map(|(_, by)| by.as_str())).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.expires_at.is_some()).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.expires_at.flatten()).collect::<Vec<_>>())
            .bind(nets.values().map(|net| net.position).collect::<Vec<_>>())
            .fetch_one(conn)
            .await?;
        match lost {
            0 => Ok(()),
            _ => Err(ProjectorError::RowsLost("reservations")),
        }
    })
}

/// The nets of a stretch, by line.
type Nets<'e> = BTreeMap<(ReservationId, &'e StockId), Net>;

fn fold(stretch: Stretch<'_>) -> Result<Nets<'_>, ProjectorError> {
    let mut nets = Nets::new();
    for Fact { entry, stream, event } in stretch.facts {
        let (StreamId::Stock(id), Event::Stock(event)) = (stream, event) else { continue };
        match event {
            StockEvent::Reserved { reservation, quantity, expires_at } => {
                let made = (entry.recorded_at, entry.context(stretch.tenant)?.actor);
                let net = line(&mut nets, *reservation, id, entry);
                net.reserved += quantity.units();
                net.made = Some(made);
                net.expires_at = Some(*expires_at);
            }
            StockEvent::Committed { reservation, quantity, .. } => {
                line(&mut nets, *reservation, id, entry).committed += quantity.units();
            }
            StockEvent::Released { reservation, quantity } => {
                line(&mut nets, *reservation, id, entry).released += quantity.units();
            }
            StockEvent::Expired { reservation, quantity } => {
                line(&mut nets, *reservation, id, entry).expired += quantity.units();
            }
            StockEvent::Extended { reservation, expires_at, .. } => {
                line(&mut nets, *reservation, id, entry).expires_at = Some(Some(*expires_at));
            }
            StockEvent::Regained { reservation, quantity } => {
                line(&mut nets, *reservation, id, entry).expired -= quantity.units();
            }
            StockEvent::RefundDue { reservation, quantity } => {
                line(&mut nets, *reservation, id, entry).refund_due += quantity.units();
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

fn line<'n, 'e>(
    nets: &'n mut Nets<'e>,
    reservation: ReservationId,
    shelf: &'e StockId,
    entry: &Entry,
) -> &'n mut Net {
    let net = nets.entry((reservation, shelf)).or_default();
    net.position = entry.position;
    net
}
