//! Made-up Clover deliveries, with the code that is their only proof, for trials and for tests.

use serde_json::json;

use super::{
    super::adapter::{Made, Sample},
    inbound::AUTH,
};

pub(super) const TOPICS: [&str; 6] = ["I:CREATE", "I:UPDATE", "I:DELETE", "O:CREATE", "O:UPDATE", "O:DELETE"];

/// A delivery that names an item or an order; Clover's bodies name no SKU. What it speaks of is the same for
/// all topics with one sample id.
pub(super) fn sample(topic: &str, sample: &Sample<'_>) -> Option<Made> {
    let topic = TOPICS.into_iter().find(|known| *known == topic)?;
    let (sort, kind) = topic.split_once(':')?;
    // Clover's ids have thirteen characters. The end of a sample's id is what sets it apart.
    let id: String = sample.id.simple().to_string().to_uppercase().chars().skip(19).collect();
    let merchant = sample.details.account.clone().unwrap_or_else(|| id.clone());
    let app = sample.details.app.clone().unwrap_or_else(|| id.clone());
    let event = json!({
        "objectId": format!("{sort}:{id}"), "type": kind, "ts": sample.now.timestamp_millis(),
    });
    let body = json!({ "appId": app, "merchants": { merchant: [event] } });
    let headers = vec![("Content-Type", "application/json".to_owned()), (AUTH, sample.secret.to_owned())];
    Some((headers, body.to_string().into_bytes()))
}
