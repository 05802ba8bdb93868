//! Where a ledger begins and ends, and what lies outside of that: no walk along positions comes upon it.

use onhand_domain::values::TenantId;
use sqlx::{FromRow, PgConnection};

use super::super::LedgerError;

/// Where the ledger says that it ends.
pub(super) struct End {
    /// The newest position.
    pub(super) position: i64,
    /// The hash of the entry there.
    pub(super) hash: Vec<u8>,
    /// What is wrong with its time, if that can be seen from history.
    pub(super) misdated: Option<&'static str>,
    /// How much later than now its time is; negative as a rule.
    pub(super) seconds_ahead: Option<i64>,
}

impl End {
    /// None if the row is not there.
    pub(super) async fn of(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Self>, LedgerError> {
        // Not as `Head`: its time may have been made one that no calendar has. It may be later than that of the
        // last entry (a command without entries moves it), and the next entry is dated no earlier.
        #[derive(FromRow)]
        struct Row {
            position: i64,
            hash: Vec<u8>,
            is_time: bool,
            is_earlier: bool,
            seconds_ahead: Option<i64>,
        }
        let found: Option<Row> = sqlx::query_as(
            "select h.position, h.hash, isfinite(h.recorded_at) as is_time,
                    coalesce(h.recorded_at < e.recorded_at, false) as is_earlier,
                    case when isfinite(h.recorded_at)
                         then (extract(epoch from h.recorded_at) - extract(epoch from now()))::bigint end as seconds_ahead
             from ledger_heads h
             left join events e on e.tenant_id = h.tenant_id and e.position = h.position
             where h.tenant_id = $1",
        )
        .bind(tenant.0)
        .fetch_optional(conn)
        .await?;
        Ok(found.map(|Row { position, hash, is_time, is_earlier, seconds_ahead }| {
            let misdated = match (is_time, is_earlier) {
                (false, _) => Some("the head's time is none that a calendar has"),
                (true, true) => Some("the head is dated before the last entry"),
                (true, false) => None,
            };
            Self { position, hash, misdated, seconds_ahead }
        }))
    }
}

/// An entry that was put before the first one by hand: its position is below 1.
pub(super) async fn first_before_all(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> Result<Option<i64>, sqlx::Error> {
    let (first,): (Option<i64>,) = sqlx::query_as(
        "select min(position) from events where tenant_id = $1 -- the primary key, from its beginning",
    )
    .bind(tenant.0)
    .fetch_one(conn)
    .await?;
    Ok(first.filter(|first| *first < 1))
}

/// Where the entries end, whatever the head says; 0 if there are none.
pub(super) async fn last_position(conn: &mut PgConnection, tenant: TenantId) -> Result<i64, sqlx::Error> {
    let (last,): (i64,) =
        sqlx::query_as("select coalesce(max(position), 0) from events where tenant_id = $1")
            .bind(tenant.0)
            .fetch_one(conn)
            .await?;
    Ok(last)
}

/// An entry that was put behind the head by hand. A commit moves the head and adds the entries before it in one instant,
/// and this looks at one instant.
pub(super) async fn first_beyond_head(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> Result<Option<i64>, sqlx::Error> {
    let (first,): (Option<i64>,) = sqlx::query_as(
        "select min(position) from events
         where tenant_id = $1 and position > (select position from ledger_heads where tenant_id = $1)",
    )
    .bind(tenant.0)
    .fetch_one(conn)
    .await?;
    Ok(first)
}
