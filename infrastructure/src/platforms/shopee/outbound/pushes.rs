//! Which pushes Shopee sends, and where to.
//!
//! That is a setting of our app: one address for all of its shops, and for each kind of push whether it is sent. So a
//! subscription here is a kind of push that is on.

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        super::{
            outbound::{Api, CallError, Subscription},
            read,
        },
        inbound,
    },
    call::{of_app, understood},
};

const SHOWN: &str = "/api/v2/push/get_app_push_config";
const SET: &str = "/api/v2/push/set_app_push_config";

/// What the addresses of all our connections to Shopee have in common; the connection's id follows.
const OURS: &str = "/webhook/shopee/";

/// The pushes that say something of use: orders, banned items, reserved stock.
pub(super) const WANTED: [i64; 3] = [3, 6, 8];

/// The same, of items found at fault and of prices. They are younger than the documented list of what can be set, so
/// Shopee may want them to be switched on in its console.
pub(super) const WANTED_TOO: [i64; 2] = [16, 22];

#[derive(Deserialize)]
struct Config {
    callback_url: Option<String>,
    /// Normal, Warning or Suspended; capitals differ.
    live_push_status: Option<String>,
    push_config_on_list: Option<Vec<Value>>,
}

impl Config {
    fn on(&self) -> Vec<i64> {
        self.push_config_on_list.iter().flatten().filter_map(read::whole).collect()
    }

    fn address(&self) -> &str {
        self.callback_url.as_deref().unwrap_or_default()
    }

    /// Too many pushes could not be delivered, and none is sent any more.
    fn is_suspended(&self) -> bool {
        self.live_push_status.as_ref().is_some_and(|status| status.eq_ignore_ascii_case("suspended"))
    }

    /// Why a person has to see to it before pushes are sent to an address.
    fn hinders(&self, address: &str) -> Option<String> {
        if self.is_suspended() {
            return Some("Shopee has suspended the app's pushes; start them again in its console".to_owned());
        }
        let elsewhere = self.address() != address && !self.on().is_empty();
        elsewhere.then(|| {
            let there = read::word(self.address());
            format!("the pushes of all shops of the app are sent to {there}; end them there first")
        })
    }

    /// Where pushes are to be sent, so that they come to an address of ours: to another one of ours, if they are sent there
    /// already. There is one address for all shops of the app, and whose push it is is told from what it says.
    fn best<'a>(&'a self, address: &'a str) -> &'a str {
        if !self.on().is_empty() && is_beside(self.address(), address) { self.address() } else { address }
    }

    /// Those of some kinds that are not sent there yet.
    fn missing(&self, wanted: &[i64], address: &str) -> Vec<i64> {
        let on = if self.address() == address { self.on() } else { vec![] };
        wanted.iter().filter(|code| !on.contains(code)).copied().collect()
    }
}

/// Whether an address is one of ours like another.
fn is_beside(theirs: &str, ours: &str) -> bool {
    let (Ok(theirs), Ok(ours)) = (Url::parse(theirs), Url::parse(ours)) else { return false };
    let before = |url: &Url| url.path().split_once(OURS).map(|(before, _)| before.to_owned());
    theirs.origin() == ours.origin() && before(&ours).is_some() && before(&theirs) == before(&ours)
}

/// Asks for the pushes this project has a use for. An address that is told something already is not taken from whoever
/// entered it: the pushes of all shops of the app come there, and each of its connections takes in its own.
pub(in super::super) async fn subscribe(api: &Api, address: &str) -> Result<(), CallError> {
    let config = config(api).await?;
    let address = config.best(address);
    if let Some(why) = config.hinders(address) {
        return Err(CallError::person(why));
    }
    let missing = config.missing(&WANTED, address);
    if !missing.is_empty() {
        set(api, &json!({ "callback_url": address, "set_push_config_on": missing })).await?;
    }
    let missing = config.missing(&WANTED_TOO, address);
    if missing.is_empty() {
        return Ok(());
    }
    match set(api, &json!({ "callback_url": address, "set_push_config_on": missing })).await {
        Err(CallError::Never { why }) => {
            tracing::warn!(why, "Shopee does not switch on its pushes of prices through its API");
            Ok(())
        }
        other => other,
    }
}

/// Which pushes are sent, and where to; none while they are suspended.
pub(in super::super) async fn subscriptions(api: &Api) -> Result<Vec<Subscription>, CallError> {
    let config = config(api).await?;
    if config.is_suspended() {
        return Ok(vec![]);
    }
    let one = |code: i64| Subscription {
        id: code.to_string(),
        topic: inbound::name(code),
        address: config.address().to_owned(),
    };
    Ok(config.on().into_iter().map(one).collect())
}

/// Ends a kind of push, for all shops of the app; unless they are sent to another address than the subscription's by now,
/// which is somebody else's.
pub(in super::super) async fn unsubscribe(api: &Api, subscription: &Subscription) -> Result<(), CallError> {
    let config = config(api).await?;
    let code = config.on().into_iter().find(|code| code.to_string() == subscription.id);
    match code.filter(|_| config.address() == subscription.address) {
        Some(code) => set(api, &json!({ "set_push_config_off": [code] })).await,
        None => Ok(()),
    }
}

async fn config(api: &Api) -> Result<Config, CallError> {
    let answer = api.read(of_app(api, SHOWN, None)?).await?;
    let response = understood(api, &answer)?.whole().map_err(|refusal| refusal.error)?;
    serde_json::from_value(response)
        .map_err(|_| CallError::failed("Shopee's answer has no settings of pushes"))
}

async fn set(api: &Api, body: &Value) -> Result<(), CallError> {
    let answer = api.write(of_app(api, SET, Some(body))?).await?;
    let response = understood(api, &answer)?.whole().map_err(|refusal| refusal.error)?;
    match response.get("result").and_then(Value::as_str) {
        Some(result) if result.eq_ignore_ascii_case("success") => Ok(()),
        _ => Err(CallError::failed("Shopee's answer does not say that the pushes are set")),
    }
}
