//! `stock_levels`: on hand and reserved, per variant and location. What channels are told is read from here.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use onhand_domain::{Event, StreamId, stock::StockEvent, values::StockId};
use onhand_infrastructure::operations::stock::deltas;
use sqlx::PgConnection;

use crate::{ProjectorError, registry::Stretch};

/// What a stretch adds up to for one shelf.
#[derive(Debug, Default, PartialEq, Eq)]
struct Net {
    /// The last count, if there was one; `on_hand` then counts from it.
    counted: Option<i64>,
    on_hand: i64,
    reserved: i64,
    position: i64,
}

/// Applies a stretch with one statement: net changes per shelf.
pub fn apply<'c>(
    conn: &'c mut PgConnection,
    stretch: Stretch<'c>,
) -> BoxFuture<'c, Result<(), ProjectorError>> {
    Box::pin(async move {
        let nets = fold(stretch)?;
        if nets.is_empty() {
            return Ok(());
        }
        sqlx::query(
            // The checkpoint's lock makes this the only writer of the tenant's rows.
            "insert into stock_levels (tenant_id, variant_id, location, on_hand, reserved, position)
             select $1, n.variant_id, n.location, coalesce(n.counted, s.on_hand, 0) + n.on_hand,
                    coalesce(s.reserved, 0) + n.reserved, n.position
             from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
                 as n (variant_id, location, counted, on_hand, reserved, position)
             left join stock_levels s
                 on s.tenant_id = $1 and s.variant_id = n.variant_id and s.location = n.location
             on conflict (tenant_id, variant_id, location) do update
                 set on_hand = excluded.on_hand, reserved = excluded.reserved, position = excluded.position",
        )
        .bind(stretch.tenant.0)
        .bind(nets.keys().map(|id| id.variant.0).collect::<Vec<_>>())
        .bind(nets.keys().map(|id| id.location.as_str()).collect::<Vec<_>>())
        .bind(nets.values().map(|net| net.counted).collect::<Vec<_>>())
        .bind(nets.values().map(|net| net.on_hand).collect::<Vec<_>>())
        .bind(nets.values().map(|net| net.reserved).collect::<Vec<_>>())
        .bind(nets.values().map(|net| net.position).collect::<Vec<_>>())
        .execute(conn)
        .await?;
        Ok(())
    })
}

fn fold(stretch: Stretch<'_>) -> Result<BTreeMap<StockId, Net>, ProjectorError> {
    let mut nets: BTreeMap<StockId, Net> = BTreeMap::new();
    for entry in stretch.entries {
        let (StreamId::Stock(id), Event::Stock(event)) = (entry.stream_id()?, entry.event()?) else {
            continue;
        };
        let net = nets.entry(id).or_default();
        net.position = entry.position;
        if let StockEvent::Counted { counted, .. } = &event {
            net.counted = Some(counted.units());
            net.on_hand = 0;
        }
        let (on_hand, reserved) = deltas(&event);
        net.on_hand += on_hand;
        net.reserved += reserved;
    }
    Ok(nets)
}
