//! A search through history: what a filter says, looked up once, and then page after page in either direction.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use onhand_domain::values::TenantId;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::AuditFilter;
use crate::{
    ledger::{Entry, Moment, MomentError, position_at, read},
    queries::QueryError,
};

/// Entries looked through for one page of a search that is not narrowed to streams. A page may then be short, or empty,
/// and yet not the last.
pub(super) const STRETCH: i64 = 20_000;
/// Streams that are followed each by itself. Of what a SKU names no more are looked at; where kinds of streams have more,
/// history is looked through.
const STREAMS_MAX: usize = 500;

/// Kinds of streams that tell what was done to the system and its settings.
const ADMINISTRATIVE: [&str; 6] = ["administration", "connection", "flag", "key", "location", "monitor"];

/// An entry, and the hash of the one before; none before the first.
#[derive(Debug, FromRow)]
pub(super) struct Row {
    #[sqlx(flatten)]
    pub(super) entry: Entry,
    pub(super) previous_hash: Option<Vec<u8>>,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

/// A filter with everything looked up that it speaks of.
pub(super) struct Search {
    pub(super) tenant: TenantId,
    brand: Option<String>,
    pub(super) filter: AuditFilter,
    /// Where they are few: the streams it is narrowed to, each with the version after which to look.
    streams: Option<BTreeMap<String, i64>>,
    /// Entries after this position ..
    pub(super) after: i64,
    /// .. and up to this one.
    pub(super) to: i64,
}

impl Search {
    /// A search in history up to `head`.
    pub(super) async fn new(
        conn: &mut PgConnection,
        (tenant, brand): (TenantId, Option<&str>),
        filter: &AuditFilter,
        head: i64,
    ) -> Result<Self, QueryError> {
        filter.check()?;
        let after = match filter.since.as_deref().map(moment).transpose()? {
            None => 0,
            Some(Moment::Position(position)) => position.saturating_sub(1).max(0),
            // What was recorded at this very time belongs to it.
            Some(Moment::Time(time)) => position_at(conn, tenant, time - TimeDelta::nanoseconds(1)).await?,
        };
        let to = match filter.until.as_deref().map(moment).transpose()? {
            None => head,
            Some(Moment::Position(position)) => position.min(head),
            Some(Moment::Time(time)) => position_at(conn, tenant, time).await?.min(head),
        };
        let streams = streams(conn, (tenant, brand), filter).await?;
        let streams = streams.map(|streams| streams.into_iter().map(|stream| (stream, 0)).collect());
        Ok(Self { tenant, brand: brand.map(str::to_owned), filter: filter.clone(), streams, after, to })
    }

    /// Whether streams are followed each by itself. What a page leaves out then is beyond its last row.
    pub(super) fn by_stream(&self) -> bool {
        self.streams.is_some()
    }

    /// Goes on after these rows, which came the oldest first.
    pub(super) fn pass(&mut self, rows: &[Row]) {
        for Row { entry, .. } in rows {
            self.after = entry.position;
            if let Some(version) = self.streams.as_mut().and_then(|streams| streams.get_mut(&entry.stream)) {
                *version = entry.version;
            }
        }
    }

    /// What fits after one position and up to another, at most `limit`.
    pub(super) async fn rows(
        &self,
        conn: &mut PgConnection,
        (after, to): (i64, i64),
        (order, limit): (Order, i64),
    ) -> Result<Vec<Row>, sqlx::Error> {
        let order = match order {
            Order::NewestFirst => "desc",
            Order::OldestFirst => "asc",
        };
        let fitting = include_str!("../audit_log.sql");
        let sql = match &self.streams {
            None => format!("{fitting} order by e.position {order} limit $13"),
            Some(_) => format!(
                "select r.* from unnest($14::text[], $15::bigint[]) as s (stream, after)
                 cross join lateral (
                     {fitting} and e.stream = s.stream and e.version > s.after order by e.version {order} limit $13
                 ) r
                 order by r.position {order} limit $13"
            ),
        };
        let filter = &self.filter;
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(self.tenant.0)
            .bind(&self.brand)
            .bind(after)
            .bind(to)
            .bind(&filter.action)
            .bind(&filter.entity)
            .bind(filter.administrative)
            .bind(ADMINISTRATIVE.as_slice())
            .bind(&filter.actor)
            .bind(&filter.correlation_id)
            .bind(&filter.source)
            .bind(&filter.address)
            .bind(limit);
        if let Some(streams) = &self.streams {
            let (streams, versions): (Vec<&str>, Vec<i64>) =
                streams.iter().map(|(stream, version)| (stream.as_str(), *version)).unzip();
            query = query.bind(streams).bind(versions);
        }
        query.fetch_all(conn).await
    }
}

/// The streams a filter speaks of; none if it speaks of all, or of too many.
async fn streams(
    conn: &mut PgConnection,
    (tenant, brand): (TenantId, Option<&str>),
    filter: &AuditFilter,
) -> Result<Option<Vec<String>>, QueryError> {
    if let Some(sku) = &filter.sku {
        let mut streams = of_sku(conn, (tenant, brand), sku).await?;
        streams.retain(|stream| filter.stream.as_ref().is_none_or(|wanted| wanted == stream));
        return Ok(Some(streams));
    }
    if let Some(stream) = &filter.stream {
        return Ok(Some(vec![stream.clone()]));
    }
    let kinds = match (&filter.entity, filter.administrative) {
        (Some(entity), _) => vec![entity.as_str()],
        (None, Some(true)) => ADMINISTRATIVE.to_vec(),
        (None, _) => return Ok(None),
    };
    let begun = read::streams_begun(conn, tenant, &kinds, "", STREAMS_MAX as i64 + 1).await?;
    Ok((begun.len() <= STREAMS_MAX).then(|| begun.into_iter().map(|(stream, _)| stream).collect()))
}

/// The claim of a SKU, and the product and the shelves of what it names.
async fn of_sku(
    conn: &mut PgConnection,
    (tenant, brand): (TenantId, Option<&str>),
    sku: &str,
) -> Result<Vec<String>, QueryError> {
    let named: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select v.id, v.product_id from variants v
         join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
         where v.tenant_id = $1 and v.sku = $2 and ($3::text is null or p.brand = $3)",
    )
    .bind(tenant.0)
    .bind(sku)
    .bind(brand)
    .fetch_all(&mut *conn)
    .await?;
    let shelves: Vec<String> = named.iter().map(|(variant, _)| format!("stock/{variant}")).collect();
    let shelves: Vec<&str> = shelves.iter().map(String::as_str).collect();
    let shelves = read::streams_begun(conn, tenant, &shelves, "", STREAMS_MAX as i64).await?;
    let mut streams = vec![format!("sku/{sku}")];
    streams.extend(named.into_iter().map(|(_, product)| format!("product/{product}")));
    streams.extend(shelves.into_iter().map(|(stream, _)| stream));
    Ok(streams)
}

/// A place in history, as a filter says it.
pub(super) fn moment(text: &str) -> Result<Moment, QueryError> {
    text.parse().map_err(|error: MomentError| QueryError::Choice(error.to_string()))
}
