//! A made-up `TradingView` alert, with the secret in its text, for people who try things out and for tests.

use chrono::SecondsFormat;
use serde_json::json;

use super::{
    super::adapter::{Made, Sample},
    inbound::TOPIC,
};

/// An alert about the sample's SKU, as an author would write it who knows the platform's placeholders.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let now = sample.now.to_rfc3339_opts(SecondsFormat::Secs, true);
    let body = json!({
        "secret": sample.secret, "ticker": sample.sku, "exchange": "QUAY", "interval": "60", "close": 129.5,
        "action": "buy", "order_id": sample.id, "message": "Harbour Runner trades above 129", "timenow": now,
    });
    let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    (topic == TOPIC).then(|| (headers, body.to_string().into_bytes()))
}
