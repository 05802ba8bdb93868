//! Connect, change rules, switch on and off.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use onhand_domain::{
    Refusal, StreamId,
    administration::AdministrationEvent,
    aggregate::verdict,
    connection::{ConnectionCommand, ConnectionDetails, Platform, SyncRules},
    values::{ConnectionId, TenantId},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    Caller, Operations,
    accounts::{unreachable, unusable},
    renewals::{RENEWAL, renew_at},
};
use crate::{
    ledger::{Attachments, Context, Decision, Ledger, LedgerError, Receipt, SealedSecret, Submission},
    outbox::{
        self, breakers,
        budgets::{self, Taken},
    },
    platforms::{
        adapter_of, is_svix_secret,
        outbound::{Account, Api, CallError, Limit, Permits, outbound_of},
    },
    queries::{
        connections::{Connected, SECRET_NAMES, connected},
        renewals,
    },
    relay::breaker::Turn,
    secrets::Secret,
};

/// What is amiss while a platform lets us in no longer.
pub(super) const LOCKED_OUT: &str = "locked_out";

/// What is said of webhooks when a connection is switched on.
const SUBSCRIBED: &str = "subscribed";
const BY_HAND: &str = "enter the connection's webhook address on the platform";

/// What a name on a platform and a secret may weigh.
const TEXT_BYTES_MAX: usize = 255;
const SECRET_BYTES_MAX: usize = 4_096;
/// The least that a secret weighs which is written over in what it lets in: no word or number that stands there, and not to
/// be guessed.
const ALERT_SECRET_BYTES_MIN: usize = 16;

/// Clients that are kept; beyond it all are made anew.
const APIS_MAX: usize = 1_000;

/// Clients by connection, each with the nonces of the secrets it holds: rotated secrets make a new client.
#[derive(Default)]
pub(crate) struct Apis {
    clients: Mutex<HashMap<ConnectionId, (Nonces, Api)>>,
}

type Nonces = Vec<Vec<u8>>;

/// Leave to call one account, from the allowance that all processes share.
struct SharedPermits {
    // Not the operations: they hold the clients, and each client holds this.
    ledger: Ledger,
    tenant: TenantId,
    connection: ConnectionId,
    limits: &'static [Limit],
}

impl Permits for SharedPermits {
    fn take(&self) -> BoxFuture<'_, Result<(), CallError>> {
        Box::pin(async move {
            let account = (self.tenant, self.connection);
            for limit in self.limits {
                match budgets::take(self.ledger.pool(), account, *limit, self.ledger.clock().now()).await {
                    Ok(Taken::Granted { low: false }) => {}
                    Ok(Taken::Granted { low: true }) => self.note_low(i64::from(limit.calls)).await,
                    Ok(Taken::Wait(after)) => {
                        return Err(CallError::wait(after, "the calls that the platform grants are used up"));
                    }
                    // Not the platform's failure, and nothing was called.
                    Err(_) => {
                        let why = "the shared allowance of calls cannot be asked for the moment";
                        return Err(CallError::wait(Duration::from_secs(5), why));
                    }
                }
            }
            Ok(())
        })
    }
}

impl SharedPermits {
    /// Puts on record that a day's calls come to an end. A failure of this keeps nobody from calling.
    async fn note_low(&self, limit: i64) {
        let id = self.connection;
        let noted = self
            .ledger
            .submit(Submission {
                context: Context::internal(self.tenant, "relay"),
                idempotency: None,
                reads: vec![StreamId::Connection(id)],
                fresh: vec![],
                decide: Arc::new(move |lookup, _| {
                    let command = ConnectionCommand::NoteBudget { limit };
                    let events = verdict(&id, lookup.connection(&id), command)?;
                    Ok(Decision {
                        changes: events
                            .into_iter()
                            .map(|event| (StreamId::Connection(id), event.into()))
                            .collect(),
                        ..Decision::default()
                    })
                }),
            })
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, connection = %id, "four fifths of a day's calls are used, and it is not on record");
        }
    }
}

/// The secrets of a connection, as its owner gives them.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// What webhooks are signed with.
    pub webhook_secret: Option<Secret>,
    /// What API calls are made with.
    pub access_token: Option<Secret>,
    /// What a new access token is asked for with, where access tokens end.
    pub refresh_token: Option<Secret>,
    /// How long the access token is good for, where that is known.
    pub access_token_lasts: Option<TimeDelta>,
    /// The secret of the seller's app with the platform, where calls need one.
    pub app_secret: Option<Secret>,
}

impl Credentials {
    /// Refuses what no platform could have given, and nobody should have chosen.
    fn check(&self, platform: Platform) -> Result<(), Refusal> {
        for (what, secret) in self.clone().given() {
            let bytes = match (platform, what) {
                (Platform::Tradingview, "webhook_secret") => (ALERT_SECRET_BYTES_MIN, TEXT_BYTES_MAX),
                _ => (1, SECRET_BYTES_MAX),
            };
            printable(what, secret.reveal(), bytes)?;
            let by_svix = matches!(platform, Platform::Standard | Platform::Trackstar);
            if by_svix && what == "webhook_secret" && !is_svix_secret(secret.reveal()) {
                let detail = format!(
                    "the webhook_secret of a {platform} connection is `whsec_` and the base64 of a key of 24 bytes or so"
                );
                return Err(Refusal::invalid("connection.invalid", detail));
            }
        }
        Ok(())
    }

    fn given(self) -> impl Iterator<Item = (&'static str, Secret)> {
        let Self { webhook_secret, access_token, refresh_token, app_secret, access_token_lasts: _ } = self;
        [
            ("webhook_secret", webhook_secret),
            ("access_token", access_token),
            ("refresh_token", refresh_token),
            ("app_secret", app_secret),
        ]
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
        credentials.check(details.platform)?;
        for (what, text) in
            [("account", &details.account), ("app", &details.app), ("endpoint", &details.endpoint)]
        {
            text.as_deref().map_or(Ok(()), |text| printable(what, text, (1, TEXT_BYTES_MAX)))?;
        }
        if details.platform == Platform::Shopify && details.account.as_deref().is_some_and(is_no_host) {
            let detail = "the account of a Shopify connection is the shop's bare domain: shop.myshopify.com";
            return Err(Refusal::invalid("connection.invalid", detail).into());
        }
        let id = ConnectionId(Uuid::now_v7());
        let tenant = caller.context.tenant;
        self.candidates.forget(&details.platform);
        let renews = credentials.refresh_token.is_some();
        let lasts = credentials.access_token_lasts;
        let secrets = credentials.given().map(|(name, secret)| self.seal(tenant, id, name, &secret));
        let attachments =
            Attachments { secrets: secrets.collect::<Result<_, _>>()?, ..Attachments::default() };
        let receipt = self
            .submit(caller, vec![StreamId::Connection(id)], move |lookup, _| {
                let command = ConnectionCommand::Create { details: details.clone(), rules: rules.clone() };
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
            .await?;
        if renews {
            // A repeated request has made the connection once, under the id that it was answered with.
            let made = made(&receipt).unwrap_or(id);
            let due = renew_at(self.ledger().clock().now(), lasts);
            renewals::schedule(self.ledger().pool(), tenant, made, due).await?;
        }
        Ok(receipt)
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
        let connection = self.own_connection(&caller, id).await?;
        credentials.check(connection.details.platform)?;
        self.replace_secrets(caller, &connection, credentials).await
    }

    /// The same, for a connection that was found to be the caller's.
    pub(super) async fn replace_secrets(
        &self,
        caller: Caller,
        connection: &Connected,
        credentials: Credentials,
    ) -> Result<Receipt, LedgerError> {
        let (tenant, id) = (connection.tenant, connection.id);
        let renews = credentials.refresh_token.is_some();
        let lasts = credentials.access_token_lasts;
        // Given once more, as by a request that is repeated, it ends nothing.
        let known = self.webhook_secrets(connection).into_iter().next();
        let before = known.filter(|old| credentials.webhook_secret.as_ref().is_some_and(|new| old != new));
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
                let state = lookup.connection(&id);
                let command = ConnectionCommand::RotateSecrets { names: names.clone() };
                let events = verdict(&id, state, command)?;
                // What the platform had against the old ones is of no account.
                let mut recovered = verdict(&id, state, ConnectionCommand::Recover)?;
                for what in [Some(LOCKED_OUT), renews.then_some(RENEWAL)].into_iter().flatten() {
                    let over = ConnectionCommand::ClearAlert { what: what.to_owned() };
                    recovered.extend(verdict(&id, state, over)?);
                }
                Ok(Decision {
                    changes: events
                        .into_iter()
                        .chain(recovered)
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
        if renews {
            let due = renew_at(self.ledger().clock().now(), lasts);
            renewals::schedule(self.ledger().pool(), tenant, id, due).await?;
        }
        breakers::forget(self.ledger().pool(), tenant, id).await?;
        outbox::follow_ups::hurry(self.ledger().pool(), tenant, id, self.ledger().clock().now()).await?;
        Ok(receipt)
    }

    /// Lets other things flow. What is then owed to listings is pushed.
    pub async fn change_rules(
        &self,
        caller: Caller,
        id: ConnectionId,
        rules: SyncRules,
    ) -> Result<Receipt, LedgerError> {
        let answer = json!({ "id": id, "rules": rules });
        self.command_connection(caller, id, ConnectionCommand::ChangeRules(rules), answer).await
    }

    /// Switches a connection on: subscribes to its webhooks at `public_url`, if given, and pushes everything.
    pub async fn enable_connection(
        &self,
        caller: Caller,
        id: ConnectionId,
        public_url: Option<&str>,
    ) -> Result<Receipt, LedgerError> {
        let webhooks = match public_url {
            Some(public_url) => self.subscribe(&caller, id, public_url).await?,
            None => BY_HAND.to_owned(),
        };
        if webhooks != BY_HAND {
            let event = AdministrationEvent::WebhooksAskedFor { connection: id, outcome: webhooks.clone() };
            self.note(Caller { idempotency: None, ..caller.clone() }, event).await?;
        }
        let answer = json!({ "id": id, "enabled": true, "webhooks": webhooks });
        self.command_connection(caller, id, ConnectionCommand::Enable, answer).await
    }

    /// Gives a connection a rest: what is owed to it is kept, and pushed when it goes on.
    pub async fn pause_connection(&self, caller: Caller, id: ConnectionId) -> Result<Receipt, LedgerError> {
        self.command_connection(caller, id, ConnectionCommand::Pause, json!({ "id": id, "paused": true }))
            .await
    }

    /// Lets a connection go on after a rest.
    pub async fn resume_connection(&self, caller: Caller, id: ConnectionId) -> Result<Receipt, LedgerError> {
        self.command_connection(caller, id, ConnectionCommand::Resume, json!({ "id": id, "paused": false }))
            .await
    }

    /// Switches a connection off: nothing is pushed there until it is switched on again. Webhooks that the platform sends to
    /// `public_url` are ended, where it can be asked to.
    pub async fn disable_connection(
        &self,
        caller: Caller,
        id: ConnectionId,
        public_url: Option<&str>,
    ) -> Result<Receipt, LedgerError> {
        if let Some(public_url) = public_url {
            let connection = self.own_connection(&caller, id).await?;
            self.unsubscribe(&caller, &connection, public_url).await;
        }
        self.command_connection(caller, id, ConnectionCommand::Disable, json!({ "id": id, "enabled": false }))
            .await
    }

    pub(crate) async fn command_connection(
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

    /// Has the platform send its webhooks to us, where it can be asked to. Says what came of it: a platform that will not be
    /// asked keeps nobody from being switched on; one that cannot be reached is to be tried again.
    pub(super) async fn subscribe(
        &self,
        caller: &Caller,
        id: ConnectionId,
        public_url: &str,
    ) -> Result<String, LedgerError> {
        let connection = self.own_connection(caller, id).await?;
        let outbound = outbound_of(connection.details.platform).filter(|outbound| outbound.subscribes());
        let Some(outbound) = outbound else { return Ok(BY_HAND.to_owned()) };
        if connection.secret("access_token").is_none() {
            return Ok(BY_HAND.to_owned()); // It only tells us things.
        }
        let api = self.api(&connection).map_err(unusable)?;
        let api = api.following([caller.context.correlation_id.as_str()]);
        let address = self.webhook_address(&connection, public_url);
        let secret = self.secret(&connection, "webhook_secret");
        let chosen = match outbound.subscribe(&api, &address, secret.as_ref()).await {
            Ok(chosen) => chosen,
            Err(error @ CallError::Again { .. }) => return Err(unreachable(error).into()),
            Err(error) => return Ok(format!("not subscribed: {error}")),
        };
        if let Some(chosen) = chosen.filter(|chosen| secret.as_ref() != Some(chosen)) {
            let credentials = Credentials { webhook_secret: Some(chosen), ..Credentials::default() };
            // The key of the request names the switching on, and not this.
            let caller = Caller { idempotency: None, ..caller.clone() };
            self.replace_secrets(caller, &connection, credentials).await?;
        }
        Ok(SUBSCRIBED.to_owned())
    }

    /// A connection that is the caller's to touch.
    pub(crate) async fn own_connection(
        &self,
        caller: &Caller,
        id: ConnectionId,
    ) -> Result<Connected, LedgerError> {
        let connection = connected(self.ledger().pool(), id).await?;
        let own = |connection: &Connected| {
            connection.tenant == caller.context.tenant && caller.may_touch(Some(&connection.details.brand))
        };
        Ok(connection.filter(own).ok_or_else(|| unknown(id))?)
    }

    /// The API of a connection's account.
    ///
    /// One and the same for each connection, so that what is known of its limits is known to all calls.
    pub(crate) fn api(&self, connection: &Connected) -> Result<Api, CallError> {
        let nonces: Nonces =
            SECRET_NAMES.iter().filter_map(|name| Some(connection.secret(name)?.nonce.clone())).collect();
        let mut clients = self.apis.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, api)) = clients.get(&connection.id)
            && *known == nonces
        {
            return Ok(api.clone());
        }
        let limits = outbound_of(connection.details.platform).map_or(&[][..], |outbound| outbound.limits());
        let permits = SharedPermits {
            ledger: self.ledger().clone(),
            tenant: connection.tenant,
            connection: connection.id,
            limits,
        };
        let permits = (!limits.is_empty()).then(|| Arc::new(permits) as Arc<dyn Permits>);
        let api =
            Api::new(self.http.clone(), self.ledger().clock().clone(), self.account(connection)?, permits);
        if clients.len() >= APIS_MAX {
            clients.clear();
        }
        clients.insert(connection.id, (nonces, api.clone()));
        Ok(api)
    }

    fn account(&self, connection: &Connected) -> Result<Account, CallError> {
        let details = &connection.details;
        let of_account =
            || (details.platform == Platform::Shopify).then(|| details.account.clone()).flatten();
        let endpoint = details
            .endpoint
            .clone()
            .or_else(|| adapter_of(details.platform).endpoint().map(str::to_owned))
            .or_else(|| of_account().map(|account| format!("https://{account}")))
            .ok_or_else(|| CallError::person("the connection has no endpoint; enter one"))?;
        let secret = |name: &str| {
            let opened = connection.secret(name).map(|sealed| self.keys.open(connection.tenant, sealed));
            opened.transpose().map_err(|error| CallError::person(error.to_string()))
        };
        // Where one key signs both ways, it need not be given twice.
        let one_key = matches!(details.platform, Platform::Shopee | Platform::TiktokShop);
        let app_secret = match secret("app_secret")? {
            None if one_key => secret("webhook_secret")?,
            given => given,
        };
        Ok(Account {
            connection: connection.id,
            details: details.clone(),
            endpoint,
            access_token: secret("access_token")?,
            refresh_token: secret("refresh_token")?,
            app_secret,
            webhook_secrets: self.webhook_secrets(connection),
            api_version: self.shopify_api_version.clone(),
        })
    }

    /// Puts on record that a platform is left alone, or answers again.
    pub(crate) async fn note_turn(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        turn: Turn,
    ) -> Result<(), LedgerError> {
        let command = match turn {
            Turn::Tripped { reason } => ConnectionCommand::Trip { reason },
            Turn::Recovered => ConnectionCommand::Recover,
            Turn::LockedOut => {
                ConnectionCommand::RaiseAlert { what: LOCKED_OUT.to_owned(), value: 1, limit: 0 }
            }
            Turn::LetIn => ConnectionCommand::ClearAlert { what: LOCKED_OUT.to_owned() },
        };
        let caller = Caller::new(Context::internal(tenant, "relay"));
        self.command_connection(caller, id, command, json!({})).await?;
        Ok(())
    }
}

/// A text that goes into headers and addresses, or is compared with what stands there.
fn printable(what: &str, text: &str, (min, max): (usize, usize)) -> Result<(), Refusal> {
    let fits = (min..=max).contains(&text.len());
    if text.trim().is_empty() || !fits || text.chars().any(char::is_control) {
        let detail =
            format!("{what} has {min} to {max} bytes, and no line break or other control character in it");
        return Err(Refusal::invalid("connection.invalid", detail));
    }
    Ok(())
}

fn is_no_host(text: &str) -> bool {
    text.contains(['/', '?', '#', '@']) || text.contains(char::is_whitespace)
}

fn made(receipt: &Receipt) -> Option<ConnectionId> {
    let answer: serde_json::Value = serde_json::from_str(receipt.answer.as_str()).ok()?;
    Some(ConnectionId(answer["id"].as_str()?.parse().ok()?))
}

fn unknown(id: ConnectionId) -> Refusal {
    Refusal::missing("connection.unknown", format!("there is no connection {id}"))
}
