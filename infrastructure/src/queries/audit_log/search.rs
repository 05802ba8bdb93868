//! A search through history: what a filter says, looked up once, and then stretch after stretch in either direction.

use std::collections::HashMap;

use chrono::TimeDelta;
use onhand_domain::values::TenantId;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::AuditFilter;
use crate::{
    ledger::{
        Entry, LedgerError, Moment, MomentError, position_at,
        read::{self, Span},
        versions_at,
    },
    queries::QueryError,
};

/// Entries looked through for one page: of all, or of the streams a search is narrowed to. A page may then be short, or
/// empty, and yet not the last.
const STRETCH: i64 = 20_000;
/// Streams that are followed each by itself. Of what a SKU names no more are looked at; where kinds of streams have more,
/// history is looked through.
const STREAMS_MAX: usize = 500;
/// What the payloads of one page may weigh, in bytes. The last of them may go beyond.
const PAGE_BYTES: i64 = 4_000_000;

/// Kinds of streams that tell what was done to the system and its settings.
const ADMINISTRATIVE: [&str; 6] = ["administration", "connection", "flag", "key", "location", "monitor"];

/// An entry, and the hash of the one before; none before the first.
#[derive(Debug, FromRow)]
pub(super) struct Row {
    #[sqlx(flatten)]
    pub(super) entry: Entry,
    pub(super) previous_hash: Option<Vec<u8>>,
    /// How many there are for this page, whatever they weigh.
    found: i64,
}

/// A page of what fits.
pub(super) struct Found {
    pub(super) rows: Vec<Row>,
    /// Whether the stretch has nothing more.
    pub(super) all: bool,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

/// What is looked through at once.
#[derive(Default)]
pub(super) struct Stretch {
    /// Entries after this position ..
    pub(super) after: i64,
    /// .. and up to this one.
    pub(super) to: i64,
    /// Where those of the streams are few among them: each stream followed by itself.
    spans: Option<Vec<Span>>,
}

impl Stretch {
    /// Goes on after what was found, the oldest first.
    pub(super) fn pass(&mut self, found: &Found) {
        let last = found.rows.last().filter(|_| !found.all);
        self.after = last.map_or(self.to, |row| row.entry.position);
        let passed: HashMap<&str, i64> =
            found.rows.iter().map(|row| (row.entry.stream.as_str(), row.entry.version)).collect();
        for span in self.spans.iter_mut().flatten() {
            span.after = passed.get(span.stream.as_str()).copied().unwrap_or(span.after);
        }
    }
}

/// A filter with everything looked up that it speaks of.
pub(super) struct Search {
    pub(super) tenant: TenantId,
    brand: Option<String>,
    pub(super) filter: AuditFilter,
    /// Where they are few: the streams it is narrowed to.
    streams: Option<Vec<String>>,
    /// Whether most of history is of these streams, so that it is looked through all the same.
    dense: bool,
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
        let (brand, filter) = (brand.map(str::to_owned), filter.clone());
        Ok(Self { tenant, brand, filter, streams, dense: false, after, to })
    }

    /// The first stretch after one position and up to another, of so many entries that one statement may look through
    /// them.
    pub(super) async fn stretch(
        &mut self,
        conn: &mut PgConnection,
        whole: (i64, i64),
        order: Order,
    ) -> Result<Stretch, LedgerError> {
        if let Some(streams) = self.streams.as_ref().filter(|_| !self.dense) {
            let (mut after, mut to) = whole;
            let mut low = versions(conn, self.tenant, streams, after).await?;
            let mut high = versions(conn, self.tenant, streams, to).await?;
            loop {
                let entries: i64 = low.iter().zip(&high).map(|(low, high)| high - low).sum();
                if entries <= STRETCH {
                    let spans = streams.iter().zip(low).zip(high).filter(|((_, low), high)| low < high);
                    let span = |((stream, after), upto): ((&String, i64), i64)| {
                        let stream = stream.clone();
                        Span { stream, after, upto }
                    };
                    return Ok(Stretch { after, to, spans: Some(spans.map(span).collect()) });
                }
                // As far as that many reach if they are spread evenly, and half of it: few guesses are needed.
                let distance = (to - after) / 2 / (entries / STRETCH);
                if distance <= STRETCH {
                    self.dense = (after, to) == whole;
                    break;
                }
                match order {
                    Order::NewestFirst => {
                        after = to - distance;
                        low = versions(conn, self.tenant, streams, after).await?;
                    }
                    Order::OldestFirst => {
                        to = after + distance;
                        high = versions(conn, self.tenant, streams, to).await?;
                    }
                }
            }
        }
        let (after, to) = match (order, whole) {
            (Order::NewestFirst, (after, to)) => (after.max(to.saturating_sub(STRETCH)), to),
            (Order::OldestFirst, (after, to)) => (after, to.min(after.saturating_add(STRETCH))),
        };
        Ok(Stretch { after, to, spans: None })
    }

    /// What fits in a stretch, at most `limit`, and not much more than a page may weigh; one at least, if there is one.
    pub(super) async fn rows(
        &self,
        conn: &mut PgConnection,
        stretch: &Stretch,
        (order, limit): (Order, i64),
    ) -> Result<Found, sqlx::Error> {
        let order = match order {
            Order::NewestFirst => "desc",
            Order::OldestFirst => "asc",
        };
        let fitting = include_str!("../audit_log.sql");
        let found = match (&stretch.spans, &self.streams) {
            (Some(_), _) => format!(
                "select r.* from unnest($15::text[], $16::bigint[], $17::bigint[]) as s (stream, after, upto)
                 cross join lateral (
                     {fitting} and e.stream = s.stream and e.version > s.after and e.version <= s.upto
                     order by e.version {order} limit $13
                 ) r
                 order by r.position {order} limit $13"
            ),
            // The index on streams is kept out of it: a stream may be most of history.
            (None, Some(_)) => {
                format!("{fitting} and e.stream || '' = any($15) order by e.position {order} limit $13")
            }
            (None, None) => format!("{fitting} order by e.position {order} limit $13"),
        };
        // What payloads weigh is known without reading them.
        let sql = format!(
            "select w.*, (select b.hash from events b
                          where b.tenant_id = $1 and b.position = w.position - 1) as previous_hash
             from (select f.*, count(*) over () as found,
                          sum(octet_length(f.payload)) over (order by f.position {order}) as bytes
                   from ({found}) f) w
             where w.bytes - octet_length(w.payload) < $14 order by w.position {order}"
        );
        let filter = &self.filter;
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(self.tenant.0)
            .bind(&self.brand)
            .bind(stretch.after)
            .bind(stretch.to)
            .bind(&filter.action)
            .bind(&filter.entity)
            .bind(filter.administrative)
            .bind(ADMINISTRATIVE.as_slice())
            .bind(&filter.actor)
            .bind(&filter.correlation_id)
            .bind(&filter.source)
            .bind(&filter.address)
            .bind(limit)
            .bind(PAGE_BYTES);
        if let Some(spans) = &stretch.spans {
            query = query
                .bind(spans.iter().map(|span| span.stream.as_str()).collect::<Vec<_>>())
                .bind(spans.iter().map(|span| span.after).collect::<Vec<_>>())
                .bind(spans.iter().map(|span| span.upto).collect::<Vec<_>>());
        } else if let Some(streams) = &self.streams {
            query = query.bind(streams);
        }
        let rows: Vec<Row> = query.fetch_all(conn).await?;
        let all = rows.first().is_none_or(|row| row.found < limit && row.found == rows.len() as i64);
        Ok(Found { rows, all })
    }
}

/// How many entries each stream had at a position.
async fn versions(
    conn: &mut PgConnection,
    tenant: TenantId,
    streams: &[String],
    position: i64,
) -> Result<Vec<i64>, LedgerError> {
    if position <= 0 {
        return Ok(vec![0; streams.len()]);
    }
    let asked: Vec<(String, i64)> = streams.iter().map(|stream| (stream.clone(), position)).collect();
    let versions = versions_at(conn, tenant, &asked).await?;
    Ok(versions.into_iter().map(|(version, _)| version).collect())
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
    // Two variants of one product may have had it.
    streams.sort_unstable();
    streams.dedup();
    Ok(streams)
}

/// A place in history, as a filter says it.
pub(super) fn moment(text: &str) -> Result<Moment, QueryError> {
    text.parse().map_err(|error: MomentError| QueryError::Choice(error.to_string()))
}
