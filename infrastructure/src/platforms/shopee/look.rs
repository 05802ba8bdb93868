//! Shopee's API: the signed calls that show an order or an item, and what their answers say.
//!
//! What is signed is the partner id, the path, the time, the access token and the shop id, all run together.
//! A call is good for five minutes.

mod items;
mod models;
mod orders;

use axum::http::Method;
use chrono::{DateTime, Utc};
use onhand_domain::{connection::ConnectionDetails, product::Words, values::ExternalId};
use serde::Deserialize;
use serde_json::Value;

use super::super::{
    adapter::{Access, Call, Hint, Titled},
    fact::{Fact, Undecodable},
    read, signature,
};

pub(super) use self::items::{Stock, is_at, price, yes};

/// Where the API is, unless a connection names another place, such as the one for tests.
pub(super) const ENDPOINT: &str = "https://partner.shopeemobile.com";

/// The hint at the models of an item, which are shown by a call of their own.
const MODELS: &str = "models";

/// What a blank in a title became in an id, which has none, with hints of older programs.
const BLANK: char = '␣';

/// What surrounds every answer.
#[derive(Deserialize)]
struct Answer {
    /// Empty if all went well.
    error: Option<String>,
    message: Option<String>,
    #[serde(default)]
    response: Value,
}

/// The call that shows an order, an item or the models of an item.
pub(super) fn look(hint: &Hint, access: &Access<'_>) -> Option<Call> {
    let external = read::escaped(named(hint).0);
    let (path, asked) = match hint.resource {
        "order" => (
            "/api/v2/order/get_order_detail",
            format!(
                "order_sn_list={external}&response_optional_fields=item_list,buyer_user_id,buyer_username"
            ),
        ),
        "product" => ("/api/v2/product/get_item_base_info", format!("item_id_list={external}")),
        MODELS => ("/api/v2/product/get_model_list", format!("item_id={external}")),
        _ => return None,
    };
    let target = format!("{}&{asked}", of_shop(path, access)?);
    Some(Call { method: Method::GET, target, headers: vec![], body: None })
}

/// What a hint is at, and the title that those of older programs at models have behind a bar.
fn named(hint: &Hint) -> (&str, Option<&str>) {
    let text = hint.external.as_str();
    match text.split_once('|').filter(|_| hint.resource == MODELS) {
        Some((item, title)) => (item, Some(title)),
        None => (text, None),
    }
}

/// What the item is called that a hint at models is about, at the latest at the time of the look: the answer lacks it.
fn titled(hint: &Hint, at: DateTime<Utc>) -> Titled {
    let title = || named(hint).1.unwrap_or_default().replace(BLANK, " ");
    let mut titled = hint.titled.clone().unwrap_or_else(|| Titled { title: read::title(&title()), at });
    titled.at = titled.at.min(at);
    titled
}

/// The path of a call for a shop, with who makes it and the signature; none where the connection lacks what it takes.
pub(super) fn of_shop(path: &str, access: &Access<'_>) -> Option<String> {
    let shop = access.details.account.as_deref()?;
    let token = access.token?.reveal();
    let (partner, time, sign) = signed(path, &format!("{token}{shop}"), access)?;
    let (shop, token) = (read::escaped(shop), read::escaped(token));
    Some(format!(
        "{path}?partner_id={partner}&timestamp={time}&access_token={token}&shop_id={shop}&sign={sign}"
    ))
}

/// The same for a call that is about our app and no shop: neither a token nor a shop goes with it.
pub(super) fn of_app(path: &str, access: &Access<'_>) -> Option<String> {
    let (partner, time, sign) = signed(path, "", access)?;
    Some(format!("{path}?partner_id={partner}&timestamp={time}&sign={sign}"))
}

/// The partner id as it goes into a query, the time, and the signature over both, the path and whose call it is.
fn signed(path: &str, whose: &str, access: &Access<'_>) -> Option<(String, i64, String)> {
    let partner = access.details.app.as_deref()?;
    let key = access.app_secret?.reveal();
    let time = access.now.timestamp();
    let message = format!("{partner}{path}{time}{whose}");
    let sign = hex::encode(signature::hmac_sha256(key, message.as_bytes()));
    Some((read::escaped(partner), time, sign))
}

/// Understands what such a call has shown.
pub(super) fn seen(
    hint: &Hint,
    body: &[u8],
    at: DateTime<Utc>,
    details: &ConnectionDetails,
) -> Result<Vec<Fact>, Undecodable> {
    let answer: Answer = read::json(body)?;
    if let Some(error) = read::filled(answer.error) {
        // The name of an error may have that of the part of the API before it.
        if hint.resource != "order" && error.ends_with("error_item_not_found") {
            return Ok(vec![Fact::ProductRemoved { external: of_item(hint)? }]);
        }
        let message = answer.message.unwrap_or_default();
        return Err(Undecodable(format!("Shopee answers {}: {}", read::word(&error), read::word(&message))));
    }
    let response = answer.response;
    match hint.resource {
        "order" => serde_json::from_value::<orders::Orders>(response)?.facts(hint),
        "product" => serde_json::from_value::<items::Items>(response)?.facts(hint, at, details),
        MODELS => serde_json::from_value::<models::Models>(response)?.facts(hint, at, details),
        _ => Ok(vec![]),
    }
}

/// What describes an item by an answer about it, whatever its status; in the words in which looks tell it. None if the
/// answer is about something else.
pub(super) fn words(item: &ExternalId, response: Value) -> Result<Option<Words>, Undecodable> {
    Ok(serde_json::from_value::<items::Items>(response)?.words(item))
}

fn of_item(hint: &Hint) -> Result<ExternalId, Undecodable> {
    ExternalId::new(named(hint).0).map_err(|wrong| Undecodable(wrong.to_string()))
}
