//! `deliveries`: what came in, through which connection, and what came of it.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use onhand_domain::{
    Event, StreamId,
    delivery::{DeliveryEvent, Received},
};
use onhand_infrastructure::ledger::Entry;
use serde_json::Value;
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use super::without_new;
use crate::{
    ProjectorError,
    registry::{Fact, Stretch},
};

/// The last word on a delivery, as far as a stretch has it.
struct LastWord<'e> {
    received: &'e Received,
    status: &'static str,
    outcome: Option<&'static str>,
    /// A JSON list.
    notes: String,
    reason: Option<&'e str>,
    /// Whether its first entry is in this stretch.
    is_new: bool,
    /// In this stretch.
    attempts: i32,
    correlation_id: String,
    entry: &'e Entry,
}

/// What is to be said of deliveries, by their ids.
type Words<'e> = BTreeMap<Uuid, LastWord<'e>>;

/// Deliveries that are new.
const NEW: &str = include_str!("deliveries.sql");
/// Any deliveries.
const ANY: &str = concat!(include_str!("deliveries.sql"), include_str!("deliveries_known.sql"));

/// Applies a stretch: the last word on each delivery, how often it was tried, and whether it was contradicted.
pub fn apply<'c>(
    conn: &'c mut PgConnection,
    stretch: Stretch<'c>,
) -> BoxFuture<'c, Result<(), ProjectorError>> {
    Box::pin(async move {
        let (words, contradicted) = fold(stretch)?;
        let words = (words, stretch.gently);
        let words = without_new(conn, words, |_, word| word.is_new, |new| bound(NEW, stretch, new)).await?;
        if !words.is_empty() {
            bound(ANY, stretch, &words).execute(&mut *conn).await?;
        }
        if !contradicted.is_empty() {
            sqlx::query("update deliveries set contradicted = true where tenant_id = $1 and id = any($2)")
                .bind(stretch.tenant.0)
                .bind(contradicted)
                .execute(conn)
                .await?;
        }
        Ok(())
    })
}

fn bound<'q>(
    statement: &'static str,
    stretch: Stretch<'_>,
    words: &'q [(Uuid, LastWord<'_>)],
) -> Query<'q, Postgres, PgArguments> {
    let received = || words.iter().map(|(_, word)| word.received);
    sqlx::query(statement)
        .bind(stretch.tenant.0)
        .bind(words.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(received().map(|it| it.connection.0).collect::<Vec<_>>())
        .bind(received().map(|it| it.platform.name()).collect::<Vec<_>>())
        .bind(received().map(|it| it.topic.as_str()).collect::<Vec<_>>())
        .bind(received().map(|it| it.external_id.as_str()).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.status).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.outcome).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.notes.as_str()).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.reason).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.attempts).collect::<Vec<_>>())
        .bind(received().map(|it| it.body_sha256.as_str()).collect::<Vec<_>>())
        .bind(received().map(|it| it.body_bytes).collect::<Vec<_>>())
        .bind(received().map(|it| it.source_address.as_deref()).collect::<Vec<_>>())
        .bind(received().map(|it| it.user_agent.as_deref()).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.correlation_id.as_str()).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.entry.recorded_at).collect::<Vec<_>>())
        .bind(words.iter().map(|(_, word)| word.entry.position).collect::<Vec<_>>())
}

/// The last words by delivery, and which deliveries were contradicted.
fn fold(stretch: Stretch<'_>) -> Result<(Words<'_>, Vec<Uuid>), ProjectorError> {
    let mut words = Words::new();
    let mut contradicted = Vec::new();
    for Fact { entry, stream, event } in stretch.facts {
        let (StreamId::Delivery(id), Event::Delivery(event)) = (stream, event) else { continue };
        let (received, status, outcome, notes, reason) = match event {
            DeliveryEvent::Completed { received, outcome, notes } => {
                (received, "completed", Some(outcome.name()), notes.as_slice(), None)
            }
            DeliveryEvent::Failed { received, reason } => {
                (received, "failed", None, [].as_slice(), Some(reason.as_str()))
            }
            DeliveryEvent::Contradicted { .. } => {
                contradicted.push(id.0);
                continue;
            }
        };
        let (attempts, is_new) =
            words.get(&id.0).map_or((1, entry.version == 1), |word| (word.attempts + 1, word.is_new));
        let notes = Value::from(notes).to_string();
        let correlation_id = entry.context(stretch.tenant)?.correlation_id;
        let word =
            LastWord { received, status, outcome, notes, reason, is_new, attempts, correlation_id, entry };
        words.insert(id.0, word);
    }
    Ok((words, contradicted))
}
