//! An access token: taken apart, verified, and read for who its bearer is. Pure: key, settings and time are given.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use onhand_domain::{
    key::{Role, is_brand},
    values::{Object, TenantId},
};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;
use uuid::Uuid;

use super::{
    OidcSettings,
    jwk::{Algorithm, Key},
};
use crate::bearer::Bearer;

const TOKEN_BYTES_MAX: usize = 8 * 1_024;
const SUBJECT_BYTES_MAX: usize = 255;
/// How far the issuer's clock may be from ours.
const LEEWAY_SECONDS: i64 = 60;

/// The claim that says whose data the bearer sees.
pub(super) const TENANT: &str = "onhand_tenant";
const ROLE: &str = "onhand_role";
const BRAND: &str = "onhand_brand";

/// Why a token is not believed, or, where it is, what it does not say. Repeats nothing that stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Nothing that long is read.
    #[error("it is longer than 8 KiB")]
    TooLong,
    /// It is no token.
    #[error("it is not three parts in base64url without padding, the first of them a JSON object")]
    Garbled,
    /// There is something in its header that has to be understood, and is not.
    #[error("its header has `crit`, of which nothing is understood here")]
    Critical,
    /// It is not signed, or in a way that is not believed.
    #[error("its `alg` is none of RS256, ES256 and EdDSA")]
    Algorithm,
    /// The issuer does not show such a key, or shows it only since a moment ago.
    #[error("it is signed with a key that the issuer does not show, or not for its `alg`")]
    UnknownKey,
    /// Somebody else signed it, or it was changed. A key for signatures of another kind has signed nothing.
    #[error("its signature does not hold")]
    Signature,
    /// Its claims are no object, one is there twice, or one is of the wrong kind.
    #[error("its claims cannot be read: one is there twice, or is of the wrong kind")]
    Claims,
    /// A registered claim is not there.
    #[error("it has no `{0}`")]
    Missing(&'static str),
    /// It is of somebody else.
    #[error("its `iss` is another issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("its `aud` is somebody else")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("its `{0}` is in the future")]
    Early(&'static str),
    /// Nobody can be called that.
    #[error("its `sub` is not 1 to 255 bytes without control characters")]
    Subject,
    /// It is believed, and a claim of ours is missing or makes no sense.
    #[error("its claim `{name}` {why}")]
    Claim {
        /// The claim.
        name: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// What a token that is believed gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) bearer: Bearer,
    /// In seconds since 1970.
    expires_at: i64,
}

impl Granted {
    /// The bearer, if the token has not expired since.
    pub(super) fn at(self, now: DateTime<Utc>) -> Result<Bearer, TokenFault> {
        if has_expired(self.expires_at, now) { Err(TokenFault::Expired) } else { Ok(self.bearer) }
    }
}

/// A token as it is shown. Nothing in it is believed yet.
pub(super) struct Shown<'t> {
    key_id: Option<String>,
    algorithm: Algorithm,
    /// What the signature is of.
    signed: &'t str,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default, rename = "crit", deserialize_with = "there")]
    is_critical: bool,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    onhand_tenant: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    onhand_role: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    onhand_brand: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Whatever it is, it is there.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// What is there, null as well: a brand that is null is not no brand, or it would open all of them.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl<'t> Shown<'t> {
    /// Takes it apart.
    pub(super) fn read(token: &'t str) -> Result<Self, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::TooLong);
        }
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenFault::Garbled);
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Garbled)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Garbled)?;
        let (header, claims, signature) = (part(header)?, part(claims)?, part(signature)?);
        let header: Object<Header> = serde_json::from_slice(&header).map_err(|_| TokenFault::Garbled)?;
        let Header { alg, kid, is_critical } = header.0;
        if is_critical {
            return Err(TokenFault::Critical);
        }
        let algorithm = Algorithm::of(&alg).ok_or(TokenFault::Algorithm)?;
        Ok(Self { key_id: kid, algorithm, signed, claims, signature })
    }

    /// The key it says it is signed with.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The way it says it is signed.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What it gives, if one of these is the key it is signed with. Its claims are not looked at before that is known.
    pub(super) fn verify(
        &self,
        keys: &[Key],
        settings: &OidcSettings,
        now: DateTime<Utc>,
    ) -> Result<Granted, TokenFault> {
        let mut fitting = keys.iter().filter(|key| key.algorithm() == self.algorithm);
        if !fitting.any(|key| key.has_signed(self.signed.as_bytes(), &self.signature)) {
            return Err(TokenFault::Signature);
        }
        let claims: Object<Claims> = serde_json::from_slice(&self.claims).map_err(|_| TokenFault::Claims)?;
        let expires_at = claims.0.hold(settings, now)?;
        Ok(Granted { bearer: claims.0.bearer()?, expires_at })
    }
}

impl Claims {
    /// Until when they hold, in seconds since 1970, if they are meant for this server and hold now.
    fn hold(&self, settings: &OidcSettings, now: DateTime<Utc>) -> Result<i64, TokenFault> {
        if *self.iss.as_ref().ok_or(TokenFault::Missing("iss"))? != settings.issuer {
            return Err(TokenFault::Issuer);
        }
        let is_meant = match self.aud.as_ref().ok_or(TokenFault::Missing("aud"))? {
            Audience::One(one) => *one == settings.audience,
            Audience::Many(many) => many.contains(&settings.audience),
        };
        if !is_meant {
            return Err(TokenFault::Audience);
        }
        let expires_at = seconds(self.exp.ok_or(TokenFault::Missing("exp"))?);
        if has_expired(expires_at, now) {
            return Err(TokenFault::Expired);
        }
        for (name, time) in [("nbf", self.nbf), ("iat", self.iat)] {
            if time.is_some_and(|time| seconds(time) > now.timestamp() + LEEWAY_SECONDS) {
                return Err(TokenFault::Early(name));
            }
        }
        Ok(expires_at)
    }

    fn bearer(&self) -> Result<Bearer, TokenFault> {
        let subject = self.sub.as_deref().ok_or(TokenFault::Missing("sub"))?;
        if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) || subject.chars().any(char::is_control) {
            return Err(TokenFault::Subject);
        }
        let fault = |name, why| TokenFault::Claim { name, why };
        let tenant = text(TENANT, self.onhand_tenant.as_ref())?;
        let tenant: Uuid = tenant.parse().map_err(|_| fault(TENANT, "is no UUID"))?;
        let role = text(ROLE, self.onhand_role.as_ref())?;
        let role: Role = role.parse().map_err(|_| fault(ROLE, "is none of viewer, editor and admin"))?;
        let brand = self.onhand_brand.as_ref().map(|brand| text(BRAND, Some(brand))).transpose()?;
        if brand.is_some_and(|brand| !is_brand(brand)) {
            return Err(fault(BRAND, "has not 1 to 200 characters; leave it out for all brands"));
        }
        Ok(Bearer {
            tenant: TenantId(tenant),
            actor: format!("oidc:{subject}"),
            role,
            brand: brand.map(str::to_owned),
        })
    }
}

fn text<'c>(name: &'static str, claim: Option<&'c Value>) -> Result<&'c str, TokenFault> {
    let claim = claim.ok_or(TokenFault::Claim { name, why: "is missing" })?;
    claim.as_str().ok_or(TokenFault::Claim { name, why: "is no text" })
}

fn has_expired(expires_at: i64, now: DateTime<Utc>) -> bool {
    now.timestamp() >= expires_at.saturating_add(LEEWAY_SECONDS)
}

/// Times in tokens may have fractions. One that is out of all bounds becomes the first or the last there is.
fn seconds(time: f64) -> i64 {
    time as i64
}

#[cfg(test)]
mod tests;
