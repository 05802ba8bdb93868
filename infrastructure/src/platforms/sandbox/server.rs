//! The HTTP side of a stand-in: what goes wrong on purpose, what is too much, what is answered.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    serve as serve_http,
};
use futures_util::stream;
use serde_json::Value;

use super::{
    door::{Cut, Door},
    faults::SILENCE_MAX,
    stand::{AtWork, Core},
    wire::{Reply, Request},
};

/// The largest request body that is read.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) async fn serve(door: Door, core: Arc<Core>) {
    let routes = Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(core);
    if let Err(error) = serve_http(door, routes.into_make_service_with_connect_info::<Cut>()).await {
        tracing::warn!(%error, "a stand-in stopped serving");
    }
}

async fn answer(
    State(core): State<Arc<Core>>,
    ConnectInfo(line): ConnectInfo<Cut>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let at_work = AtWork::on(&core);
    let (faults, settings) = (&core.faults, core.faults.settings());
    let too_many = core.counts(method != Method::GET, &headers);
    if settings.down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if faults.strikes(|faults| faults.drop_connection_rate) {
        return hang_up(&line);
    }
    if let Some(status) = faults.takes_failure() {
        return StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    }
    let forced = faults.takes_throttle();
    if forced {
        core.throttled();
    }
    if let Some(after) = too_many.or_else(|| forced.then_some(Duration::from_secs(1))) {
        return said(core.wire.throttled(Some(after).filter(|_| !settings.no_retry_after)), Duration::ZERO);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.status().into_response(),
    };
    let request = Request {
        method,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: body.to_vec(),
    };
    let silent = faults.takes_silence();
    let work = {
        let core = Arc::clone(&core);
        let delay = Duration::from_millis(settings.delay_ms).min(SILENCE_MAX);
        async move {
            let _at_work = at_work;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            core.with(|shop| core.wire.answer(shop, &request))
        }
    };
    // A task of its own, because a caller that gives up does not stop the platform from applying what it was sent.
    let Ok(reply) = tokio::spawn(work).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if silent {
        tokio::time::sleep(SILENCE_MAX).await;
    }
    if silent || faults.strikes(|faults| faults.drop_after_applying_rate) {
        return hang_up(&line);
    }
    said(reply, Duration::from_millis(settings.slow_body_ms).min(SILENCE_MAX))
}

fn hang_up(line: &Cut) -> Response {
    line.cut();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// The answer, its last byte as late as it is to be.
fn said(reply: Reply, slow: Duration) -> Response {
    let text = if reply.body == Value::Null { String::new() } else { reply.body.to_string() };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    let body = if slow.is_zero() || text.len() < 2 {
        Body::from(text)
    } else {
        let parts = [text[..1].to_owned(), text[1..].to_owned()];
        Body::from_stream(stream::unfold(parts.into_iter().enumerate(), move |mut parts| async move {
            let (number, part) = parts.next()?;
            if number > 0 {
                tokio::time::sleep(slow).await;
            }
            Some((Ok::<_, std::convert::Infallible>(part), parts))
        }))
    };
    builder.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
