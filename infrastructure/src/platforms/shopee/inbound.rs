//! Shopee's pushes: whether a request is genuine, which delivery it is, what it says.
//!
//! Shopee signs the notification URL, a bar and the raw body with the partner key. The time of a push is in
//! that body, but a push that could not be delivered comes again much later with the time it had before. So
//! none is refused for its age; one that somebody repeats has the id it had before, which is signed as well.

use chrono::{DateTime, Utc};
use onhand_domain::{connection::ConnectionDetails, values::ExternalId};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::super::{
    adapter::{Hint, Inbound},
    fact::{Decoded, Fact, Identity, Rejection, Undecodable},
    read, signature,
};

/// The pushes that are known. Shopee has numbers for them, which tell nobody anything.
const NAMES: [(i64, &str); 18] = [
    (1, "shop_authorization"),
    (2, "shop_deauthorization"),
    (3, "order_status"),
    (4, "order_tracking"),
    (5, "shopee_updates"),
    (6, "banned_item"),
    (7, "item_promotion"),
    (8, "reserved_stock"),
    (9, "promotion_update"),
    (10, "webchat"),
    (11, "video_upload"),
    (12, "authorization_expiry"),
    (13, "brand_registration"),
    (15, "shipping_document"),
    (16, "violation_item"),
    (22, "price_update"),
    (27, "scheduled_publish_failed"),
    (28, "shop_penalty"),
];

/// What surrounds every push. Any of its numbers may come as a text.
#[derive(Deserialize)]
struct Push {
    code: Value,
    /// None where the push is about our app and not about a shop.
    shop_id: Option<Value>,
    timestamp: Option<Value>,
    /// Only newer pushes have one.
    msg_id: Option<Value>,
    data: Option<Value>,
}

/// The data of code 3. Its list of items has been empty in every push that was ever shown, so nothing is read
/// from it.
#[derive(Deserialize)]
struct OrderStatus {
    ordersn: ExternalId,
    status: Option<String>,
    #[serde(default)]
    update_time: Value,
}

/// The data of the pushes about an item.
#[derive(Deserialize)]
struct Item {
    item_id: ExternalId,
}

/// Checks that one of the secrets signed the notification URL and the raw body.
///
/// Sources disagree on whether the URL is signed too, so a signature over the body alone is taken as well:
/// neither can be made without the partner key.
pub(super) fn verify(request: &Inbound<'_>) -> Result<(), Rejection> {
    let given: Vec<&str> = signature::values(request.headers, "authorization").collect();
    if given.is_empty() {
        return Err(Rejection::MissingHeader("Authorization"));
    }
    let both = located(request.url, request.body);
    for given in given.iter().filter_map(|given| hex::decode(given).ok()) {
        for (form, message) in [("url and body", both.as_slice()), ("body", request.body)] {
            if signature::signed_by_any(request.secrets, message, &given) {
                tracing::debug!(form, "the signature of a Shopee push fits");
                return Ok(());
            }
        }
    }
    Err(Rejection::BadSignature)
}

/// The message that Shopee signs.
pub(super) fn located(url: &str, body: &[u8]) -> Vec<u8> {
    [url.as_bytes(), b"|".as_slice(), body].concat()
}

/// Says which delivery this is; a body that makes no sense is `unknown` here and refused by [`decode`].
pub(super) fn identify(body: &[u8]) -> Identity {
    let push = read::json::<Push>(body).ok();
    let push = push.as_ref();
    let topic = push.and_then(|push| read::whole(&push.code)).map_or_else(|| "unknown".to_owned(), name);
    let id = push.and_then(|push| id_of(push.msg_id.as_ref()?));
    Identity {
        external_id: match id {
            Some(id) => id.to_string(),
            None => signature::content_id(&[topic.as_bytes(), body]),
        },
        signed: true,
        sent_at: push.and_then(|push| moment(push.timestamp.as_ref()?)),
        topic,
    }
}

/// Understands a genuine body.
pub(super) fn decode(body: &[u8], details: &ConnectionDetails) -> Result<Decoded, Undecodable> {
    let push: Push = read::json(body)?;
    if stranger(&push, details).is_some() {
        // What another shop has sold is nothing of this one's; its own connection takes it in.
        return Ok(Decoded::Facts(vec![]));
    }
    let code = read::whole(&push.code)
        .ok_or_else(|| Undecodable("the code of the push is no whole number".to_owned()))?;
    let fact = match code {
        3 => order(data(push)?),
        // Reserved stock moves with its order, which has a push of its own; so this too is a reason to look.
        6 | 8 | 16 | 22 => {
            let external = data::<Item>(push)?.item_id;
            Fact::Hint(Hint { resource: "product", external, titled: None })
        }
        _ => return Ok(Decoded::UnknownTopic),
    };
    Ok(Decoded::Facts(vec![fact]))
}

/// What is cancelled needs no look; whatever else happens to an order, its lines must be fetched.
fn order(order: OrderStatus) -> Fact {
    match order.status.as_deref() {
        Some("CANCELLED") => {
            let at = moment(&order.update_time);
            Fact::OrderCancelled { external: order.ordersn, buyer: None, at }
        }
        _ => Fact::Hint(Hint { resource: "order", external: order.ordersn, titled: None }),
    }
}

fn data<T: DeserializeOwned>(push: Push) -> Result<T, Undecodable> {
    let data = push.data.ok_or_else(|| Undecodable("the push has no data".to_owned()))?;
    Ok(serde_json::from_value(data)?)
}

/// The other shop that a push is about: one notification URL serves all the shops of an app.
pub(super) fn other_accounts(body: &[u8], details: &ConnectionDetails) -> Vec<String> {
    let Ok(push) = read::json::<Push>(body) else { return vec![] };
    stranger(&push, details).map(|shop| shop.to_string()).into_iter().collect()
}

/// The shop of a push if it is another than the connection's; none where either is not named.
fn stranger(push: &Push, details: &ConnectionDetails) -> Option<ExternalId> {
    let ours = details.account.as_deref()?;
    let shop = push.shop_id.as_ref().or_else(|| push.data.as_ref()?.get("shop_id"));
    shop.and_then(id_of).filter(|shop| shop.as_str() != ours)
}

/// What a kind of push is called here.
pub(super) fn name(code: i64) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("code {code}"), |(_, name)| (*name).to_owned())
}

fn id_of(value: &Value) -> Option<ExternalId> {
    ExternalId::deserialize(value).ok()
}

/// A time since 1970 in seconds, or in milliseconds, which a few fields have; as a number or as a text.
pub(super) fn moment(value: &Value) -> Option<DateTime<Utc>> {
    match read::whole(value)? {
        seconds @ 1..=99_999_999_999 => DateTime::from_timestamp(seconds, 0),
        millis @ 100_000_000_000..=99_999_999_999_999 => DateTime::from_timestamp_millis(millis),
        _ => None,
    }
}
