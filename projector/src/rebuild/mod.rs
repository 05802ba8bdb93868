//! Rebuilding: a read model grown again from history, beside the live one, and compared with it row by row.
//!
//! The very same code runs with another search path, so that its rows land in the twins in schema `rebuild`. Readers go on
//! with the live rows, and so do those who write them. That the two differ is told, and nothing more, unless somebody has
//! asked for more; then one transaction puts right the rows that differ. No effect is repeated: a read model writes its own
//! tables and nothing else.
//!
//! Where a run has got to is a row of `rebuilds` that moves in the transaction of the rows that are grown. Whoever finds a
//! run that nobody is at goes on with it, wherever its process died. One that has ended is settled: its end becomes an
//! entry, and its rows go unless they differ.

mod fold;
mod follow;
mod pace;
mod program;
mod progress;
mod run;
mod settle;
mod twin;

use std::{ops::ControlFlow, time::Duration};

use onhand_domain::{administration::AdministrationEvent, values::TenantId};
use onhand_infrastructure::{
    ledger::Ledger,
    operations::{Caller, Operations},
    queries::rebuilds::{self, Running, Wanted},
};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use self::follow::stretch;
use self::{
    fold::Known,
    pace::Pacer,
    run::{Run, Tell},
    settle::settle,
};
pub use self::{pace::Pace, twin::DifferingRow};
use crate::{
    ProjectorError,
    registry::{self, ReadModel},
};

/// Positions grown in one transaction. The more there are, the more of what happens to one row becomes one change of it.
pub const STRETCH: i64 = 20_000;

/// What is to become of live rows that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDifference {
    /// They stay as they are; the rebuilt ones stay beside them, for whoever asks to replace them then.
    Keep,
    /// The rebuilt ones take their place.
    Replace,
}

/// A rebuild that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Which run.
    pub id: Uuid,
    /// The position of the entry that says so.
    pub position: i64,
}

/// What a rebuild has found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rebuilt {
    /// Which run.
    pub id: Uuid,
    /// Which read model.
    pub model: &'static str,
    /// For whom.
    pub tenant: TenantId,
    /// As of this position.
    pub position: i64,
    /// Rows it has.
    pub rows: u64,
    /// Rows in which the live one differed.
    pub differences: u64,
    /// The first few of them.
    pub sample: Vec<DifferingRow>,
    /// Whether the live rows that differed were replaced; those of a parked projection always are.
    pub replaced: bool,
    /// How long it took, since it was begun or gone on with.
    pub took: Duration,
}

/// Begins a rebuild for the caller's tenant, and leaves it to [`run()`]. Each is an entry.
pub async fn begin(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
    on_difference: OnDifference,
) -> Result<Begun, ProjectorError> {
    let ledger = operations.ledger();
    let replaces = on_difference == OnDifference::Replace;
    let wanted = Wanted {
        tenant: caller.context.tenant,
        model: model.name,
        replaces,
        actor: &caller.context.actor,
        correlation_id: &caller.context.correlation_id,
    };
    let mut tx = ledger.pool().begin().await?;
    let begun = rebuilds::begin(&mut tx, &wanted, ledger.clock().now()).await?;
    let id = begun.ok_or(ProjectorError::Busy(model.name))?;
    // On record before anybody can take it up.
    let position = note_begun(operations, caller, model, id, replaces).await?;
    tx.commit().await?;
    Ok(Begun { id, position })
}

async fn note_begun(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
    rebuild: Uuid,
    replaces: bool,
) -> Result<i64, ProjectorError> {
    let event = AdministrationEvent::RebuildBegun { projection: model.name.to_owned(), rebuild, replaces };
    Ok(operations.note(Caller { idempotency: None, ..caller }, event).await?.position)
}

/// Ends a rebuild of the caller's tenant before it has come to anything; the live one is left alone. False if it is not
/// under way. That it failed becomes an entry, with who cancelled it.
pub async fn cancel(operations: &Operations, caller: &Caller, id: Uuid) -> Result<bool, ProjectorError> {
    let ledger = operations.ledger();
    let why = format!("cancelled by {}", caller.context.actor);
    Ok(rebuilds::cancel(ledger.pool(), caller.context.tenant, id, &why, ledger.clock().now()).await?)
}

/// Rebuilds one read model for the caller's tenant, or goes on with a rebuild that nobody is at. `progress` is told how far
/// it is, and says whether to go on.
pub async fn rebuild(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
    on_difference: OnDifference,
    progress: impl FnMut(Pace) -> ControlFlow<()> + Send + Sync,
) -> Result<Rebuilt, ProjectorError> {
    rebuild_in_stretches(operations, caller, model, (on_difference, STRETCH), progress).await
}

/// The same in stretches of so many positions.
pub async fn rebuild_in_stretches(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
    (on_difference, stretch): (OnDifference, i64),
    mut progress: impl FnMut(Pace) -> ControlFlow<()> + Send + Sync,
) -> Result<Rebuilt, ProjectorError> {
    let tenant = caller.context.tenant;
    let mut conn = lock(operations.ledger(), model, tenant).await?;
    let rebuilt = match find_or_begin(operations, caller, model, on_difference, &mut conn).await {
        Ok(row) => take_up(operations, model, tenant, (row, stretch), &mut progress).finish(&mut conn).await,
        Err(error) => Err(error),
    };
    unlock(conn).await;
    rebuilt
}

/// The run to go on with: the one under way, or one that is begun now. Only with the lock on the read model.
async fn find_or_begin(
    operations: &Operations,
    caller: Caller,
    model: &ReadModel,
    on_difference: OnDifference,
    conn: &mut PgConnection,
) -> Result<Running, ProjectorError> {
    let tenant = caller.context.tenant;
    let mut row = under_way(operations, model, tenant, conn).await?;
    if row.is_none() {
        match begin(operations, caller.clone(), model, on_difference).await {
            // Somebody has begun one in this very moment: it is ours to go on with, for we have the lock.
            Ok(_) | Err(ProjectorError::Busy(_)) => {}
            Err(error) => return Err(error),
        }
        row = rebuilds::running(conn, tenant, model.name).await?;
    }
    let mut row = row.ok_or(ProjectorError::Busy(model.name))?;
    match (on_difference, row.replaces) {
        // Whoever only wants to know would change live rows.
        (OnDifference::Keep, true) => return Err(ProjectorError::Replacing(model.name)),
        (OnDifference::Replace, false) => {
            note_begun(operations, caller, model, row.id, true).await?;
            rebuilds::insist(conn, tenant, row.id).await?;
            row.replaces = true;
        }
        (OnDifference::Keep, false) | (OnDifference::Replace, true) => {}
    }
    Ok(row)
}

/// Goes on with the rebuild of this model that is under way, and settles those that have ended. None if none is under way.
async fn resume(
    operations: &Operations,
    model: &ReadModel,
    tenant: TenantId,
    mut progress: impl FnMut(Pace) -> ControlFlow<()> + Send + Sync,
) -> Result<Option<Rebuilt>, ProjectorError> {
    let mut conn = lock(operations.ledger(), model, tenant).await?;
    let rebuilt = match under_way(operations, model, tenant, &mut conn).await {
        Ok(Some(row)) => {
            let run = take_up(operations, model, tenant, (row, STRETCH), &mut progress);
            run.finish(&mut conn).await.map(Some)
        }
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    unlock(conn).await;
    rebuilt
}

/// The run that is under way, once those that have ended are settled. Only with the lock on the read model.
async fn under_way(
    operations: &Operations,
    model: &ReadModel,
    tenant: TenantId,
    conn: &mut PgConnection,
) -> Result<Option<Running>, ProjectorError> {
    settle(operations, model, tenant, conn).await?;
    Ok(rebuilds::running(conn, tenant, model.name).await?)
}

fn take_up<'r>(
    operations: &'r Operations,
    model: &'r ReadModel,
    tenant: TenantId,
    (row, stretch): (Running, i64),
    progress: &'r mut Tell<'r>,
) -> Run<'r> {
    let pacer = Pacer::starting_at(row.reached);
    Run { operations, model, tenant, row, stretch, pacer, known: Known::default(), progress }
}

/// Settles rebuilds that have ended, and goes on with every one that was begun and that nobody is at, of all tenants. Says
/// how many have come to their end.
pub async fn go_on(operations: &Operations, stop: &watch::Receiver<bool>) -> Result<u32, ProjectorError> {
    let pool = operations.ledger().pool();
    // Those that have ended first: they do not wait for what may take hours.
    for (tenant, name) in rebuilds::unsettled(pool, false).await? {
        // A newer program may know it, and is left to it.
        let Ok(model) = registry::find(&name) else { continue };
        if let Err(error) = settle_ended(operations, model, tenant).await {
            warn(model, tenant, &error);
        }
    }
    let mut ended = 0;
    for (tenant, name) in rebuilds::unsettled(pool, true).await? {
        if *stop.borrow() {
            break;
        }
        let Ok(model) = registry::find(&name) else { continue };
        let progress = |_| if *stop.borrow() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        match resume(operations, model, tenant, progress).await {
            Ok(rebuilt) => ended += u32::from(rebuilt.is_some()),
            Err(error) => warn(model, tenant, &error),
        }
    }
    Ok(ended)
}

async fn settle_ended(
    operations: &Operations,
    model: &ReadModel,
    tenant: TenantId,
) -> Result<(), ProjectorError> {
    let mut conn = lock(operations.ledger(), model, tenant).await?;
    let settled = settle(operations, model, tenant, &mut conn).await;
    unlock(conn).await;
    settled
}

/// Tells of what did not go on, unless that is as it has to be.
fn warn(model: &ReadModel, tenant: TenantId, error: &ProjectorError) {
    match error {
        ProjectorError::Busy(_)
        | ProjectorError::Behind(_)
        | ProjectorError::Cancelled(_)
        | ProjectorError::Interrupted(_) => {}
        error => tracing::warn!(model = model.name, %tenant, %error, "a rebuild did not come to its end"),
    }
}

/// Works off rebuilds until told to stop; those it leaves are gone on with by whoever is there next.
pub async fn run(operations: Operations, stop: watch::Receiver<bool>) {
    // Two side by side, so that one which takes hours keeps no other one waiting: whoever finds one that somebody is at
    // takes the next.
    tokio::join!(work_off(&operations, stop.clone()), work_off(&operations, stop));
}

async fn work_off(operations: &Operations, mut stop: watch::Receiver<bool>) {
    const LOOK_EVERY: Duration = Duration::from_secs(1);
    while !*stop.borrow() {
        if let Err(error) = go_on(operations, &stop).await {
            tracing::warn!(%error, "rebuilds cannot be gone on with for the moment");
        }
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A connection of its own that holds the lock on this model until [`unlock`].
async fn lock(ledger: &Ledger, model: &ReadModel, tenant: TenantId) -> Result<PgConnection, ProjectorError> {
    let mut pooled = ledger.pool().acquire().await?;
    let (ours,): (bool,) = sqlx::query_as("select pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("rebuild/{}/{tenant}", model.name))
        .fetch_one(&mut *pooled)
        .await?;
    if !ours {
        return Err(ProjectorError::Busy(model.name));
    }
    // Only now: whoever looks in vain, as every process does each second, leaves the pool its connection.
    let mut conn = pooled.detach();
    match prepare(&mut conn).await {
        Ok(()) => Ok(conn),
        Err(error) => {
            unlock(conn).await;
            Err(error.into())
        }
    }
}

/// Stretches are larger than requests, and tables grow too fast for plans of a moment ago. And as statements may be long, the
/// server is to look whether anybody still waits for them, where its system lets it: this process may have died.
async fn prepare(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "set statement_timeout = 0; set lock_timeout = '30s'; set plan_cache_mode = force_custom_plan; set work_mem = '64MB';
         do $$ begin
             perform set_config('client_connection_check_interval', '5s', false);
         exception when invalid_parameter_value then null;
         end $$",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A connection to read over while another one writes. It is none of the pool's, which may be small: a rebuild holds it for
/// hours.
async fn reader(ledger: &Ledger) -> Result<PgConnection, sqlx::Error> {
    Ok(ledger.pool().acquire().await?.detach())
}

/// Lets go of the lock and of its connection. The lock first: the server sees that a connection is closed only a moment later.
async fn unlock(mut conn: PgConnection) {
    if let Err(error) = sqlx::raw_sql("select pg_advisory_unlock_all()").execute(&mut conn).await {
        tracing::debug!(%error, "the lock goes with its connection");
    }
    let _ = conn.close().await;
}
