//! `reservations`: the lines of each reservation, and what became of their units.

use futures_util::future::BoxFuture;
use onhand_domain::{Event, StreamId};
use onhand_infrastructure::queries::reservation_lines::{Nets, add_up};
use sqlx::PgConnection;

use crate::{
    ProjectorError,
    registry::{Fact, Stretch},
};

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

fn fold(stretch: Stretch<'_>) -> Result<Nets<'_>, ProjectorError> {
    let of_shelves = stretch.facts.iter().filter_map(|Fact { entry, stream, event }| match (stream, event) {
        (StreamId::Stock(id), Event::Stock(event)) => Some((*entry, id, event)),
        _ => None,
    });
    Ok(add_up(stretch.tenant, of_shelves)?)
}
