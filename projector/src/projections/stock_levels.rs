//! `stock_levels`: on hand and reserved, per variant and location. What channels are told is read from here.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use onhand_domain::{
    Event, StreamId,
    stock::{Policy, StockEvent},
    values::{Quantity, StockId},
};
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};

use super::in_turns;

use crate::{
    ProjectorError,
    registry::{Fact, Stretch},
};

/// What a stretch adds up to for one shelf.
#[derive(Debug, Default, PartialEq, Eq)]
struct Net {
    /// What the last count set, if there was one; `on_hand` then counts from it.
    counted: Option<i64>,
    on_hand: i64,
    reserved: i64,
    /// The newest rules, if they changed.
    policy: Option<Policy>,
    /// Whether it was told to be low, or to have recovered.
    low: Option<bool>,
    position: i64,
}

/// Applies a stretch: net changes per shelf.
pub fn apply<'c>(
    conn: &'c mut PgConnection,
    stretch: Stretch<'c>,
) -> BoxFuture<'c, Result<(), ProjectorError>> {
    Box::pin(async move {
        let nets: Vec<_> = fold(stretch).into_iter().collect();
        in_turns(conn, (&nets, stretch.gently), |nets| bound(stretch, nets)).await?;
        Ok(())
    })
}

fn bound<'q>(stretch: Stretch<'_>, nets: &'q [(&StockId, Net)]) -> Query<'q, Postgres, PgArguments> {
    let policies = || nets.iter().map(|(_, net)| net.policy);
    sqlx::query(include_str!("stock_levels.sql"))
        .bind(stretch.tenant.0)
        .bind(nets.iter().map(|(id, _)| id.variant.0).collect::<Vec<_>>())
        .bind(nets.iter().map(|(id, _)| id.location.as_str()).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.counted).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.on_hand).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.reserved).collect::<Vec<_>>())
        .bind(policies().map(|policy| policy.map(|p| p.backorder_limit.units())).collect::<Vec<_>>())
        .bind(
            policies()
                .map(|policy| policy.and_then(|p| p.low_stock_threshold).map(Quantity::units))
                .collect::<Vec<_>>(),
        )
        .bind(nets.iter().map(|(_, net)| net.low).collect::<Vec<_>>())
        .bind(nets.iter().map(|(_, net)| net.position).collect::<Vec<_>>())
}

fn fold(stretch: Stretch<'_>) -> BTreeMap<&StockId, Net> {
    let mut nets: BTreeMap<&StockId, Net> = BTreeMap::new();
    for Fact { entry, stream, event } in stretch.facts {
        let (StreamId::Stock(id), Event::Stock(event)) = (stream, event) else { continue };
        let net = nets.entry(id).or_default();
        net.position = entry.position;
        match event {
            StockEvent::PolicySet(policy) => net.policy = Some(*policy),
            StockEvent::Low { .. } => net.low = Some(true),
            StockEvent::Recovered { .. } => net.low = Some(false),
            _ => {}
        }
        if let Some(set) = event.sets_on_hand() {
            net.counted = Some(set);
            net.on_hand = 0;
        } else {
            let (on_hand, reserved) = event.moves(0);
            net.on_hand += on_hand;
            net.reserved += reserved;
        }
    }
    nets
}
