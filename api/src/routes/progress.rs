//! Progress as server-sent events: a look now and then, until there is nothing more to come.

use std::{convert::Infallible, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

/// How often is looked, and for how long one connection may listen.
const EVERY: Duration = Duration::from_millis(500);
const LISTENS_FOR: Duration = Duration::from_mins(30);
/// A look that takes longer is told of as one that failed: a line that has fallen silent does not even say so.
const WITHIN: Duration = Duration::from_secs(5);

/// What a look has found, and whether it is the last.
pub(super) type Look = (Value, bool);

/// Tells what each look finds as `progress`, and that one failed as `unavailable`. It ends with the last one, or where there is nothing
/// any more.
pub(super) fn of<F, E>(
    look: impl Fn() -> F + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send + 'static>
where
    F: Future<Output = Result<Option<Look>, E>> + Send + 'static,
    E: Send,
{
    let until = Instant::now() + LISTENS_FOR;
    let looks = stream::unfold((true, false, look), move |(first, over, look)| async move {
        if over || Instant::now() > until {
            return None;
        }
        if !first {
            sleep(EVERY).await;
        }
        let (event, over) = match timeout(WITHIN, look()).await {
            Ok(Ok(Some((found, last)))) => (Event::default().event("progress").data(found.to_string()), last),
            Ok(Ok(None)) => return None,
            Ok(Err(_)) | Err(_) => (Event::default().event("unavailable").data("{}"), false),
        };
        Some((Ok(event), (false, over, look)))
    });
    Sse::new(looks).keep_alive(KeepAlive::default())
}
