//! Renewal: access tokens that end are exchanged in time, by one process at a time, for some platforms take each
//! refresh token once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    connection::ConnectionCommand,
    values::{ConnectionId, TenantId},
};
use serde_json::json;

use super::{Caller, Operations, connections::Credentials};
use crate::{
    ledger::{Context, LedgerError},
    outbox::budgets::{self, Taken},
    platforms::outbound::{CallError, Limit, Renewed, outbound_of},
    queries::{
        connections::{Connected, connected},
        renewals::{self, Leased},
    },
    relay::policy,
    secrets::Secret,
};

/// Longer than a renewal may take.
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// How long before its end a token is renewed, at most; of short ones a fifth of their time.
const AHEAD: TimeDelta = TimeDelta::hours(1);
/// How often new credentials are tried to be kept; together about a minute and a half, less than the lease.
const KEEP_ATTEMPTS: i32 = 10;
/// When a renewal that a person has to see to is tried again.
const PERSON_DELAY: TimeDelta = TimeDelta::hours(1);
/// The longest that a token is taken to be good for.
const LASTS_MAX: TimeDelta = TimeDelta::days(365);
/// When tokens are renewed whose end nobody tells: the shortest-lived of them live four hours.
const UNTOLD: TimeDelta = TimeDelta::hours(3);

/// How often an account's credentials are renewed before their time: those that are refused again would be without end.
const EARLY: Limit = Limit { calls: 1, within: Duration::from_hours(1) };

/// What credentials are renewed with.
const REFRESH_TOKEN: &str = "refresh_token";

/// What is amiss while credentials cannot be renewed, and after how many attempts that is told.
pub(super) const RENEWAL: &str = "renewal";
const ALERT_AFTER: i32 = 3;

impl Operations {
    /// Renews one account's credentials, if any are due. False if none are.
    pub async fn renew(&self) -> Result<bool, LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let Some(leased) = renewals::claim(pool, now, LEASE).await? else { return Ok(false) };
        let Some(connection) = connected(pool, ConnectionId(leased.connection_id)).await? else {
            renewals::settle(pool, &leased, None, None).await?;
            return Ok(true);
        };
        match self.renewed(&connection).await {
            Ok(None) => renewals::settle(pool, &leased, None, None).await?,
            Ok(Some(renewed)) => self.keep(&leased, &connection, renewed).await?,
            Err(error) => {
                tracing::warn!(connection = %connection.id, %error, "credentials could not be renewed");
                let due = again(&error, leased.attempts, now);
                renewals::settle(pool, &leased, Some(due), Some(&error.to_string())).await?;
                let told = leased.attempts >= ALERT_AFTER || matches!(error, CallError::NeedsPerson { .. });
                // Of credentials that were replaced meanwhile nobody has to hear.
                if told && self.is_current(&connection, None).await? {
                    let value = i64::from(leased.attempts);
                    let alert = ConnectionCommand::RaiseAlert { what: RENEWAL.to_owned(), value, limit: 0 };
                    self.command_connection(caller_of(&leased), connection.id, alert, json!({})).await?;
                }
            }
        }
        Ok(true)
    }

    /// Has credentials renewed at once that the platform has refused, where that can be done without anybody. True while it is
    /// under way.
    ///
    /// What was renewed early a short while ago and is refused again, or could not be renewed, is for a person to see to.
    pub(crate) async fn renew_early(&self, connection: &Connected) -> bool {
        self.is_renewing(connection).await.unwrap_or_else(|error| {
            tracing::warn!(connection = %connection.id, %error, "refused credentials are not renewed early");
            false
        })
    }

    async fn is_renewing(&self, connection: &Connected) -> Result<bool, LedgerError> {
        let (pool, now) = (self.ledger().pool(), self.ledger().clock().now());
        let (tenant, id) = (connection.tenant, connection.id);
        let Some(present) = connected(pool, id).await? else { return Ok(false) };
        let token = |of: &Connected| of.secret("access_token").map(|sealed| sealed.nonce.clone());
        if token(&present) != token(connection) {
            return Ok(true); // Others have taken the place of those that were refused.
        }
        let renews = match (outbound_of(connection.details.platform), self.api(connection)) {
            (Some(outbound), Ok(api)) => outbound.renew(&api).is_some(),
            _ => false,
        };
        if !renews {
            return Ok(false);
        }
        if renewals::is_under_way(pool, tenant, id, now).await? {
            return Ok(true);
        }
        let taken = budgets::take(pool, (tenant, id), EARLY, now).await?;
        Ok(matches!(taken, Taken::Granted { .. }) && renewals::hasten(pool, tenant, id, now).await?)
    }

    async fn renewed(&self, connection: &Connected) -> Result<Option<Renewed>, CallError> {
        let Some(outbound) = outbound_of(connection.details.platform) else { return Ok(None) };
        let api = self.api(connection)?;
        match outbound.renew(&api) {
            Some(renewed) => renewed.await.map(Some),
            None => Ok(None),
        }
    }

    /// The new ones take the place of the old ones; what the platform had against the old ones is forgotten.
    async fn keep(
        &self,
        leased: &Leased,
        connection: &Connected,
        renewed: Renewed,
    ) -> Result<(), LedgerError> {
        let lasts = renewed.lasts.and_then(|lasts| TimeDelta::from_std(lasts).ok());
        let credentials = Credentials {
            access_token: Some(renewed.access_token),
            refresh_token: renewed.refresh_token,
            access_token_lasts: lasts,
            ..Credentials::default()
        };
        // The platform may have used up the old ones: these must not be lost for a database that is away for a moment.
        let mut patience = 0..KEEP_ATTEMPTS;
        while let Err(error) = self.replace_renewed(caller_of(leased), connection, &credentials).await {
            let Some(attempt) = patience.next() else { return Err(error) };
            tracing::error!(connection = %connection.id, %error, "new credentials cannot be kept yet");
            tokio::time::sleep(policy::delay(attempt + 1).min(Duration::from_secs(10))).await;
        }
        let over = ConnectionCommand::ClearAlert { what: RENEWAL.to_owned() };
        self.command_connection(caller_of(leased), connection.id, over, json!({})).await?;
        let due = renew_at(self.ledger().clock().now(), lasts);
        renewals::settle(self.ledger().pool(), leased, Some(due), None).await?;
        Ok(())
    }

    /// Keeps new credentials, unless their owner has given others meanwhile: those are newer, and may be another account's. If
    /// an attempt before this one has got as far as to keep them, the rest is done.
    async fn replace_renewed(
        &self,
        caller: Caller,
        connection: &Connected,
        credentials: &Credentials,
    ) -> Result<(), LedgerError> {
        if !self.is_current(connection, credentials.refresh_token.as_ref()).await? {
            tracing::warn!(connection = %connection.id, "what was renewed is dropped: its owner has given others");
            return Ok(());
        }
        self.replace_secrets(caller, connection, credentials.clone()).await?;
        Ok(())
    }

    /// Whether the refresh token of a connection still is what it was, or is the renewed one. What is only sealed anew is the
    /// same.
    async fn is_current(
        &self,
        connection: &Connected,
        renewed: Option<&Secret>,
    ) -> Result<bool, LedgerError> {
        let Some(now) = connected(self.ledger().pool(), connection.id).await? else { return Ok(false) };
        let given = self.secret(&now, REFRESH_TOKEN);
        let is_renewed = renewed.is_some() && given.as_ref() == renewed;
        Ok(is_renewed || given == self.secret(connection, REFRESH_TOKEN))
    }
}

fn caller_of(leased: &Leased) -> Caller {
    Caller::new(Context::internal(TenantId(leased.tenant_id), "renewal"))
}

/// When a token that lasts so long from now on is to be renewed.
pub(super) fn renew_at(now: DateTime<Utc>, lasts: Option<TimeDelta>) -> DateTime<Utc> {
    // A platform may say anything.
    let lasts = lasts.unwrap_or(UNTOLD).min(LASTS_MAX);
    now + (lasts - (lasts / 5).min(AHEAD)).max(TimeDelta::minutes(1))
}

fn again(error: &CallError, attempt: i32, now: DateTime<Utc>) -> DateTime<Utc> {
    let delay = || TimeDelta::from_std(policy::delay(attempt)).unwrap_or(PERSON_DELAY);
    match error {
        CallError::Again { after, .. } => {
            now + after.and_then(|after| TimeDelta::from_std(after).ok()).unwrap_or_else(delay).max(delay())
        }
        CallError::Never { .. } | CallError::NeedsPerson { .. } => now + PERSON_DELAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_before_their_end_however_short_they_are() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(renew_at(now, Some(TimeDelta::hours(4))), now + TimeDelta::minutes(192));
        assert_eq!(renew_at(now, Some(TimeDelta::days(30))), now + TimeDelta::days(30) - TimeDelta::hours(1));
        assert_eq!(renew_at(now, Some(TimeDelta::zero())), now + TimeDelta::minutes(1));
    }
}
