//! Reading history, in order, a bounded page at a time.

use onhand_domain::values::TenantId;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{Entry, LedgerError};

const COLUMNS: &str = "position, event_id, stream, version, name, name_version, recorded_at, \
                       payload, metadata, hash";

/// Entries after `position`, at most `limit`, in order.
///
/// Positions have no gaps and follow commits, so a reader that goes on from the last position it saw
/// misses nothing.
pub async fn after(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    limit: i64,
) -> Result<Vec<Entry>, LedgerError> {
    let sql = format!(
        "select {COLUMNS} from events where tenant_id = $1 and position > $2 order by position limit $3"
    );
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(position)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// Entries after one position and up to another of some kinds (`stock`, `delivery`), in order.
pub async fn between(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: i64,
    to: i64,
    kinds: &[&str],
) -> Result<Vec<Entry>, LedgerError> {
    let sql = format!(
        "select {COLUMNS} from events
         where tenant_id = $1 and position > $2 and position <= $3
           and split_part(name, '.', 1) = any($4) order by position"
    );
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(after)
        .bind(to)
        .bind(kinds)
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// The streams of one kind after `after`, at most `limit`, in the order of their bytes.
pub async fn streams_of_kind(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, LedgerError> {
    let begun = streams_begun(conn, tenant, &[kind], after, limit).await?;
    Ok(begun.into_iter().map(|(stream, _)| stream).collect())
}

/// Streams whose names begin with one of these and a slash (`stock`, `stock/<variant>`), after `after`, at most `limit`,
/// in the order of their bytes; each with the position of its first entry.
///
/// What it takes goes by the number of streams, not of entries.
pub async fn streams_begun(
    conn: &mut PgConnection,
    tenant: TenantId,
    prefixes: &[&str],
    after: &str,
    limit: i64,
) -> Result<Vec<(String, i64)>, LedgerError> {
    let rows = sqlx::query_as(include_str!("streams_begun.sql"))
        .bind(tenant.0)
        .bind(prefixes)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// Entries of one stream after `version`, at most `limit`, in order.
pub async fn stream(
    conn: &mut PgConnection,
    tenant: TenantId,
    stream: &str,
    version: i64,
    limit: i64,
) -> Result<Vec<Entry>, LedgerError> {
    let sql = format!(
        "select {COLUMNS} from events
         where tenant_id = $1 and stream = $2 and version > $3 order by version limit $4"
    );
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(stream)
        .bind(version)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// A stretch of one stream.
#[derive(Debug, Clone)]
pub struct Span {
    /// Which stream.
    pub stream: String,
    /// The version after which it begins.
    pub after: i64,
    /// The version with which it ends.
    pub upto: i64,
}

/// Entries of shelves that speak of some reservations, in order; looked for in these stretches.
pub async fn of_reservations(
    conn: &mut PgConnection,
    tenant: TenantId,
    spans: &[Span],
    reservations: &[uuid::Uuid],
) -> Result<Vec<Entry>, LedgerError> {
    let sql = format!(
        "select {COLUMNS} from unnest($2::text[], $3::bigint[], $4::bigint[]) as s (shelf, after, upto)
         join events e on e.tenant_id = $1 and e.stream = s.shelf and e.version > s.after and e.version <= s.upto
         where (e.payload::json->>'reservation')::uuid = any($5) order by e.position"
    );
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(spans.iter().map(|span| span.stream.as_str()).collect::<Vec<_>>())
        .bind(spans.iter().map(|span| span.after).collect::<Vec<_>>())
        .bind(spans.iter().map(|span| span.upto).collect::<Vec<_>>())
        .bind(reservations)
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// The shelves a reservation took units from, read from history itself.
///
/// The read model answers for everything up to its checkpoint; what was appended since is searched here.
pub async fn shelves_of_reservation(
    conn: &mut PgConnection,
    tenant: TenantId,
    reservation: onhand_domain::values::ReservationId,
) -> Result<Vec<String>, sqlx::Error> {
    let rows: Vec<PgRow> = sqlx::query(
        "select 'stock/' || variant_id || '/' || location as stream from reservations
         where tenant_id = $1 and reservation_id = $2
         union
         select stream from events
         where tenant_id = $1 and name = 'stock.reserved' and payload::json->>'reservation' = $2::text
           and position > coalesce(
               (select position from checkpoints where tenant_id = $1 and model = 'reservations'), 0)",
    )
    .bind(tenant.0)
    .bind(reservation.0)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.try_get("stream")).collect()
}

/// The streams there are from one name to another, both included.
pub async fn streams_between(
    conn: &mut PgConnection,
    tenant: TenantId,
    first: &str,
    last: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select stream from events
         where tenant_id = $1 and stream between $2 and $3 and version = 1 -- events_tenant_id_stream_version_key",
    )
    .bind(tenant.0)
    .bind(first)
    .bind(last)
    .fetch_all(conn)
    .await
}

/// Every tenant, with where its ledger ends.
pub async fn heads(conn: &mut PgConnection) -> Result<Vec<(TenantId, i64)>, LedgerError> {
    let rows: Vec<(uuid::Uuid, i64)> =
        sqlx::query_as("select tenant_id, position from ledger_heads order by tenant_id")
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|(tenant, position)| (TenantId(tenant), position)).collect())
}
