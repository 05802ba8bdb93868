//! The bodies of webhooks that tell of somebody: found a stretch of their table at a time, and destroyed as they were found.
//!
//! No index finds them: to be forgotten is rare, and what was not understood has to be looked through in any case. A stretch
//! ends by what its bodies are long, for these lie outside of the table's own blocks.

use std::time::Instant;

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, PersonId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::operations::erasures::Pace;

/// Bodies that are shown.
const SHOWN_MAX: i64 = 1_000;

/// Whom bodies may tell of.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sought {
    pub(crate) persons: Vec<PersonId>,
    /// What bodies are called that tell of an order of theirs, and not who placed it.
    #[serde(default)]
    pub(crate) orders: Vec<PersonId>,
    /// In small letters.
    pub(crate) addresses: Vec<String>,
    /// Deliveries that tell of them, whatever is understood of their bodies.
    pub(crate) deliveries: Vec<Uuid>,
}

/// Who is sought in bodies that came up to a time, or in all of them.
pub(crate) struct Search {
    pub(crate) sought: Sought,
    /// All whom any delivery of this connection tells of.
    pub(crate) everybody: Option<ConnectionId>,
    pub(crate) until: Option<DateTime<Utc>>,
}

/// Where a search has come to in the table of bodies.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Place {
    /// The file the table lay in then; 0 before it is known. In another file rows stand elsewhere.
    pub(crate) file: i64,
    /// The block to go on from.
    pub(crate) block: i64,
}

/// A body that tells of somebody.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct TellingBody {
    pub delivery_id: Uuid,
    pub received_at: DateTime<Utc>,
}

/// Bodies in a stretch of their table that were understood to tell of somebody or in which an address stands: also one that
/// was not understood, or that nobody here listens to. With a connection, only its own, and of those none that may still be
/// replayed.
///
/// Their tenant is not asked for with `=`: that could be planned as a walk through all of the tenant's, for each stretch
/// anew. The exact search costs ten times the plain one, and only a `case` keeps the order.
const TELLING: &str = r#"
    select t.delivery_id, t.received_at from delivery_bodies t
    where t.ctid >= $1::text::tid and t.ctid < $2::text::tid and t.tenant_id is not distinct from $3
      and (exists (select from unnest($4::uuid[], $5::timestamptz[]) as d (id, until)
                   where d.id = t.delivery_id and coalesce(t.received_at <= d.until, true))
           or exists (select from unnest($6::text[], $7::timestamptz[]) as p (person, until)
                      where p.person = t.person and coalesce(t.received_at <= p.until, true))
           -- History itself and not the read model, which may not know of the newest yet.
           or exists (select from unnest($8::text[], $9::timestamptz[]) as c (id, until)
                      where coalesce(t.received_at <= c.until, true)
                        and c.id = (select e.payload::jsonb->>'connection' from events e
                                    where e.tenant_id = $3 and e.stream = 'delivery/' || t.delivery_id::text
                                    order by e.version limit 1))
           or cardinality($10::text[]) > 0
              and exists (select from (select lower(encode(t.body, 'escape') collate "C") as text offset 0) as b
                          cross join unnest($10::text[], $11::text[], $12::timestamptz[]) as a (part, pattern, until)
                          where coalesce(t.received_at <= a.until, true)
                            and case when position(a.part in b.text) > 0 then b.text ~ a.pattern end))
      and ($13::uuid is null
           or (select d.connection_id = $13 and d.status = 'completed' and d.outcome <> 'unmapped' from deliveries d
               where d.tenant_id = t.tenant_id and d.id = t.delivery_id))
    limit $14"#;

/// What a search is bound to.
#[derive(Default)]
struct Bound<'s> {
    deliveries: Vec<Uuid>,
    deliveries_until: Vec<Option<DateTime<Utc>>>,
    persons: Vec<&'s str>,
    persons_until: Vec<Option<DateTime<Utc>>>,
    everybody: Vec<String>,
    everybody_until: Vec<Option<DateTime<Utc>>>,
    parts: Vec<String>,
    patterns: Vec<String>,
    addresses_until: Vec<Option<DateTime<Utc>>>,
}

impl<'s> Bound<'s> {
    fn of(searches: &'s [Search]) -> Self {
        let mut bound = Self::default();
        for Search { sought, everybody, until } in searches {
            for delivery in &sought.deliveries {
                bound.deliveries.push(*delivery);
                bound.deliveries_until.push(*until);
            }
            for person in sought.persons.iter().chain(&sought.orders) {
                bound.persons.push(person.as_str());
                bound.persons_until.push(*until);
            }
            if let Some(connection) = everybody {
                bound.everybody.push(connection.to_string());
                bound.everybody_until.push(*until);
            }
            for address in &sought.addresses {
                bound.parts.push(part(address));
                bound.patterns.push(pattern(address));
                bound.addresses_until.push(*until);
            }
        }
        bound
    }
}

/// The bodies that tell of somebody, a thousand of them at most.
pub(crate) async fn bodies(
    pool: &PgPool,
    tenant: TenantId,
    sought: &Sought,
    pace: &Pace,
) -> Result<Vec<TellingBody>, sqlx::Error> {
    let searches = [Search { sought: sought.clone(), everybody: None, until: None }];
    let bound = Bound::of(&searches);
    let (mut found, mut block) = (Vec::new(), 0);
    while let Stretch { end: Some(end), .. } = stretch(pool, tenant, block, pace).await? {
        let left = SHOWN_MAX - found.len() as i64;
        found.extend(telling(pool, tenant, &bound, None, (block, end), Some(left)).await?);
        if found.len() as i64 == SHOWN_MAX {
            break;
        }
        block = end;
    }
    Ok(found)
}

/// Destroys the bodies that tell of somebody, from a place in their table on, of one connection or of all. Says how many
/// those were, and where to go on if patience has run out.
pub(crate) async fn destroy_bodies(
    pool: &PgPool,
    tenant: TenantId,
    searches: &[Search],
    connection: Option<ConnectionId>,
    (mut place, pace): (Place, &Pace),
) -> Result<(u64, Option<Place>), sqlx::Error> {
    let (bound, begun) = (Bound::of(searches), Instant::now());
    let mut destroyed = 0;
    loop {
        let Stretch { file, end } = stretch(pool, tenant, place.block, pace).await?;
        if file != place.file && place.block > 0 {
            // The table was written anew meanwhile, and what lay ahead may lie behind.
            place = Place { file, block: 0 };
            continue;
        }
        // What comes after the last block of this moment has come after the wish to be forgotten.
        let Some(end) = end else { return Ok((destroyed, None)) };
        let found = telling(pool, tenant, &bound, connection, (place.block, end), None).await?;
        destroyed += destroy(pool, tenant, &found).await?;
        place = Place { file, block: end };
        if begun.elapsed() >= pace.patience {
            return Ok((destroyed, Some(place)));
        }
    }
}

/// A stretch of the table of bodies.
#[derive(FromRow)]
struct Stretch {
    /// The file the table lies in.
    file: i64,
    /// The block that comes after it; none where the table has ended.
    end: Option<i64>,
}

/// How far one statement may look from a block on: at least through that block, and beyond it as far as blocks and bytes
/// allow.
async fn stretch(pool: &PgPool, tenant: TenantId, from: i64, pace: &Pace) -> Result<Stretch, sqlx::Error> {
    sqlx::query_as(
        "with lengths as (
             -- How long a body is stands in its row, and the body itself is not read.
             select (t.ctid::text::point)[0]::bigint as block, sum(octet_length(t.body)) as bytes
             from delivery_bodies t
             where t.ctid >= $2::text::tid and t.ctid < $3::text::tid and t.tenant_id is not distinct from $1
             group by 1
         ),
         summed as (select block, sum(bytes) over (order by block) as bytes from lengths)
         select pg_relation_filenode('delivery_bodies')::bigint as file,
                case when $4::bigint < pg_relation_size('delivery_bodies') / current_setting('block_size')::bigint
                     then greatest($4 + 1, coalesce((select min(block) from summed where bytes > $6::bigint), $4 + $5::bigint))
                end as \"end\"",
    )
    .bind(tenant.0)
    .bind(tid(from))
    .bind(tid(from + pace.blocks))
    .bind(from)
    .bind(pace.blocks)
    .bind(pace.bytes)
    .fetch_one(pool)
    .await
}

/// The bodies of a stretch that tell of somebody.
async fn telling(
    pool: &PgPool,
    tenant: TenantId,
    bound: &Bound<'_>,
    connection: Option<ConnectionId>,
    (from, end): (i64, i64),
    limit: Option<i64>,
) -> Result<Vec<TellingBody>, sqlx::Error> {
    sqlx::query_as(TELLING)
        .bind(tid(from))
        .bind(tid(end))
        .bind(tenant.0)
        .bind(&bound.deliveries)
        .bind(&bound.deliveries_until)
        .bind(&bound.persons)
        .bind(&bound.persons_until)
        .bind(&bound.everybody)
        .bind(&bound.everybody_until)
        .bind(&bound.parts)
        .bind(&bound.patterns)
        .bind(&bound.addresses_until)
        .bind(connection.map(|connection| connection.0))
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// Destroys bodies as they were found, in a statement of its own: whoever sends one of them again waits for this, and not for
/// the search. What was sent again since is another body.
async fn destroy(pool: &PgPool, tenant: TenantId, found: &[TellingBody]) -> Result<u64, sqlx::Error> {
    if found.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query(
        "delete from delivery_bodies t using unnest($2::uuid[], $3::timestamptz[]) as f (delivery_id, received_at)
         where t.tenant_id = $1 and t.delivery_id = f.delivery_id and t.received_at = f.received_at",
    )
    .bind(tenant.0)
    .bind(found.iter().map(|body| body.delivery_id).collect::<Vec<_>>())
    .bind(found.iter().map(|body| body.received_at).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Where a block begins.
fn tid(block: i64) -> String {
    format!("({block},0)")
}

/// Whether a character of an address is written as itself by everybody who writes JSON.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "@._-".contains(c)
}

/// The longest part of an address that is written the same everywhere: what has it not, has not the address.
fn part(address: &str) -> String {
    let parts = address.split(|c| !is_plain(c));
    parts.max_by_key(|part| part.len()).unwrap_or_default().to_lowercase()
}

/// Marks that hold an address together before its `@`, as letters and digits do. `/`, `=`, `?`, `&` and `#` may stand in an
/// address as well and are left out: they stand before one in links, and nothing tells which it is. Whoever has `b@c.d` also
/// has what tells of `a=b@c.d` destroyed, and so it is with letters beyond ASCII.
const INNER: &str = "!$%'*+-.^_`{|}~";
/// Those of them that are put around a text, as quotes are.
const AROUND: &str = "!$%'*^`{|}~";

/// A regular expression that fits the address as it may stand in a body, with bytes beyond ASCII as `\ooo`, backslashes
/// doubled and letters small. It fits no longer address which only ends or begins like this one.
fn pattern(address: &str) -> String {
    let after = r"(?![a-z0-9-]|\.[a-z0-9])";
    let spelt: String = address.to_lowercase().chars().map(spellings).collect();
    format!("{}{spelt}{after}", before())
}

/// What stands before an address: an end of something else, and then nothing but what is put around it.
fn before() -> String {
    let marks = |marks: &str| marks.chars().map(|mark| format!(r"\{mark}")).collect::<String>();
    let codes = |marks: &str| {
        marks.chars().map(|mark| format!("{:04x}", u32::from(mark))).collect::<Vec<_>>().join("|")
    };
    // What ends an escaped character does not belong to the address after it: `\n`, `\u003c`, a byte beyond ASCII.
    format!(
        r"(?:^|[^a-z0-9{}]|\\[bfnrt]|\\u(?!{})[0-9a-f]{{4}}|\\[0-7]{{3}})(?:[{}]|\\\\u(?:{}))*",
        marks(INNER),
        codes(INNER),
        marks(AROUND),
        codes(AROUND),
    )
}

/// What fits one character of an address, itself or escaped as JSON allows it.
fn spellings(c: char) -> String {
    if is_plain(c) {
        return if c == '.' { r"\.".to_owned() } else { c.to_string() };
    }
    let mut all = match c {
        '/' => r"(?:\\\\)?/".to_owned(),
        _ if c.is_ascii() => format!(r"\{c}"),
        _ => bytes(c),
    };
    all += &escape(c);
    // Postgres makes letters small in ASCII only.
    for capital in c.to_uppercase().filter(|capital| *capital != c) {
        all += &format!("|{}{}", bytes(capital), escape(capital));
    }
    format!("(?:{all})")
}

/// A character beyond ASCII as the format `escape` has its bytes.
fn bytes(c: char) -> String {
    c.encode_utf8(&mut [0; 4]).bytes().fold(String::new(), |text, byte| text + &format!(r"\\{byte:03o}"))
}

/// A character as `\u0026`, or as two of these, after what else it may be.
fn escape(c: char) -> String {
    let units = c.encode_utf16(&mut [0; 2]).to_vec();
    units.into_iter().fold("|".to_owned(), |text, unit| text + &format!(r"\\\\u{unit:04x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_for_in_every_spelling_and_not_as_an_expression() {
        let address = |text| pattern(text).strip_prefix(&before()).expect("what stands before").to_owned();
        let after = r"(?![a-z0-9-]|\.[a-z0-9])";
        assert_eq!(address("R.b-1_@Quay.example"), format!(r"r\.b-1_@quay\.example{after}"));
        assert!(address("r+b@c.d").starts_with(r"r(?:\+|\\\\u002b)b@"));
        assert!(address("r/b@c.d").starts_with(r"r(?:(?:\\\\)?/|\\\\u002f)b@"));
        assert_eq!(spellings('\u{fc}'), r"(?:\\303\\274|\\\\u00fc|\\303\\234|\\\\u00dc)");
        assert!(spellings('\u{1d49e}').ends_with(r"|\\\\ud835\\\\udc9e)"));
    }

    #[test]
    fn what_everybody_writes_the_same_is_looked_for_first() {
        assert_eq!(part("Robin@quay.example"), "robin@quay.example");
        assert_eq!(part("o'brien&co@quay.example"), "co@quay.example");
        assert_eq!(part("r\u{fc}b@q.ex"), "b@q.ex");
        assert_eq!(part("\u{fc}"), "");
    }
}
