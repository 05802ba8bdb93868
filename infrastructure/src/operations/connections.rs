//! Connect, change rules, switch on and off.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    connection::{ConnectionCommand, ConnectionDetails, Platform, SyncRules},
    values::{ConnectionId, TenantId},
};
use serde_json::json;
use uuid::Uuid;

use super::{Caller, Operations};
use crate::{
    ledger::{Attachments, Decision, LedgerError, Receipt, SealedSecret},
    platforms::shopify::outbound::{CallError, Shop},
    queries::connections::{Connected, connected},
    secrets::Secret,
};

/// Topics a Shopify connection listens to.
pub const SHOPIFY_TOPICS: [&str; 7] = [
    "products/create",
    "products/update",
    "products/delete",
    "inventory_levels/update",
    "orders/create",
    "orders/paid",
    "orders/cancelled",
];

/// Clients that are kept; beyond it all are made anew.
const SHOPS_MAX: usize = 1_000;

/// Clients by connection, each with the nonce of the token it holds: a rotated token makes a new client.
#[derive(Default)]
pub(crate) struct Shops {
    clients: Mutex<HashMap<ConnectionId, (Vec<u8>, Shop)>>,
}

/// The secrets of a connection, as its owner gives them.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// What webhooks are signed with.
    pub webhook_secret: Option<Secret>,
    /// What API calls are made with.
    pub access_token: Option<Secret>,
    /// The secret of the seller's app with the platform, where calls need one.
    pub app_secret: Option<Secret>,
}

impl Credentials {
    fn given(self) -> impl Iterator<Item = (&'static str, Secret)> {
        let Self { webhook_secret, access_token, app_secret } = self;
        [("webhook_secret", webhook_secret), ("access_token", access_token), ("app_secret", app_secret)]
            .into_iter()
            .filter_map(|(name, secret)| Some((name, secret?)))
    }
}

impl Operations {
    /// Makes an account known. Nothing is pushed there until it is switched on. Answers with its id.
    pub async fn create_connection(
        &self,
        caller: Caller,
        details: ConnectionDetails,
        rules: SyncRules,
        credentials: Credentials,
    ) -> Result<Receipt, LedgerError> {
        if !caller.may_touch(Some(&details.brand)) {
            return Err(
                Refusal::forbidden("brand.forbidden", "this key may connect its own brand only").into()
            );
        }
        let id = ConnectionId(Uuid::now_v7());
        let tenant = caller.context.tenant;
        self.candidates.forget(&details.platform);
        let secrets = credentials.given().map(|(name, secret)| self.seal(tenant, id, name, &secret));
        let attachments =
            Attachments { secrets: secrets.collect::<Result<_, _>>()?, ..Attachments::default() };
        self.submit(caller, vec![StreamId::Connection(id)], move |lookup, _| {
            let command = ConnectionCommand::Create { details: details.clone(), rules };
            let events = verdict(&id, lookup.connection(&id), command)?;
            Ok(Decision {
                changes: events.into_iter().map(|event| (StreamId::Connection(id), event.into())).collect(),
                answer:
                    json!({ "id": id, "name": details.name, "platform": details.platform, "enabled": false })
                        .into(),
                attachments: attachments.clone(),
                ..Decision::default()
            })
        })
        .await
    }

    fn seal(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        name: &'static str,
        secret: &Secret,
    ) -> Result<SealedSecret, Refusal> {
        let sealed = self.keys.seal(tenant, id, name, secret);
        sealed.map_err(|error| Refusal::invalid("connection.secret", error.to_string()))
    }

    /// Changes secrets. Webhooks signed with the webhook secret of before are let in until it is changed once more: a
    /// platform may go on using it for an hour.
    pub async fn rotate_secrets(
        &self,
        caller: Caller,
        id: ConnectionId,
        credentials: Credentials,
    ) -> Result<Receipt, LedgerError> {
        let tenant = caller.context.tenant;
        let connection = connected(self.ledger().pool(), id).await?;
        let connection =
            connection.filter(|c| c.tenant == tenant && caller.may_touch(Some(&c.details.brand)));
        let connection = connection.ok_or_else(|| unknown(id))?;
        let before = credentials.webhook_secret.as_ref().and_then(|new| {
            let known = self.webhook_secrets(&connection);
            known.into_iter().find(|old| old != new)
        });
        let before = before.map(|before| ("previous_webhook_secret", before));
        let given: Vec<_> = credentials.given().chain(before).collect();
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        let answer = json!({ "id": id, "changed": names });
        let sealed = given.iter().map(|(name, secret)| self.seal(tenant, id, name, secret));
        let attachments =
            Attachments { secrets: sealed.collect::<Result<_, _>>()?, ..Attachments::default() };
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let receipt = self
            .submit(caller, vec![StreamId::Connection(id)], move |lookup, _| {
                let command = ConnectionCommand::RotateSecrets { names: names.clone() };
                let events = verdict(&id, lookup.connection(&id), command)?;
                Ok(Decision {
                    changes: events
                        .into_iter()
                        .map(|event| (StreamId::Connection(id), event.into()))
                        .collect(),
                    answer: answer.clone().into(),
                    attachments: attachments.clone(),
                    ..Decision::default()
                })
            })
            .await?;
        self.connections.forget(&id);
        self.candidates.forget(&connection.details.platform);
        Ok(receipt)
    }

    /// Lets other things flow. What is then owed to listings is pushed.
    pub async fn change_rules(
        &self,
        caller: Caller,
        id: ConnectionId,
        rules: SyncRules,
    ) -> Result<Receipt, LedgerError> {
        self.command_connection(
            caller,
            id,
            ConnectionCommand::ChangeRules(rules),
            json!({ "id": id, "rules": rules }),
        )
        .await
    }

    /// Switches a connection on: subscribes to its webhooks at `public_url`, if given, and pushes everything.
    pub async fn enable_connection(
        &self,
        caller: Caller,
        id: ConnectionId,
        public_url: Option<&str>,
    ) -> Result<Receipt, LedgerError> {
        if let Some(public_url) = public_url {
            self.subscribe(&caller, id, public_url).await?;
        }
        self.command_connection(caller, id, ConnectionCommand::Enable, json!({ "id": id, "enabled": true }))
            .await
    }

    /// Switches a connection off: nothing is pushed there until it is switched on again.
    pub async fn disable_connection(&self, caller: Caller, id: ConnectionId) -> Result<Receipt, LedgerError> {
        self.command_connection(caller, id, ConnectionCommand::Disable, json!({ "id": id, "enabled": false }))
            .await
    }

    async fn command_connection(
        &self,
        caller: Caller,
        id: ConnectionId,
        command: ConnectionCommand,
        answer: serde_json::Value,
    ) -> Result<Receipt, LedgerError> {
        let brand = caller.brand.clone();
        let submitted = self
            .submit(caller, vec![StreamId::Connection(id)], move |lookup, _| {
                let connection = lookup.connection(&id);
                let own =
                    |details: &ConnectionDetails| brand.as_ref().is_none_or(|brand| *brand == details.brand);
                if !connection.details.as_ref().is_some_and(own) {
                    return Err(unknown(id));
                }
                let events = verdict(&id, connection, command.clone())?;
                Ok(Decision {
                    changes: events
                        .into_iter()
                        .map(|event| (StreamId::Connection(id), event.into()))
                        .collect(),
                    answer: answer.clone().into(),
                    ..Decision::default()
                })
            })
            .await;
        self.connections.forget(&id);
        Platform::ALL.iter().for_each(|platform| self.candidates.forget(platform));
        submitted
    }

    async fn subscribe(
        &self,
        caller: &Caller,
        id: ConnectionId,
        public_url: &str,
    ) -> Result<(), LedgerError> {
        let connection = connected(self.ledger().pool(), id).await?;
        let connection =
            connection.filter(|c| c.tenant == caller.context.tenant).ok_or_else(|| unknown(id))?;
        if !caller.may_touch(Some(&connection.details.brand)) {
            return Err(unknown(id).into());
        }
        if connection.details.platform != Platform::Shopify {
            return Ok(());
        }
        let Some(shop) = self.shop(&connection)? else { return Ok(()) };
        let uri = format!("{}/webhook/shopify/{id}", public_url.trim_end_matches('/'));
        for topic in SHOPIFY_TOPICS {
            shop.subscribe(topic, &uri).await.map_err(|error| {
                let why = match error {
                    CallError::Again { why, .. }
                    | CallError::Never { why }
                    | CallError::NeedsPerson { why } => why,
                };
                Refusal::conflict(
                    "connection.unreachable",
                    format!("the shop did not take the subscription: {why}"),
                )
            })?;
        }
        Ok(())
    }

    /// The client for a connection's shop; none if it has no endpoint or no access token.
    ///
    /// One and the same for each connection, so that what is known of its rate limit is known to all calls.
    pub(crate) fn shop(&self, connection: &Connected) -> Result<Option<Shop>, Refusal> {
        let details = &connection.details;
        let endpoint =
            details.endpoint.clone().or_else(|| Some(format!("https://{}", details.account.as_ref()?)));
        let (Some(endpoint), Some(location), Some(sealed)) =
            (endpoint, details.platform_location.clone(), connection.secret("access_token"))
        else {
            return Ok(None);
        };
        let mut shops = self.shops.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((nonce, shop)) = shops.get(&connection.id)
            && *nonce == sealed.nonce
        {
            return Ok(Some(shop.clone()));
        }
        let token = self
            .keys
            .open(connection.tenant, sealed)
            .map_err(|error| Refusal::conflict("connection.secret", error.to_string()))?;
        let version = self.shopify_api_version.clone();
        let shop = Shop::new(self.http.clone(), endpoint, version, token, location);
        if shops.len() >= SHOPS_MAX {
            shops.clear();
        }
        shops.insert(connection.id, (sealed.nonce.clone(), shop.clone()));
        Ok(Some(shop))
    }
}

fn unknown(id: ConnectionId) -> Refusal {
    Refusal::missing("connection.unknown", format!("there is no connection {id}"))
}
