//! Access by an identity provider: whoever shows an access token of the issuer that the operator has named is believed.
//!
//! A token is believed if a key that the issuer shows has signed it, if it is meant for this server, and if its time is now,
//! by the ledger's clock. Tenant, role and brand of its bearer are what its claims say. The issuer's keys are kept in
//! memory, and asking for them never goes through the database, which is asked only whether there is such a tenant.
//! A token that was believed is believed again for five minutes without another look at its signature, unless it ends before.

mod jwk;
mod keys;
mod settings;
mod token;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use self::{
    keys::IssuerKeys,
    token::{Granted, Shown, TENANT},
};
pub use self::{settings::OidcSettings, token::TokenFault};
use crate::{bearer::Bearer, believed::Believed, ledger::LedgerError, queries::tenants};

/// How long a token is believed after its signature was looked at.
const BELIEVED: Duration = Duration::from_secs(300);
const ENTRIES_MAX: usize = 10_000;

/// Why nobody is known by a token.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It is not believed, or does not say enough.
    #[error("this access token cannot be used: {0}")]
    Token(#[from] TokenFault),
    /// No key of the issuer is known, and it cannot be reached; it is asked again after so many seconds.
    #[error("the issuer of access tokens cannot be reached, and none of its keys is known; try again")]
    NoKeys(u32),
    /// Whether there is such a tenant could not be found out.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The issuer of access tokens, and what is known of its tokens and keys.
pub struct Oidc {
    settings: OidcSettings,
    keys: Arc<IssuerKeys>,
    tokens: Believed<[u8; 32], Granted>,
}

impl Oidc {
    /// Nothing is known of it yet; it is asked when the first token is shown, with what [`OidcSettings::http_client`] makes.
    pub fn new(settings: OidcSettings, http: reqwest::Client) -> Self {
        let keys = Arc::new(IssuerKeys::new(http, settings.issuer.clone()));
        Self { settings, keys, tokens: Believed::new(BELIEVED, ENTRIES_MAX) }
    }

    /// Who shows this token.
    pub async fn bearer(&self, pool: &PgPool, token: &str, now: DateTime<Utc>) -> Result<Bearer, OidcError> {
        let sha256: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(granted) = self.tokens.find(&sha256) {
            return Ok(granted.at(now)?);
        }
        let shown = Shown::read(token)?;
        let keys = self.keys.find(shown.key_id(), shown.algorithm(), now).await?;
        let granted = shown.verify(&keys, &self.settings, now)?;
        let tenant = granted.bearer.tenant;
        // That there is no such tenant is not kept: it may be made any moment.
        let found = self
            .tokens
            .find_or_ask(pool, sha256, async |_| Ok(tenants::exists(pool, tenant).await?.then_some(granted)))
            .await?;
        let unknown = TokenFault::Claim { name: TENANT, why: "names no tenant of this server" };
        Ok(found.ok_or(unknown)?.bearer)
    }
}
