//! Who calls, and whether the call is signed; and the renewal of the tokens that are checked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Reply, Shop, number, refusal, sign};

/// Calls of an app, which carry and sign neither a token nor a shop.
pub(super) const RENEWAL: &str = "/api/v2/auth/access_token/get";
pub(super) const PUSHES_SHOWN: &str = "/api/v2/push/get_app_push_config";
pub(super) const PUSHES_SET: &str = "/api/v2/push/set_app_push_config";

/// How long a signed call is good for, in seconds.
const GOOD_FOR: u64 = 300;

/// How long an access token is good for, in seconds.
const TOKEN_LASTS: u64 = 14_400;

/// Checks what goes with every call. The errors' names are Shopee's; that they come with HTTP 403 is an assumption.
pub(super) fn checked(shop: &Shop, path: &str, asked: &BTreeMap<String, String>) -> Result<(), Reply> {
    let say = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let settings = &shop.settings;
    let (partner, time) = (say("partner_id"), say("timestamp"));
    let (token, account) = (say("access_token"), say("shop_id"));
    if partner != settings.app {
        return Err(refusal(403, "invalid_partner_id", "no app has this partner_id"));
    }
    let sent: i64 = time.parse().map_err(|_| refusal(403, "error_param", "the timestamp is no number"))?;
    if sent.abs_diff(shop.now().timestamp()) > GOOD_FOR {
        return Err(refusal(403, "error_param", "the timestamp is of another time"));
    }
    let of_app = [RENEWAL, PUSHES_SHOWN, PUSHES_SET].contains(&path);
    let whose = if of_app { String::new() } else { format!("{token}{account}") };
    let message = format!("{partner}{path}{time}{whose}");
    if say("sign") != sign(&settings.app_secret, message.as_bytes()) {
        return Err(refusal(403, "error_sign", "it is not signed like this"));
    }
    if of_app {
        return Ok(());
    }
    if token != settings.access_token {
        return Err(refusal(403, "invalid_acceess_token", "this access_token is not or no longer good"));
    }
    if account != settings.account {
        return Err(refusal(403, "error_auth", "the token is that of another shop"));
    }
    Ok(())
}

/// New tokens. A refresh token is good once.
pub(super) fn renewed(shop: &mut Shop, body: &Value) -> Reply {
    let (partner, account) = (number(&shop.settings.app), number(&shop.settings.account));
    if body["partner_id"].as_u64() != Some(partner) || body["shop_id"].as_u64() != Some(account) {
        return refusal(
            200,
            "error_param",
            "partner_id and shop_id are numbers, and those of the app's shop",
        );
    }
    if body["refresh_token"].as_str() != Some(shop.settings.refresh_token.as_str()) {
        return refusal(200, "error_shop_refresh_token", "this refresh token is not or no longer good");
    }
    let (access, refresh) = (format!("access-{}", shop.number()), format!("refresh-{}", shop.number()));
    (shop.settings.access_token, shop.settings.refresh_token) = (access.clone(), refresh.clone());
    Reply::ok(json!({
        "error": "", "message": "", "request_id": shop.number(), "partner_id": partner, "shop_id": account,
        "access_token": access, "refresh_token": refresh, "expire_in": TOKEN_LASTS,
    }))
}
