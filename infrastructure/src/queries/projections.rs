//! Projections: how far each read model is, and if one is behind, why.
//!
//! The reason is looked for where it is: who has told it to stand still, what it cannot apply, which transaction holds its
//! checkpoint or the ledger's head.

use chrono::{DateTime, SecondsFormat, Utc};
use onhand_domain::values::TenantId;
use serde::Serialize;
use sqlx::{FromRow, PgPool};

use super::rebuilds::{self, RebuildView};

/// A stretch takes a fraction of this: what has kept a checkpoint for longer is worth a word.
const HELD_SECONDS: i64 = 2;
/// Projectors look several times a second: if nothing has moved for so long, none is at work.
const UNMOVED_SECONDS: i64 = 10;
/// A stretch of a rebuild takes a fraction of this, a comparison of large tables perhaps more.
const REBUILD_UNMOVED_SECONDS: i64 = 60;
/// By it holds are found that are due.
const FINDS_DUE: &str = "reservations";

/// A tenant's read models, and the ledger they follow.
#[derive(Debug, Clone, Serialize)]
pub struct Projections {
    /// What they follow.
    pub ledger: LedgerView,
    /// One row a read model.
    pub data: Vec<ProjectionView>,
}

/// Where a ledger ends, and who waits for its end.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerView {
    /// The newest position.
    pub position: i64,
    /// Appends that wait for a transaction that has locked the head; an append may do so for a moment.
    pub waiting: Vec<Waiting>,
}

/// Transactions that wait for a ledger's head, and the one they wait for.
#[derive(Debug, Clone, Serialize, FromRow)]
pub struct Waiting {
    /// How many wait.
    pub transactions: i64,
    /// How long the first of them has waited, in seconds; none if this is not ours to see.
    pub seconds: Option<i64>,
    /// The server process that has the head.
    pub blocked_by: i32,
    /// What its client calls itself.
    pub application: Option<String>,
    /// What it does: `active`, `idle in transaction`; none if this is not ours to see.
    pub activity: Option<String>,
    /// How old its transaction is, in seconds.
    pub held_seconds: Option<i64>,
    /// All of this in a sentence.
    #[sqlx(default)]
    pub why: String,
}

/// How far a read model is.
#[derive(Debug, Clone, Serialize)]
pub struct ProjectionView {
    /// Its name.
    pub name: String,
    /// `follows`, or `in_commit`: written by each commit itself, and never behind.
    pub kind: &'static str,
    /// `current`, `behind`, `rebuilding`, `paused` or `parked`.
    pub state: &'static str,
    /// Why it is not current, in a sentence.
    pub why: Option<String>,
    /// The last position applied.
    pub position: i64,
    /// Where the ledger ends.
    pub head: i64,
    /// Positions it has not applied.
    pub lag_entries: i64,
    /// The age of the first of them.
    pub lag_seconds: i64,
    /// Since when it has met something that it cannot apply.
    pub parked_at: Option<DateTime<Utc>>,
    /// Who told it to stand still.
    pub paused_by: Option<String>,
    /// Since when.
    pub paused_at: Option<DateTime<Utc>>,
    /// When it last moved.
    pub advanced_at: Option<DateTime<Utc>>,
    /// Its last rebuild.
    pub rebuild: Option<RebuildView>,
}

#[derive(Debug, Clone, Default, FromRow)]
struct Standing {
    name: String,
    follows: bool,
    head: i64,
    position: i64,
    waiting_since: Option<DateTime<Utc>>,
    parked: Option<String>,
    parked_at: Option<DateTime<Utc>>,
    paused_by: Option<String>,
    paused_at: Option<DateTime<Utc>>,
    advanced_at: Option<DateTime<Utc>>,
    holder: Option<i32>,
    application: Option<String>,
    activity: Option<String>,
    held_seconds: Option<i64>,
}

/// A tenant's read models, in the order given; each with its name and whether it follows.
pub async fn list(
    pool: &PgPool,
    tenant: TenantId,
    models: &[(&str, bool)],
    now: DateTime<Utc>,
) -> Result<Projections, sqlx::Error> {
    let (names, follows): (Vec<&str>, Vec<bool>) = models.iter().copied().unzip();
    let mut tx = pool.begin_with("begin read only").await?;
    // The role the program works under is shown nobody's activity; the account it has connected with sees at least its own.
    sqlx::raw_sql("set local role none").execute(&mut *tx).await?;
    let standings: Vec<Standing> = sqlx::query_as(include_str!("projections.sql"))
        .bind(tenant.0)
        .bind(names)
        .bind(follows)
        .fetch_all(&mut *tx)
        .await?;
    let waiting: Vec<Waiting> =
        sqlx::query_as(include_str!("projections_waiting.sql")).bind(tenant.0).fetch_all(&mut *tx).await?;
    let latest = rebuilds::latest(&mut tx, tenant).await?;
    tx.rollback().await?;
    let position = standings.iter().map(|standing| standing.head).max().unwrap_or_default();
    let waiting = waiting.into_iter().map(|waiting| Waiting { why: waiting.why(), ..waiting }).collect();
    let data = standings
        .into_iter()
        .map(|standing| {
            let rebuild = latest.iter().find(|rebuild| rebuild.projection == standing.name).cloned();
            standing.view(rebuild, now)
        })
        .collect();
    Ok(Projections { ledger: LedgerView { position, waiting }, data })
}

/// How far a projection is behind, for the tenant for which it is furthest behind.
#[derive(Debug, Clone, FromRow)]
pub struct Lag {
    /// Which projection.
    pub model: String,
    /// Positions it has not applied.
    pub entries: i64,
    /// The age of the first of them, in seconds.
    pub seconds: f64,
    /// For how many tenants it is parked.
    pub parked: i64,
}

/// How far projections are behind, over all tenants.
pub async fn lags(pool: &PgPool, projections: &[&str], now: DateTime<Utc>) -> Result<Vec<Lag>, sqlx::Error> {
    sqlx::query_as(include_str!("projections_lags.sql")).bind(projections).bind(now).fetch_all(pool).await
}

impl Standing {
    fn view(self, rebuild: Option<RebuildView>, now: DateTime<Utc>) -> ProjectionView {
        let behind = self.position < self.head;
        let running = rebuild.as_ref().filter(|rebuild| rebuild.status == "running");
        let meanwhile = if self.name == FINDS_DUE { "; holds do not end on time meanwhile" } else { "" };
        let (state, why) = match (&self.parked, &self.paused_by, running) {
            (Some(reason), ..) => {
                ("parked", Some(format!("after position {}: {reason}{meanwhile}", self.position)))
            }
            (None, Some(by), _) => {
                ("paused", Some(format!("paused by {by} since {}{meanwhile}", time(self.paused_at))))
            }
            (None, None, Some(_)) if behind => ("rebuilding", Some(self.why_behind(now))),
            (None, None, None) if behind => ("behind", Some(self.why_behind(now))),
            (None, None, Some(running)) => ("rebuilding", Some(growing(running.updated_at, now))),
            (None, None, None) => ("current", None),
        };
        ProjectionView {
            name: self.name,
            kind: if self.follows { "follows" } else { "in_commit" },
            state,
            why,
            position: self.position,
            head: self.head,
            lag_entries: (self.head - self.position).max(0),
            lag_seconds: self.waiting_since.map_or(0, |since| (now - since).num_seconds().max(0)),
            parked_at: self.parked_at.filter(|_| self.parked.is_some()),
            paused_by: self.paused_by,
            paused_at: self.paused_at,
            advanced_at: self.advanced_at,
            rebuild,
        }
    }

    fn why_behind(&self, now: DateTime<Utc>) -> String {
        let since = |moment: DateTime<Utc>| (now - moment).num_seconds();
        // Neither is old on its own when a projection that was idle for an hour has something to do again.
        let waited = self.waiting_since.map_or(0, since);
        let stalled = waited.min(self.advanced_at.map_or(waited, since));
        match self.holder {
            Some(pid) if stalled >= HELD_SECONDS => {
                let held = self.held_seconds.map_or(stalled, |held| held.min(stalled));
                let who = process(pid, self.application.as_deref(), self.activity.as_deref());
                format!("another transaction has held its checkpoint for {held} s ({who})")
            }
            None if stalled >= UNMOVED_SECONDS && self.advanced_at.is_none() => {
                "no projector has moved it yet".to_owned()
            }
            None if stalled >= UNMOVED_SECONDS => {
                format!("no projector has moved it since {}", time(self.advanced_at))
            }
            _ => "catching up".to_owned(),
        }
    }
}

impl Waiting {
    fn why(&self) -> String {
        let who = process(self.blocked_by, self.application.as_deref(), self.activity.as_deref());
        let waits = if self.transactions == 1 { "transaction waits" } else { "transactions wait" };
        let age = self.held_seconds.map(|held| format!(" for {held} s")).unwrap_or_default();
        format!("{} {waits} for the ledger's head, which another one has had{age} ({who})", self.transactions)
    }
}

/// How a rebuild fares that last moved then.
fn growing(moved: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - moved).num_seconds() {
        ..REBUILD_UNMOVED_SECONDS => "it is grown again beside the live one".to_owned(),
        _ => format!(
            "it is grown again beside the live one, but that has not moved since {}",
            time(Some(moved))
        ),
    }
}

/// A server process, as an operator may look for it.
fn process(pid: i32, application: Option<&str>, activity: Option<&str>) -> String {
    let mut told = format!("pid {pid}");
    for more in [application, activity].into_iter().flatten().filter(|text| !text.is_empty()) {
        told = format!("{told}, {more}");
    }
    told
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn behind(waited: i64, unmoved: Option<i64>, now: DateTime<Utc>) -> Standing {
        Standing {
            name: "stock_levels".into(),
            follows: true,
            head: 10,
            position: 7,
            waiting_since: Some(now - TimeDelta::seconds(waited)),
            advanced_at: unmoved.map(|seconds| now - TimeDelta::seconds(seconds)),
            ..Standing::default()
        }
    }

    fn told(standing: Standing, now: DateTime<Utc>) -> (&'static str, String) {
        let view = standing.view(None, now);
        (view.state, view.why.unwrap_or_default())
    }

    #[test]
    fn a_projection_that_has_just_got_something_to_do_is_catching_up_however_long_it_was_idle() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert_eq!(told(behind(1, Some(3_600), now), now), ("behind", "catching up".into()));
        assert_eq!(told(behind(3_600, Some(0), now), now), ("behind", "catching up".into()));
    }

    #[test]
    fn a_projection_that_nobody_moves_says_since_when() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let (_, why) = told(behind(60, Some(120), now), now);
        assert_eq!(why, "no projector has moved it since 1970-01-01T23:58:00Z");
        assert_eq!(told(behind(60, None, now), now).1, "no projector has moved it yet");
    }

    #[test]
    fn whoever_holds_a_checkpoint_is_named_once_it_is_long() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let held = |stalled| Standing {
            holder: Some(4_711),
            application: Some("psql".into()),
            activity: Some("idle in transaction".into()),
            held_seconds: Some(90),
            ..behind(stalled, Some(stalled), now)
        };
        assert_eq!(told(held(1), now).1, "catching up");
        assert_eq!(
            told(held(60), now).1,
            "another transaction has held its checkpoint for 60 s (pid 4711, psql, idle in transaction)"
        );
    }

    #[test]
    fn a_rebuild_that_nobody_moves_says_since_when() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert_eq!(growing(now - TimeDelta::seconds(59), now), "it is grown again beside the live one");
        assert_eq!(
            growing(now - TimeDelta::seconds(60), now),
            "it is grown again beside the live one, but that has not moved since 1970-01-01T23:59:00Z"
        );
    }

    #[test]
    fn of_reservations_that_stand_still_it_is_told_that_holds_do_not_end() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let paused = Standing {
            name: FINDS_DUE.into(),
            paused_by: Some("cli".into()),
            paused_at: Some(now),
            ..behind(60, Some(60), now)
        };
        let (state, why) = told(paused, now);
        assert_eq!(state, "paused");
        assert!(why.ends_with("; holds do not end on time meanwhile"), "{why}");
    }

    #[test]
    fn what_somebody_decided_or_what_cannot_be_applied_goes_before_everything_else() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let paused = Standing {
            paused_by: Some("cli".into()),
            paused_at: Some(now),
            holder: Some(1),
            ..behind(60, Some(60), now)
        };
        assert_eq!(told(paused.clone(), now), ("paused", "paused by cli since 1970-01-02T00:00:00Z".into()));
        let parked = Standing { parked: Some("it is unreadable".into()), ..paused };
        assert_eq!(told(parked, now), ("parked", "after position 7: it is unreadable".into()));
        let current = Standing { position: 10, waiting_since: None, ..behind(0, None, now) };
        assert_eq!(told(current, now), ("current", String::new()));
    }
}
