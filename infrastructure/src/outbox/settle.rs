//! The end of a lease: done, again later, or never.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

/// What became of one leased command.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The outbox row.
    pub row: Uuid,
    /// The lease it was taken with; a row that has since been leased by another is left alone.
    pub token: Uuid,
    /// What to do with it.
    pub verdict: Verdict,
}

/// What to do with a command after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The platform shows it.
    Done,
    /// Try again at this time.
    Again {
        /// Not before.
        at: DateTime<Utc>,
        /// What stood in the way.
        error: String,
        /// Whether this attempt counts towards the last one.
        counts: bool,
    },
    /// It cannot be delivered; somebody has to look.
    Dead {
        /// Why.
        error: String,
    },
}

/// Ends leases, in the caller's transaction. Rows whose lease has been taken over stay as they are.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: DateTime<Utc>,
    settlements: &[Settlement],
) -> Result<(), sqlx::Error> {
    let mut rows = Columns::default();
    for settlement in settlements {
        rows.push(settlement);
    }
    sqlx::query(include_str!("settle.sql"))
        .bind(tenant.0)
        .bind(now)
        .bind(rows.ids)
        .bind(rows.tokens)
        .bind(rows.statuses)
        .bind(rows.dues)
        .bind(rows.errors)
        .bind(rows.uncounted)
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    tokens: Vec<Uuid>,
    statuses: Vec<&'static str>,
    dues: Vec<Option<DateTime<Utc>>>,
    errors: Vec<Option<String>>,
    uncounted: Vec<bool>,
}

impl Columns {
    fn push(&mut self, settlement: &Settlement) {
        let (status, due, error, uncounted) = match settlement.verdict.clone() {
            Verdict::Done => ("done", None, None, false),
            Verdict::Again { at, error, counts } => ("pending", Some(at), Some(error), !counts),
            Verdict::Dead { error } => ("dead", None, Some(error), false),
        };
        self.ids.push(settlement.row);
        self.tokens.push(settlement.token);
        self.statuses.push(status);
        self.dues.push(due);
        self.errors.push(error);
        self.uncounted.push(uncounted);
    }
}
