//! The only write transaction there is: entries, idempotency answers, outbox rows and the head, or nothing.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use onhand_domain::{
    State, StreamId,
    values::{DeliveryId, PersonId, TenantId},
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    Attachments, Entry, Head, StateTable,
    submission::{self, DeliveryBody, Forgotten, Outcome, PersonKey, SealedSecret},
};
use crate::outbox::{self, Touched};

/// Appends a batch without bodies. Most have none, and the least such a part costs is to be begun and ended.
const APPEND: &str = concat!(include_str!("append.sql"), "select position from head");
/// Appends a batch with the bodies of new deliveries and the keys of persons.
const APPEND_WITH_NEW_BODIES: &str = concat!(
    include_str!("append.sql"),
    include_str!("append_person_keys.sql"),
    include_str!("append_new_bodies.sql"),
    "select position from head"
);
/// The same with bodies of any deliveries.
const APPEND_WITH_BODIES: &str = concat!(
    include_str!("append.sql"),
    include_str!("append_person_keys.sql"),
    include_str!("append_bodies.sql"),
    "select position from head"
);

/// Everything one batch makes true.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    pub(super) answers: Vec<KeptAnswer>,
    pub(super) touched: Touched,
    pub(super) attachments: Attachments,
    /// Streams that have new entries, in a stable order.
    pub(super) streams: BTreeMap<StreamId, ()>,
}

/// What a command with a key came to.
pub(super) struct KeptAnswer {
    pub(super) key_digest: Uuid,
    pub(super) fingerprint: [u8; 32],
    pub(super) position: i64,
    pub(super) outcome: Outcome,
}

impl Batch {
    /// True if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.answers.is_empty() && self.attachments.is_empty()
    }

    /// True if the append statement alone sees to everything.
    pub(super) fn is_plain(&self, tables: &[StateTable]) -> bool {
        !self.touched.beyond_stock()
            && !self.attachments.beyond_bodies()
            && !self.streams.keys().any(|stream| tables.iter().any(|table| (table.covers)(stream)))
    }
}

/// Where a batch starts from, and the time it is.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) tenant: TenantId,
    pub(super) head: Head,
    /// When entries are recorded: never before those there are.
    pub(super) now: DateTime<Utc>,
    /// The time it is, by which something is decided to be due: earlier, where a clock was set back.
    pub(super) at: DateTime<Utc>,
}

impl Base {
    /// From the ledger's end, at this time.
    pub(super) fn at(tenant: TenantId, head: Head, at: DateTime<Utc>) -> Self {
        Self { tenant, now: at.max(head.recorded_at), at, head }
    }

    /// Where the ledger ends once the batch is committed.
    pub(super) fn head_after(&self, batch: &Batch) -> Head {
        match batch.entries.last() {
            Some(last) => Head { position: last.position, hash: last.hash.clone(), recorded_at: self.now },
            None if batch.is_empty() => self.head.clone(),
            None => Head { recorded_at: self.now, ..self.head.clone() },
        }
    }
}

/// Writes a batch in a transaction of its own. False, and nothing written, if the head has moved.
pub(super) async fn commit<'s>(
    conn: &mut PgConnection,
    base: &Base,
    batch: &Batch,
    tables: &[StateTable],
    state: impl Fn(&StreamId) -> Option<&'s State>,
) -> Result<bool, sqlx::Error> {
    if batch.is_plain(tables) {
        return append(conn, base, batch).await;
    }
    let mut tx = conn.begin().await?;
    let unmoved = write(&mut tx, base, batch, tables, state).await?;
    if unmoved {
        tx.commit().await?
    } else {
        tx.rollback().await?
    }
    Ok(unmoved)
}

/// Writes a batch within the caller's transaction.
pub(super) async fn write<'s>(
    conn: &mut PgConnection,
    base: &Base,
    batch: &Batch,
    tables: &[StateTable],
    state: impl Fn(&StreamId) -> Option<&'s State>,
) -> Result<bool, sqlx::Error> {
    if !append(conn, base, batch).await? {
        return Ok(false);
    }
    if batch.is_plain(tables) {
        return Ok(true);
    }
    for table in tables {
        let covered = batch.streams.keys().filter(|stream| (table.covers)(stream));
        let rows = covered.map(|stream| match state(stream) {
            Some(state) => Ok((stream.clone(), state)),
            // A defect of ours; a row that is behind its entries would stay so.
            None => Err(sqlx::Error::Protocol(format!("{stream} has vanished from memory"))),
        });
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        if !rows.is_empty() {
            (table.write)(conn, base.tenant, &rows).await?;
        }
    }
    let Attachments { secrets, forgotten, settlements, owed, follow_ups, followed, .. } = &batch.attachments;
    let position = base.head.position + batch.entries.len() as i64;
    if !settlements.is_empty() {
        // Before new rows are derived: a row that goes back to pending must be there to coalesce with.
        outbox::settle(conn, base.tenant, base.at, settlements).await?;
    }
    if batch.touched.beyond_stock() {
        outbox::derive(conn, base.tenant, position, base.at, &batch.touched).await?;
    }
    if !owed.is_empty() {
        outbox::owe(conn, base.tenant, (position, base.at), owed).await?;
    }
    if !secrets.is_empty() {
        keep_secrets(conn, base.tenant, secrets).await?;
    }
    if !forgotten.is_empty() {
        forget(conn, base.tenant, forgotten).await?;
    }
    if !followed.is_empty() {
        // Before new ones are noted: one of them may be the next page of one that is done.
        outbox::follow_ups::finish(conn, base.tenant, followed).await?;
    }
    if !follow_ups.is_empty() {
        outbox::follow_ups::note(conn, base.tenant, position, follow_ups).await?;
    }
    Ok(true)
}

/// Appends a plain batch in one statement. False, and nothing written, if the head has moved.
pub(super) async fn append(conn: &mut PgConnection, base: &Base, batch: &Batch) -> Result<bool, sqlx::Error> {
    let entries = &batch.entries;
    let answers = &batch.answers;
    let hash = entries.last().map_or(base.head.hash.as_slice(), |entry| entry.hash.as_slice());
    let (variants, locations): (Vec<Uuid>, Vec<&str>) =
        batch.touched.shelves.keys().map(|(variant, location)| (*variant, location.as_str())).unzip();
    let Attachments { bodies, person_keys: keys, .. } = &batch.attachments;
    let plain = bodies.is_empty() && keys.is_empty();
    let text = match plain {
        true => APPEND,
        false if are_new(bodies, entries) => APPEND_WITH_NEW_BODIES,
        false => APPEND_WITH_BODIES,
    };
    let statement = sqlx::query(text)
        .bind(base.tenant.0)
        .bind(base.head.position)
        .bind(base.head.position + entries.len() as i64)
        .bind(hash)
        .bind(base.now)
        .bind(entries.iter().map(|e| e.position).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.event_id).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.stream.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.version).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.name_version).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.recorded_at).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.payload.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.metadata.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.hash.as_slice()).collect::<Vec<_>>())
        .bind(answers.iter().map(|a| a.key_digest).collect::<Vec<_>>())
        .bind(answers.iter().map(|a| a.fingerprint.as_slice()).collect::<Vec<_>>())
        .bind(answers.iter().map(|a| a.position).collect::<Vec<_>>())
        .bind(answers.iter().map(|a| submission::written(&a.outcome)).collect::<Vec<_>>())
        .bind(variants)
        .bind(locations)
        .bind(base.head.recorded_at)
        .bind(batch.touched.shelves.values().map(String::as_str).collect::<Vec<_>>())
        .bind(base.at);
    let statement = if plain { statement } else { with_bodies(statement, bodies, keys) };
    Ok(statement.fetch_optional(conn).await?.is_some())
}

/// Whether none of these deliveries has been here before this batch, and so no body of it.
fn are_new(bodies: &[DeliveryBody], entries: &[Entry]) -> bool {
    let first = entries.iter().filter(|entry| entry.version == 1);
    let new: HashSet<&str> = first.map(|entry| entry.stream.as_str()).collect();
    bodies.iter().all(|body| new.contains(StreamId::Delivery(DeliveryId(body.delivery)).to_string().as_str()))
}

/// The append statement as a query with arguments, or on its way there.
type Statement<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn with_bodies<'q>(statement: Statement<'q>, bodies: &[DeliveryBody], keys: &[PersonKey]) -> Statement<'q> {
    // One batch may hold two attempts of one delivery; one statement may not touch a row twice.
    let bodies: BTreeMap<Uuid, &DeliveryBody> = bodies.iter().map(|body| (body.delivery, body)).collect();
    let bodies: Vec<&DeliveryBody> = bodies.into_values().collect();
    statement
        .bind(bodies.iter().map(|b| b.delivery).collect::<Vec<_>>())
        .bind(bodies.iter().map(|b| b.headers.as_str()).collect::<Vec<_>>())
        .bind(bodies.iter().map(|b| &*b.body).collect::<Vec<_>>())
        .bind(bodies.iter().map(|b| b.person.as_ref().map(PersonId::as_str)).collect::<Vec<_>>())
        .bind(keys.iter().map(|k| k.person.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|k| k.order.0).collect::<Vec<_>>())
        .bind(keys.iter().map(|k| k.connection.0).collect::<Vec<_>>())
        .bind(keys.iter().map(|k| k.address.as_ref().map(PersonId::as_str)).collect::<Vec<_>>())
        .bind(keys.iter().map(|k| k.sealed.key_id.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|k| k.sealed.nonce.as_slice()).collect::<Vec<_>>())
        .bind(keys.iter().map(|k| k.sealed.sealed.as_slice()).collect::<Vec<_>>())
}

/// Destroys the keys to what entries say of some persons, those of this very commit among them.
async fn forget(
    conn: &mut PgConnection,
    tenant: TenantId,
    forgotten: &[Forgotten],
) -> Result<(), sqlx::Error> {
    // A key that is just being sealed anew is waited for, for as long as that one statement takes.
    sqlx::query(
        "delete from person_keys k using unnest($2::text[], $3::timestamptz[]) as f (person, until)
         where k.tenant_id = $1 and k.person = f.person and (f.until is null or k.created_at <= f.until)", // the primary key
    )
    .bind(tenant.0)
    .bind(forgotten.iter().map(|it| it.person.as_str()).collect::<Vec<_>>())
    .bind(forgotten.iter().map(|it| it.until).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn keep_secrets(
    conn: &mut PgConnection,
    tenant: TenantId,
    secrets: &[SealedSecret],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into connection_secrets (tenant_id, connection_id, name, key_id, nonce, sealed)
         select $1, s.* from unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::bytea[]) as s
         on conflict (tenant_id, connection_id, name) do update -- rotation
             set key_id = excluded.key_id, nonce = excluded.nonce, sealed = excluded.sealed",
    )
    .bind(tenant.0)
    .bind(secrets.iter().map(|s| s.connection.0).collect::<Vec<_>>())
    .bind(secrets.iter().map(|s| s.name).collect::<Vec<_>>())
    .bind(secrets.iter().map(|s| s.key_id.as_str()).collect::<Vec<_>>())
    .bind(secrets.iter().map(|s| s.nonce.as_slice()).collect::<Vec<_>>())
    .bind(secrets.iter().map(|s| s.sealed.as_slice()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
