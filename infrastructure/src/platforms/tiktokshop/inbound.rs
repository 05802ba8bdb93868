//! `TikTok` Shop's webhooks: whether a request is genuine, which delivery it is, what it says.
//!
//! The app secret signs the app key followed by the raw body. The time of a notice is in that body, but one
//! that could not be delivered comes again as late as twelve hours after it with the time it had before. So
//! none is refused for its age; one that somebody repeats has the id it had before, which is signed as well.

use chrono::{DateTime, Utc};
use onhand_domain::values::ExternalId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::super::{
    adapter::{Hint, Inbound},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    read, signature,
};

/// A change of how many there are of a SKU; the only notice that may come without its type.
const INVENTORY_CHANGE: i64 = 68;

/// The notices that are known. They come with numbers, which tell nobody anything.
const NAMES: [(i64, &str); 19] = [
    (1, "order_status_change"),
    (2, "reverse_status_change"),
    (3, "recipient_address_change"),
    (4, "package_update"),
    (5, "product_status_change"),
    (6, "seller_deauthorization"),
    (7, "authorization_expiring"),
    (11, "cancellation_status_change"),
    (12, "return_status_change"),
    (15, "product_information_change"),
    (16, "product_creation"),
    (18, "product_category_change"),
    (21, "inbound_fbt_order_change"),
    (24, "fbt_inventory_update"),
    (27, "inventory_status_change"),
    (37, "product_audit_status_change"),
    (39, "activity_status_change"),
    (67, "refund_success"),
    (INVENTORY_CHANGE, "inventory_change"),
];

/// The data of the notices about an order.
#[derive(Deserialize)]
struct Order {
    order_id: ExternalId,
    order_status: Option<String>,
    cancel_status: Option<String>,
    #[serde(default)]
    update_time: Value,
}

/// The data of the notices about a product, whose id is a number in some and a text in others.
#[derive(Deserialize)]
struct Product {
    product_id: ExternalId,
    /// Of use in one of them; whatever the others have under this name is passed over.
    status: Option<Value>,
}

/// Checks that one of the secrets signed the app key and the raw body.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
    let given: Vec<&str> = signature::values(request.headers, "authorization").collect();
    if given.is_empty() {
        return Err(Rejection::MissingHeader("Authorization"));
    }
    let app = request.details.app.as_deref().ok_or(Rejection::BadSignature)?;
    let message = keyed(app, request.body);
    let mut given = given.iter().filter_map(|given| hex::decode(given).ok());
    if given.any(|given| signature::signed_by_any(request.secrets, &message, &given)) {
        Ok(())
    } else {
        Err(Rejection::BadSignature)
    }
}

/// The message that is signed.
pub(super) fn keyed(app: &str, body: &[u8]) -> Vec<u8> {
    [app.as_bytes(), body].concat()
}

/// Says which delivery this is; a body that makes no sense is `unknown` here and refused by [`decode`].
pub(super) fn identify(body: &[u8]) -> Identity {
    let notice = read::json::<Value>(body).unwrap_or_default();
    let topic = kind(&notice).map_or_else(|| "unknown".to_owned(), name);
    let id = notice.get("tts_notification_id").or_else(|| notice.get("event_id"));
    Identity {
        external_id: match id.and_then(|id| ExternalId::deserialize(id).ok()) {
            Some(id) => id.to_string(),
            None => signature::content_id(&[topic.as_bytes(), body]),
        },
        signed: true,
        sent_at: sent_at(&notice),
        topic,
    }
}

/// Understands a genuine body.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, Undecodable> {
    let notice: Value = read::json(body)?;
    let kind =
        kind(&notice).ok_or_else(|| Undecodable("the body has no type that is a whole number".to_owned()))?;
    Ok(match kind {
        1 => Decoded::Facts(vec![order(data(notice)?)]),
        11 => Decoded::Facts(cancellation(data(notice)?)),
        5 => Decoded::Facts(vec![product(data(notice)?)]),
        15 | 16 | 27 | 37 | INVENTORY_CHANGE => {
            let external = data::<Product>(notice)?.product_id;
            Decoded::Facts(vec![Fact::Hint(Hint { resource: "product", external, titled: None })])
        }
        _ => Decoded::UnknownTopic,
    })
}

/// What is cancelled needs no look; whatever else happens to an order, its lines must be fetched.
fn order(order: Order) -> Fact {
    match order.order_status.as_deref() {
        Some("CANCELLED" | "CANCEL") => {
            let at = moment(&order.update_time);
            Fact::OrderCancelled { external: order.order_id, buyer: None, at }
        }
        _ => Fact::Hint(Hint { resource: "order", external: order.order_id, titled: None }),
    }
}

/// A cancellation that went through may be that of some lines only, so the order must be looked at; one that
/// is asked for or was turned down changes nothing.
fn cancellation(order: Order) -> Vec<Fact> {
    let status = order.cancel_status.unwrap_or_default();
    if status.contains("SUCCESS") || status.contains("COMPLETE") {
        vec![Fact::Hint(Hint { resource: "order", external: order.order_id, titled: None })]
    } else {
        vec![]
    }
}

fn product(product: Product) -> Fact {
    match product.status.as_ref().and_then(Value::as_str) {
        Some("DELETED") => Fact::ProductRemoved { external: product.product_id },
        _ => Fact::Hint(Hint { resource: "product", external: product.product_id, titled: None }),
    }
}

/// The type of a notice. That of a changed inventory was published without what surrounds all the others, and
/// is known by the figures it has.
fn kind(notice: &Value) -> Option<i64> {
    match notice.get("type") {
        Some(kind) => read::whole(kind),
        None => notice.get("quantity_snapshot_after_change").map(|_| INVENTORY_CHANGE),
    }
}

/// What a notice is about, which is all of it where nothing surrounds it.
fn data<T: DeserializeOwned>(mut notice: Value) -> Result<T, Undecodable> {
    let data = match notice.get_mut("data") {
        Some(data) => data.take(),
        None => notice,
    };
    Ok(serde_json::from_value(data)?)
}

fn name(kind: i64) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == kind);
    known.map_or_else(|| format!("type {kind}"), |(_, name)| (*name).to_owned())
}

fn sent_at(notice: &Value) -> Option<DateTime<Utc>> {
    let sent = notice.get("timestamp").and_then(moment);
    sent.or_else(|| read::time(notice.get("occurred_at")?.as_str()?))
}

/// A time in seconds since 1970, as a number or as a text.
pub(super) fn moment(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = read::whole(value).filter(|seconds| (1..=99_999_999_999).contains(seconds))?;
    DateTime::from_timestamp(seconds, 0)
}
