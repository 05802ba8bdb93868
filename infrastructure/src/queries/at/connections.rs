//! Connections as they were. What it takes to speak to them is no part of their history.

use onhand_domain::{State, StreamId, connection::Connection, values::ConnectionId};
use sqlx::{PgPool, types::Json};

use crate::{
    ledger::{read, states_at},
    queries::{Page, QueryError, Window, connections::ConnectionView, gathering::Gathering},
};

/// A tenant's connections as they were at a position, by id.
pub async fn list(pool: &PgPool, window: &Window, position: i64) -> Result<Page<ConnectionView>, QueryError> {
    let mut conn = pool.acquire().await?;
    let mut page = Gathering::new(window, window.after::<String>()?);
    while let Some((wanted, after)) = page.next() {
        let after = after.unwrap_or_default();
        let streams = read::streams_begun(&mut conn, window.tenant, &["connection"], &after, wanted).await?;
        let begun = streams.iter().filter(|(_, first)| *first <= position);
        let ids: Vec<StreamId> = begun.filter_map(|(stream, _)| stream.parse().ok()).collect();
        let mut states = states_at(&mut conn, window.tenant, position, ids.clone()).await?;
        let connection = |id: StreamId| match (&id, states.remove(&id)?.state) {
            (StreamId::Connection(id), State::Connection(connection)) => view(*id, *connection),
            _ => None,
        };
        let visible = |it: &ConnectionView| window.brand.as_ref().is_none_or(|bound| *bound == it.brand);
        let connections = ids.into_iter().filter_map(connection).filter(visible).collect();
        page.take(
            connections,
            (wanted, streams.len()),
            streams.into_iter().next_back().map(|(stream, _)| stream),
        );
    }
    Ok(page.page(|connection| format!("connection/{}", connection.id)))
}

/// None for one that was not made yet.
fn view(id: ConnectionId, connection: Connection) -> Option<ConnectionView> {
    let details = connection.details?;
    Some(ConnectionView {
        id: id.0,
        platform: details.platform.name().to_owned(),
        name: details.name,
        brand: details.brand,
        account: details.account,
        app: details.app,
        endpoint: details.endpoint,
        platform_location: details.platform_location.map(|id| id.to_string()),
        location: details.location.to_string(),
        market: details.market.to_string(),
        currency: details.currency.to_string(),
        enabled: connection.enabled,
        paused: connection.paused,
        rules: Json(connection.rules),
    })
}
