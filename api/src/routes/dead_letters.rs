//! `/api/dead-letters`: deliveries that could not be acted on, and follow-ups that were given up.

use axum::Json;
use onhand_domain::{administration::AdministrationEvent, values::ConnectionId};
use onhand_infrastructure::{
    operations::{
        Caller,
        deliveries::{Replay, ReplayFilter, Replayed},
    },
    queries::{
        deliveries::{self, DeadFollowUp, DeliveryFilter, DeliveryView},
        platform_filter,
    },
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    app::AppState,
    extract::{Ask, Listing, Time},
    problem::Problem,
};

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    platform: Option<String>,
    connection: Option<Uuid>,
    topic: Option<String>,
    from: Option<Time>,
    until: Option<Time>,
    text: Option<String>,
}

/// One page of dead letters, and the newest follow-ups that were given up.
#[derive(Debug, Serialize)]
pub struct DeadLetters {
    data: Vec<DeliveryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    follow_ups: Vec<DeadFollowUp>,
}

/// `GET /api/dead-letters`, newest first, each with why.
pub async fn list(app: AppState, listing: Listing<Filter>) -> Result<Json<DeadLetters>, Problem> {
    listing.fresh(&app, "deliveries").await?;
    let Filter { platform, connection, topic, from, until, text } = listing.filter;
    let status = Some("failed".to_owned());
    let (from, until) = (from.map(Into::into), until.map(Into::into));
    let filter = DeliveryFilter { status, platform, connection, topic, outcome: None, from, until, text };
    let window = &listing.window;
    let page = deliveries::list(app.onhand.pool(), window, &filter).await?;
    let follow_ups = deliveries::dead_follow_ups(app.onhand.pool(), window, &filter).await?;
    Ok(Json(DeadLetters { data: page.data, next_cursor: page.next_cursor, follow_ups }))
}

/// What to look at again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayBody {
    /// These; all of them that the rest of this lets through, where it is left out. An empty list means none.
    ids: Option<Vec<Uuid>>,
    connection: Option<Uuid>,
    platform: Option<String>,
    topic: Option<String>,
    before: Option<Time>,
    /// Deliveries that spoke of what nobody knew, instead of those that failed.
    #[serde(default)]
    unmapped: bool,
    /// Let follow-ups that were given up be tried again, too: all of them, or those of the connection.
    #[serde(default)]
    follow_ups: bool,
    #[serde(default)]
    dry_run: bool,
    /// The `was_at` of the last one of the call before, to go on there.
    #[serde(default)]
    after: i64,
    /// At most 200, the oldest first.
    limit: Option<i64>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    dry_run: bool,
    replayed: Vec<Replayed>,
    follow_ups_revived: u64,
}

/// `POST /api/dead-letters/replay`: looks again, from the bytes as they came.
pub async fn replay(app: AppState, ask: Ask<ReplayBody>) -> Result<Json<Outcome>, Problem> {
    let ReplayBody { ids, connection, platform, topic, before, unmapped, follow_ups, dry_run, after, limit } =
        ask.body;
    let before = before.map(Into::into);
    platform_filter(platform.as_deref())?;
    if topic.as_deref().is_some_and(|topic| topic.contains('\0')) {
        return Err(Problem::bad_request("filter.invalid", "a topic has no U+0000 in it"));
    }
    let filter = ReplayFilter { ids, connection, platform, topic, before, unmapped, but_prices: false };
    let caller = ask.caller;
    let replay = Replay { filter, dry_run, after, limit: limit.unwrap_or(100) };
    let replayed = app.onhand.operations.replay(&caller, &replay).await?;
    let mut follow_ups_revived = 0;
    if follow_ups {
        let (tenant, brand) = (caller.context.tenant, caller.brand.as_deref());
        follow_ups_revived =
            deliveries::revive_follow_ups(app.onhand.pool(), tenant, brand, connection, dry_run).await?;
    }
    if !dry_run && (!replayed.is_empty() || follow_ups_revived > 0) {
        let event = AdministrationEvent::DeadLettersReplayed {
            connection: connection.map(ConnectionId),
            deliveries: replayed.len() as u64,
            follow_ups: follow_ups_revived,
        };
        app.onhand.operations.note(Caller { idempotency: None, ..caller }, event).await?;
    }
    Ok(Json(Outcome { dry_run, replayed, follow_ups_revived }))
}
