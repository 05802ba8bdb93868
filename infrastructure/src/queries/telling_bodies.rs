//! The bodies of webhooks that tell of somebody: found, and destroyed, a stretch of their table at a time.
//!
//! No index finds them: to be forgotten is rare, and what was not understood has to be looked through in any case.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use onhand_domain::values::{ConnectionId, PersonId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Blocks of the table of bodies that are looked through in one transaction.
const BLOCKS: i64 = 128;
/// Bodies that are shown.
const SHOWN_MAX: i64 = 1_000;

/// Whom bodies may tell of.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sought {
    pub(crate) persons: Vec<PersonId>,
    /// In small letters.
    pub(crate) addresses: Vec<String>,
    /// Deliveries that tell of them, whatever is understood of their bodies.
    pub(crate) deliveries: Vec<Uuid>,
}

/// Who is sought in bodies that came up to a time, or in all of them.
pub(crate) struct Search {
    pub(crate) sought: Sought,
    pub(crate) until: Option<DateTime<Utc>>,
}

/// A body that tells of somebody.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct TellingBody {
    pub delivery_id: Uuid,
    pub received_at: DateTime<Utc>,
}

/// Bodies, as `t`, in a stretch of their table, that were understood to tell of somebody or in which an address stands:
/// also one that was not understood, or that nobody here listens to. With a connection, only its own, and of those none
/// that may still be replayed.
///
/// Their tenant is not asked for with `=`: that could be planned as a walk through all of the tenant's, for each stretch
/// anew. The exact search costs ten times the plain one, and only a `case` keeps the order.
const TELLING: &str = "delivery_bodies t \
     where t.ctid >= $1::text::tid and t.ctid < $2::text::tid and t.tenant_id is not distinct from $3 \
     and (t.delivery_id = any($4) \
          or exists (select from unnest($5::text[], $6::timestamptz[]) as p (person, until) \
                     where p.person = t.person and coalesce(t.received_at <= p.until, true)) \
          or exists (select from (select lower(encode(t.body, 'escape') collate \"C\") as text offset 0) as b \
                     cross join unnest($7::text[], $8::text[], $9::timestamptz[]) as a (part, pattern, until) \
                     where coalesce(t.received_at <= a.until, true) \
                     and case when position(a.part in b.text) > 0 then b.text ~ a.pattern end)) \
     and ($10::uuid is null \
          or (select d.connection_id = $10 and d.status = 'completed' and d.outcome <> 'unmapped' from deliveries d \
              where d.tenant_id = t.tenant_id and d.id = t.delivery_id))";

/// What a search is bound to.
#[derive(Default)]
struct Bound<'s> {
    deliveries: Vec<Uuid>,
    persons: Vec<&'s str>,
    persons_until: Vec<Option<DateTime<Utc>>>,
    parts: Vec<String>,
    patterns: Vec<String>,
    addresses_until: Vec<Option<DateTime<Utc>>>,
}

impl<'s> Bound<'s> {
    fn of(searches: &'s [Search]) -> Self {
        let mut bound = Self::default();
        for Search { sought, until } in searches {
            bound.deliveries.extend(&sought.deliveries);
            for person in &sought.persons {
                bound.persons.push(person.as_str());
                bound.persons_until.push(*until);
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
) -> Result<Vec<TellingBody>, sqlx::Error> {
    let sql = format!("select t.delivery_id, t.received_at from {TELLING} limit $11");
    let searches = [Search { sought: sought.clone(), until: None }];
    let bound = Bound::of(&searches);
    let mut found = Vec::new();
    for first in (0..blocks(pool).await?).step_by(BLOCKS as usize) {
        let rows: Vec<TellingBody> = sqlx::query_as(sqlx::AssertSqlSafe(sql.clone()))
            .bind(format!("({first},0)"))
            .bind(format!("({},0)", first + BLOCKS))
            .bind(tenant.0)
            .bind(&bound.deliveries)
            .bind(&bound.persons)
            .bind(&bound.persons_until)
            .bind(&bound.parts)
            .bind(&bound.patterns)
            .bind(&bound.addresses_until)
            .bind(None::<Uuid>)
            .bind(SHOWN_MAX - found.len() as i64)
            .fetch_all(pool)
            .await?;
        found.extend(rows);
        if found.len() as i64 == SHOWN_MAX {
            break;
        }
    }
    Ok(found)
}

/// Destroys the bodies that tell of somebody, from a block of their table on, of one connection or of all. Says how many
/// those were, and where to go on if patience has run out.
pub(crate) async fn destroy_bodies(
    pool: &PgPool,
    tenant: TenantId,
    searches: &[Search],
    connection: Option<ConnectionId>,
    (from, patience): (i64, Duration),
) -> Result<(u64, Option<i64>), sqlx::Error> {
    let sql = format!("delete from {TELLING}");
    let bound = Bound::of(searches);
    let begun = Instant::now();
    // What comes after the last block of this moment has come after the wish to be forgotten.
    let (mut first, blocks) = (from, blocks(pool).await?);
    let mut destroyed = 0;
    while first < blocks {
        if begun.elapsed() >= patience {
            return Ok((destroyed, Some(first)));
        }
        let done = sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
            .bind(format!("({first},0)"))
            .bind(format!("({},0)", first + BLOCKS))
            .bind(tenant.0)
            .bind(&bound.deliveries)
            .bind(&bound.persons)
            .bind(&bound.persons_until)
            .bind(&bound.parts)
            .bind(&bound.patterns)
            .bind(&bound.addresses_until)
            .bind(connection.map(|connection| connection.0))
            .execute(pool)
            .await?;
        destroyed += done.rows_affected();
        first += BLOCKS;
    }
    Ok((destroyed, None))
}

/// Destroys the bodies of all deliveries of a connection.
pub(crate) async fn destroy_bodies_of(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<u64, sqlx::Error> {
    let mut destroyed = 0;
    for first in (0..blocks(pool).await?).step_by(BLOCKS as usize) {
        let done = sqlx::query(
            "delete from delivery_bodies t
             where t.ctid >= $1::text::tid and t.ctid < $2::text::tid and t.tenant_id is not distinct from $3
               -- History itself and not the read model, which may not know of the newest yet.
               and (select e.payload::jsonb->>'connection' from events e
                    where e.tenant_id = $3 and e.stream = 'delivery/' || t.delivery_id::text
                    order by e.version limit 1) = $4",
        )
        .bind(format!("({first},0)"))
        .bind(format!("({},0)", first + BLOCKS))
        .bind(tenant.0)
        .bind(connection.to_string())
        .execute(pool)
        .await?;
        destroyed += done.rows_affected();
    }
    Ok(destroyed)
}

async fn blocks(pool: &PgPool) -> Result<i64, sqlx::Error> {
    let (blocks,): (i64,) =
        sqlx::query_as("select pg_relation_size('delivery_bodies') / current_setting('block_size')::bigint")
            .fetch_one(pool)
            .await?;
    Ok(blocks)
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

/// A regular expression that fits the address as it may stand in a body, with bytes beyond ASCII as `\ooo`, backslashes
/// doubled and letters small. It fits no longer address which only ends or begins like this one.
fn pattern(address: &str) -> String {
    // What ends an escaped character does not belong to the address after it: `\n`, `\u003c`, a byte beyond ASCII.
    let before = r"(?:^|[^a-z0-9._+-]|\\[bfnrt]|\\u[0-9a-f]{4}|\\[0-7]{3})";
    let after = r"(?![a-z0-9-]|\.[a-z0-9])";
    let spelt: String = address.to_lowercase().chars().map(spellings).collect();
    format!("{before}{spelt}{after}")
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
        let address = |text| pattern(text).split_once("{3})").expect("what stands before").1.to_owned();
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
