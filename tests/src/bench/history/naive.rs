//! The naive way: a transaction an entry, with the rows' changes and the checkpoint, on tables of the same making in a schema
//! of its own. It reads a thousand entries at a time and does not wait for its flushes either: it stands for projections
//! that do it like this, at their best.

use std::time::Instant;

use anyhow::ensure;
use onhand_domain::{
    Event, StreamId,
    stock::StockEvent,
    values::{StockId, TenantId},
};
use onhand_infrastructure::ledger::{Entry, read};
use sqlx::{Connection, PgConnection};

use super::Stage;

/// Entries that are applied; what all of them would take is reckoned from these.
const ENTRIES: i64 = 20_000;
/// Entries that are read together.
const READ: i64 = 1_000;

const SCHEMA: &str = "
    drop schema if exists naive cascade;
    create schema naive;
    create table naive.stock_levels (like public.stock_levels including all);
    create table naive.reservations (like public.reservations including all);
    create table naive.checkpoints (like public.checkpoints including all);
    set search_path = naive, public;
    set synchronous_commit = off;";

/// Rows of which read models.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tables {
    StockLevels,
    Both,
}

/// What came of it.
pub(super) struct Applied {
    pub(super) entries: i64,
    /// Entries a second.
    pub(super) rate: f64,
}

/// Applies the first entries that move stock, one by one.
pub(super) async fn event_by_event(stage: &Stage<'_>, tables: Tables) -> anyhow::Result<Applied> {
    let mut conn = stage.owner().await?;
    sqlx::raw_sql(SCHEMA).execute(&mut conn).await?;
    sqlx::query("insert into checkpoints (model, tenant_id, position) values ('naive', $1, $2)")
        .bind(stage.tenant.0)
        .bind(stage.begin)
        .execute(&mut conn)
        .await?;
    stage.settle().await?;
    let begun = Instant::now();
    let (mut position, mut applied) = (stage.begin, 0);
    while applied < ENTRIES {
        let entries = read::between(&mut conn, stage.tenant, position, position + READ, &["stock"]).await?;
        let Some(last) = entries.last() else { break };
        position = last.position;
        for entry in &entries {
            apply(&mut conn, stage.tenant, entry, tables).await?;
            applied += 1;
        }
    }
    let rate = applied as f64 / begun.elapsed().as_secs_f64();
    let (levels, wrong): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where (e.metadata::json->>'on_hand')::bigint is distinct from l.on_hand
                                              or (e.metadata::json->>'reserved')::bigint is distinct from l.reserved)
         from stock_levels l
         left join events e on e.tenant_id = l.tenant_id and e.position = l.position",
    )
    .fetch_one(&mut conn)
    .await?;
    ensure!(levels > 0 && wrong == 0, "{wrong} of {levels} levels are not what the entries say");
    Ok(Applied { entries: applied, rate })
}

async fn apply(
    conn: &mut PgConnection,
    tenant: TenantId,
    entry: &Entry,
    tables: Tables,
) -> anyhow::Result<()> {
    let (StreamId::Stock(shelf), Event::Stock(event)) = (entry.stream_id()?, entry.event()?) else {
        return Ok(());
    };
    let mut tx = conn.begin().await?;
    change_level(&mut tx, tenant, entry, &shelf, &event).await?;
    if tables == Tables::Both {
        change_line(&mut tx, tenant, entry, &shelf, &event).await?;
    }
    sqlx::query("update checkpoints set position = $2 where tenant_id = $1 and model = 'naive'")
        .bind(tenant.0)
        .bind(entry.position)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

async fn change_level(
    conn: &mut PgConnection,
    tenant: TenantId,
    entry: &Entry,
    shelf: &StockId,
    event: &StockEvent,
) -> anyhow::Result<()> {
    let (on_hand, reserved) = event.moves(0);
    sqlx::query(
        "insert into stock_levels as s (tenant_id, variant_id, location, on_hand, reserved, position)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id, variant_id, location) do update
             set on_hand = s.on_hand + excluded.on_hand, reserved = s.reserved + excluded.reserved,
                 position = excluded.position",
    )
    .bind(tenant.0)
    .bind(shelf.variant.0)
    .bind(shelf.location.as_str())
    .bind(on_hand)
    .bind(reserved)
    .bind(entry.position)
    .execute(conn)
    .await?;
    Ok(())
}

async fn change_line(
    conn: &mut PgConnection,
    tenant: TenantId,
    entry: &Entry,
    shelf: &StockId,
    event: &StockEvent,
) -> anyhow::Result<()> {
    let (reservation, committed, released, expired) = match event {
        StockEvent::Reserved { reservation, quantity, expires_at, .. } => {
            sqlx::query(
                "insert into reservations (tenant_id, reservation_id, variant_id, location, reserved, committed, released,
                                           expired, reserved_at, expires_at, actor, position)
                 values ($1, $2, $3, $4, $5, 0, 0, 0, $6, $7, $8, $9)
                 on conflict (tenant_id, reservation_id, variant_id, location) do update
                     set reserved = reservations.reserved + excluded.reserved, reserved_at = excluded.reserved_at,
                         expires_at = excluded.expires_at, actor = excluded.actor, position = excluded.position",
            )
            .bind(tenant.0)
            .bind(reservation.0)
            .bind(shelf.variant.0)
            .bind(shelf.location.as_str())
            .bind(quantity.units())
            .bind(entry.recorded_at)
            .bind(*expires_at)
            .bind(entry.context(tenant)?.actor)
            .bind(entry.position)
            .execute(conn)
            .await?;
            return Ok(());
        }
        StockEvent::Committed { reservation, quantity, .. } => (reservation, quantity.units(), 0, 0),
        StockEvent::Released { reservation, quantity, .. } => (reservation, 0, quantity.units(), 0),
        StockEvent::Expired { reservation, quantity, .. } => (reservation, 0, 0, quantity.units()),
        StockEvent::Regained { reservation, quantity, .. } => (reservation, 0, 0, -quantity.units()),
        _ => return Ok(()),
    };
    sqlx::query(
        "update reservations
         set committed = committed + $5, released = released + $6, expired = expired + $7, position = $8
         where tenant_id = $1 and reservation_id = $2 and variant_id = $3 and location = $4",
    )
    .bind(tenant.0)
    .bind(reservation.0)
    .bind(shelf.variant.0)
    .bind(shelf.location.as_str())
    .bind(committed)
    .bind(released)
    .bind(expired)
    .bind(entry.position)
    .execute(conn)
    .await?;
    Ok(())
}
