//! Alerts: thresholds of how pushing fares, crossed and cleared; each crossing is an entry in the connection's history.

use chrono::TimeDelta;
use onhand_domain::{connection::ConnectionCommand, values::ConnectionId, values::TenantId};
use serde_json::json;

use super::{Caller, Operations, connections::LOCKED_OUT, renewals::RENEWAL};
use crate::{
    ledger::{Context, LedgerError},
    queries::{
        renewals,
        sync_health::{self, ConnectionHealth},
        tenants,
    },
};

/// Pushes may be this many seconds behind.
pub const LAG_SECONDS_MAX: i64 = 180;
/// So many attempts in a thousand may fail within a day …
pub const FAILED_PER_MILLE_MAX: i64 = 100;
/// … if there were at least so many pushes that it tells something.
const PUSHES_MIN: i64 = 20;
/// How often thresholds are looked at.
const EVERY: std::time::Duration = std::time::Duration::from_secs(15);

/// Something that is watched: its name, how it stands, and what it may be.
type Watched = (&'static str, i64, i64);

fn watched(health: &ConnectionHealth) -> [Watched; 3] {
    let failed = if health.ended_24h >= PUSHES_MIN { health.failed_per_mille_24h } else { 0 };
    [
        ("lag", health.lag_seconds(), LAG_SECONDS_MAX),
        ("error_rate", failed, FAILED_PER_MILLE_MAX),
        ("dead_letters", health.dead, 0),
    ]
}

/// What is beyond its threshold at the moment.
pub fn amiss(health: &ConnectionHealth) -> Vec<&'static str> {
    if health.is_at_rest() {
        return vec![];
    }
    watched(health).into_iter().filter(|(_, value, limit)| value > limit).map(|(what, ..)| what).collect()
}

/// Whether somebody has to see to its credentials: the platform lets us in no longer, or does not renew them.
pub fn needs_person(health: &ConnectionHealth) -> bool {
    health.alerts.0.iter().any(|what| [LOCKED_OUT, RENEWAL].contains(&what.as_str()))
}

impl Operations {
    /// Looks at every connection of every tenant, and puts on record what has crossed a threshold, in either direction.
    pub async fn watch_connections(&self) -> Result<(), LedgerError> {
        for (tenant, _) in tenants::all(self.ledger().pool()).await? {
            let now = self.ledger().clock().now();
            for health in sync_health::of_connections(self.ledger().pool(), tenant, (None, None), now).await?
            {
                if !health.is_at_rest() {
                    self.watch_connection(tenant, &health).await?;
                }
            }
        }
        Ok(())
    }

    async fn watch_connection(&self, tenant: TenantId, health: &ConnectionHealth) -> Result<(), LedgerError> {
        for (what, value, limit) in watched(health) {
            let what = what.to_owned();
            let raised = health.alerts.0.contains(&what);
            let command = match (value > limit, raised) {
                (true, false) => ConnectionCommand::RaiseAlert { what, value, limit },
                (false, true) => ConnectionCommand::ClearAlert { what },
                _ => continue,
            };
            let caller = Caller::new(Context::internal(tenant, "alerts"));
            self.command_connection(caller, ConnectionId(health.id), command, json!({})).await?;
        }
        Ok(())
    }
}

/// Watches connections and renews credentials until told to stop.
pub async fn run(operations: Operations, mut stop: tokio::sync::watch::Receiver<bool>) {
    let mut watched = operations.ledger().clock().now() - TimeDelta::days(1);
    while !*stop.borrow() {
        match operations.renew().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "credentials cannot be renewed for the moment"),
        }
        let now = operations.ledger().clock().now();
        // Also where the clock was set back meanwhile.
        if (now - watched).abs() >= TimeDelta::from_std(EVERY).unwrap_or_default() {
            watched = now;
            if let Err(error) = renewals::adopt(operations.ledger().pool(), now).await {
                tracing::warn!(%error, "renewals cannot be looked at for the moment");
            }
            if let Err(error) = operations.watch_connections().await {
                tracing::warn!(%error, "connections cannot be watched for the moment");
            }
        }
        tokio::select! {
            _ = stop.changed() => break,
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
        }
    }
}
