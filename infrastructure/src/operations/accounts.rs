//! Accounts on platforms: whether one answers, and which webhooks it sends to whom.

use onhand_domain::{Refusal, administration::AdministrationEvent, values::ConnectionId};
use serde::Serialize;

use super::{Caller, Operations};
use crate::{
    ledger::{Context, LedgerError},
    platforms::outbound::{CallError, Handle, Subscription, outbound_of},
    queries::{
        connections::{Connected, enabled_connections},
        listings::{any_of, targets},
    },
};

/// How an account has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// `pass`, `fail`, or `unknown` where there is nothing to ask.
    pub status: &'static str,
    /// What was found.
    pub detail: String,
}

impl Operations {
    /// Calls an account's API once, changing nothing over there, and says how it answered. That it was called is on record.
    pub async fn test_connection(&self, caller: Caller, id: ConnectionId) -> Result<Tested, LedgerError> {
        let connection = self.own_connection(&caller, id).await?;
        let tested = self.call_once(&connection).await?;
        let event =
            AdministrationEvent::ConnectionTested { connection: id, status: tested.status.to_owned() };
        self.note(Caller { idempotency: None, ..caller }, event).await?;
        Ok(tested)
    }

    async fn call_once(&self, connection: &Connected) -> Result<Tested, LedgerError> {
        let Some(outbound) = outbound_of(connection.details.platform) else {
            let detail = "nothing is called on this platform; it only tells us things".to_owned();
            return Ok(Tested { status: "unknown", detail });
        };
        let answered = match (self.api(connection), self.any_handle(connection).await?) {
            (Err(error), _) => Err(error),
            (Ok(api), Some(handle)) => {
                let read = outbound.read(&api, &[handle]).await;
                read.into_iter().next().unwrap_or_else(|| Err(CallError::failed("no answer"))).map(|shown| {
                    let quantity = shown
                        .quantity
                        .map_or_else(|| "no quantity".to_owned(), |it| format!("quantity {it}"));
                    let price = shown.price.map_or_else(|| "no price".to_owned(), |it| format!("price {it}"));
                    format!("it shows {quantity} and {price} of a listing")
                })
            }
            (Ok(api), None) if outbound.subscribes() => {
                let known = outbound.subscriptions(&api).await;
                known.map(|known| format!("it sends {} sorts of webhooks", known.len()))
            }
            (Ok(_), None) => {
                let detail = "nothing is listed on it yet that could be looked at".to_owned();
                return Ok(Tested { status: "unknown", detail });
            }
        };
        Ok(match answered {
            Ok(detail) => Tested { status: "pass", detail },
            Err(error) => Tested { status: "fail", detail: error.to_string() },
        })
    }

    async fn any_handle(&self, connection: &Connected) -> Result<Option<Handle>, LedgerError> {
        let (pool, tenant) = (self.ledger().pool(), connection.tenant);
        let Some(listing) = any_of(pool, tenant, connection.id).await? else { return Ok(None) };
        let found = targets(pool, tenant, &[listing]).await?;
        Ok(found.into_values().next().map(|target| target.handle))
    }

    /// The webhooks that an account's platform sends, to us and to others.
    pub async fn subscriptions(
        &self,
        caller: &Caller,
        id: ConnectionId,
    ) -> Result<Vec<Subscription>, LedgerError> {
        let connection = self.own_connection(caller, id).await?;
        let outbound = outbound_of(connection.details.platform).filter(|outbound| outbound.subscribes());
        let Some(outbound) = outbound else { return Ok(vec![]) };
        let api = self.api(&connection).map_err(unusable)?;
        let api = api.following([caller.context.correlation_id.as_str()]);
        Ok(outbound.subscriptions(&api).await.map_err(unreachable)?)
    }

    /// Ends the webhooks that an account's platform sends to us, as far as it can be asked to. A platform that does not answer
    /// keeps nobody from switching a connection off.
    pub(super) async fn unsubscribe(&self, caller: &Caller, connection: &Connected, public_url: &str) {
        let outbound = outbound_of(connection.details.platform).filter(|outbound| outbound.subscribes());
        let (Some(outbound), Ok(api)) = (outbound, self.api(connection)) else { return };
        let api = api.following([caller.context.correlation_id.as_str()]);
        let ours = self.webhook_address(connection, public_url);
        let known = match outbound.subscriptions(&api).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(connection = %connection.id, %error, "its webhooks cannot be ended");
                return;
            }
        };
        for subscription in known.iter().filter(|it| it.address == ours) {
            if let Err(error) = outbound.unsubscribe(&api, subscription).await {
                tracing::warn!(connection = %connection.id, %error, "a webhook cannot be ended");
            }
        }
    }

    /// Asks every platform again for its webhooks: a platform drops those whose deliveries keep failing, and says so to nobody.
    /// What cannot be asked now is asked the next time.
    pub async fn keep_subscribed(&self, public_url: &str) -> Result<(), LedgerError> {
        for (tenant, id) in enabled_connections(self.ledger().pool()).await? {
            let caller = Caller::new(Context::internal(tenant, "subscriptions"));
            match self.subscribe(&caller, id, public_url).await {
                Ok(said) => tracing::debug!(connection = %id, said, "webhooks were asked for again"),
                Err(error) => tracing::warn!(connection = %id, %error, "webhooks cannot be asked for again"),
            }
        }
        Ok(())
    }

    /// Where a connection's webhooks come to.
    pub(super) fn webhook_address(&self, connection: &Connected, public_url: &str) -> String {
        let platform = connection.details.platform;
        format!("{}/webhook/{platform}/{}", public_url.trim_end_matches('/'), connection.id)
    }
}

/// What it takes to call an account is there and cannot be opened.
#[expect(clippy::needless_pass_by_value, reason = "it stands where a function of an error is wanted")]
pub(super) fn unusable(error: CallError) -> Refusal {
    Refusal::conflict("connection.secret", format!("the account cannot be called: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where a function of an error is wanted")]
pub(super) fn unreachable(error: CallError) -> Refusal {
    Refusal::conflict("connection.unreachable", format!("the platform did not do it: {error}"))
}
