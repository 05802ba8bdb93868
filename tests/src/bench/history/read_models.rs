//! Read models: followed live from nothing to the head, rebuilt, and as one SQL statement adds them up.

use std::{ops::ControlFlow, time::Instant};

use anyhow::ensure;
use onhand_infrastructure::{ledger::Context, operations::Caller};
use onhand_projector::{OnDifference, find_model, rebuild};

use super::Stage;

/// What `stock_levels` says of each shelf, in the quickest of the ways of writing it that were tried: each payload is looked
/// into once. There are no counts in this history, which a sum could not tell.
const FLOOR: &str = "
    select stream,
           sum(case when name in ('stock.restocked', 'stock.adjusted') then units
                    when name = 'stock.committed' then -units else 0 end)::bigint,
           sum(case when name in ('stock.reserved', 'stock.regained') then units
                    when name in ('stock.committed', 'stock.released', 'stock.expired') then -units else 0 end)::bigint,
           max(position)
    from (
        select stream, name, max(position) as position,
               sum((payload::json->>case name when 'stock.adjusted' then 'delta' else 'quantity' end)::bigint)::bigint as units
        from events
        where tenant_id = $1 and name like 'stock.%'
        group by stream, name
    ) sums
    group by stream";

/// Lets all read models that follow come from nothing to the head, a stretch at a time. Gives entries a second.
pub(super) async fn follow(stage: &Stage<'_>) -> anyhow::Result<f64> {
    // Of its own role the program could only delete, and would leave dead rows behind.
    sqlx::raw_sql("truncate stock_levels, reservations, deliveries, checkpoints")
        .execute(&mut stage.owner().await?)
        .await?;
    stage.settle().await?;
    let head = stage.head().await?.position;
    let begun = Instant::now();
    while stage.onhand.projector.step().await? > 0 {}
    let seconds = begun.elapsed().as_secs_f64();
    let (reached,): (Option<i64>,) =
        sqlx::query_as("select min(position) from checkpoints where tenant_id = $1")
            .bind(stage.tenant.0)
            .fetch_one(stage.onhand.pool())
            .await?;
    ensure!(reached == Some(head), "a read model is at {reached:?}, and the head at {head}");
    Ok(head as f64 / seconds)
}

/// Rebuilds a read model and compares it with the live one, which is not to differ. Gives seconds.
pub(super) async fn rebuild_one(stage: &Stage<'_>, name: &str) -> anyhow::Result<f64> {
    stage.settle().await?;
    let caller = Caller::new(Context::internal(stage.tenant, "bench"));
    let (operations, model) = (&stage.onhand.operations, find_model(name)?);
    let begun = Instant::now();
    let rebuilt =
        rebuild(operations, caller, model, OnDifference::Keep, |_| ControlFlow::Continue(())).await?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(rebuilt.differences == 0, "{name} differs from what grew live: {:?}", rebuilt.sample);
    Ok(seconds)
}

/// Adds up all entries in one SQL statement. Gives the seconds of the better of two tries.
pub(super) async fn floor(stage: &Stage<'_>) -> anyhow::Result<f64> {
    stage.settle().await?;
    let mut conn = stage.owner().await?;
    let mut best = f64::INFINITY;
    let mut sums: Vec<(String, i64, i64, i64)> = vec![];
    for _ in 0..2 {
        let begun = Instant::now();
        sums = sqlx::query_as(FLOOR).bind(stage.tenant.0).fetch_all(&mut conn).await?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    let mut levels: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select 'stock/' || variant_id || '/' || location, on_hand, reserved, position
         from stock_levels where tenant_id = $1",
    )
    .bind(stage.tenant.0)
    .fetch_all(&mut conn)
    .await?;
    sums.sort();
    levels.sort();
    ensure!(sums == levels, "the statement says something else than the read model");
    Ok(best)
}
