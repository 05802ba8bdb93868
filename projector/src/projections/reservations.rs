//! `reservations`: the lines of each reservation, and what became of their units.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use onhand_domain::{
    Event, StreamId,
    values::{ReservationId, StockId},
};
use onhand_infrastructure::queries::reservation_lines::{Net, Nets, add_up};
use sqlx::{PgConnection, Postgres, Row, postgres::PgArguments, query::Query};

use super::without_new;
use crate::{
    ProjectorError,
    registry::{Fact, Stretch},
};

/// Lines that are new.
const NEW: &str = include_str!("reservations.sql");
/// Any lines. Says how many there are now that were never made: their rows have been lost.
const ANY: &str = concat!(
    "with written as (",
    include_str!("reservations.sql"),
    include_str!("reservations_known.sql"),
    ") select count(*) from written where reserved_at = '-infinity'"
);

/// Applies a stretch: net changes per line, those of new lines apart.
pub fn apply<'c>(
    conn: &'c mut PgConnection,
    stretch: Stretch<'c>,
) -> BoxFuture<'c, Result<(), ProjectorError>> {
    Box::pin(async move {
        // Whoever reserves gets a reservation of his own. An order of a platform may want more for the one it has, but that of which
        // this is the first has none.
        let first: HashSet<ReservationId> = first_orders(stretch).collect();
        let is_new = |(reservation, _): &(ReservationId, &StockId), net: &Net| {
            net.made.is_some() && (!net.of_order || first.contains(reservation))
        };
        let nets = (fold(stretch)?, stretch.gently);
        let nets = without_new(conn, nets, is_new, |new| bound(NEW, stretch, new)).await?;
        if nets.is_empty() {
            return Ok(());
        }
        match bound(ANY, stretch, &nets).fetch_one(conn).await?.try_get(0)? {
            0_i64 => Ok(()),
            _ => Err(ProjectorError::RowsLost("reservations")),
        }
    })
}

/// The reservations of orders that this stretch is the first to speak of.
fn first_orders(stretch: Stretch<'_>) -> impl Iterator<Item = ReservationId> {
    stretch.facts.iter().filter(|fact| fact.entry.version == 1).filter_map(|fact| match &fact.stream {
        StreamId::Order(order) => Some(ReservationId::from(*order)),
        _ => None,
    })
}

fn bound<'q>(
    statement: &'static str,
    stretch: Stretch<'_>,
    nets: &'q [((ReservationId, &StockId), Net)],
) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(statement)
        .bind(stretch.tenant.0)
        .bind(nets.iter().map(|((reservation, _), _)| reservation.0).collect::<Vec<_>>())
        .bind(nets.iter().map(|((_, shelf), _)| shelf.variant.0).collect::<Vec<_>>())
        .bind(nets.iter().map(|((_, shelf), _)| shelf.location.as_str()).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.reserved).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.committed).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.released).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.expired).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.refund_due).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.made.as_ref().map(|(at, _)| *at)).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.made.as_ref().map(|(_, by)| by.as_str())).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.expires_at.is_some()).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.expires_at.flatten()).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.position).collect::<Vec<_>>())
}

fn fold(stretch: Stretch<'_>) -> Result<Nets<'_>, ProjectorError> {
    let of_shelves = stretch.facts.iter().filter_map(|Fact { entry, stream, event }| match (stream, event) {
        (StreamId::Stock(id), Event::Stock(event)) => Some((*entry, id, event)),
        _ => None,
    });
    Ok(add_up(stretch.tenant, of_shelves)?)
}
