//! An identity provider on this machine: it shows its keys over HTTP, and signs access tokens with the newest.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use onhand_infrastructure::oidc::OidcSettings;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use crate::{World, stand_in::StandIn};

/// What its tokens call the product.
const AUDIENCE: &str = "onhand";
const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

/// A running one.
pub struct Issuer {
    stand_in: StandIn,
    id: String,
    pair: EcdsaKeyPair,
}

impl Issuer {
    /// Opens one with a first key, which it does not show yet: all that is asked of it is answered 404.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn open() -> Self {
        Self { stand_in: StandIn::open().await, id: "k1".to_owned(), pair: key() }
    }

    /// The same, showing its key.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn showing() -> Self {
        let issuer = Self::open().await;
        issuer.show();
        issuer
    }

    /// As the product is told of it.
    ///
    /// # Panics
    /// Never: it is on this machine.
    pub fn settings(&self) -> OidcSettings {
        OidcSettings::new(&self.stand_in.endpoint, AUDIENCE).expect("it is on this machine")
    }

    /// Shows its key, and no other, from now on.
    pub fn show(&self) {
        let endpoint = &self.stand_in.endpoint;
        let found = json!({ "issuer": endpoint, "jwks_uri": format!("{endpoint}{KEYS}") });
        self.stand_in.show(DISCOVERY, found);
        let point: &[u8] = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": x, "y": y });
        self.stand_in.show(KEYS, json!({ "keys": [key] }));
    }

    /// Says that it is somebody else, from now on.
    pub fn pretend(&self, issuer: &str) {
        let keys = format!("{}{KEYS}", self.stand_in.endpoint);
        self.stand_in.show(DISCOVERY, json!({ "issuer": issuer, "jwks_uri": keys }));
    }

    /// Is out of order from now on: whatever it showed is no answer any more.
    pub fn fall_silent(&self) {
        self.stand_in.show(DISCOVERY, Value::Null);
    }

    /// Signs with a new key from now on, and does not show it yet.
    pub fn change_key(&mut self, id: &str) {
        self.id = id.to_owned();
        self.pair = key();
    }

    /// How often its keys were looked for.
    pub fn asked(&self) -> usize {
        self.stand_in.seen().iter().filter(|seen| seen.target == DISCOVERY).count()
    }

    /// A token that holds for five minutes, for a viewer of the world's tenant unless these claims say otherwise.
    pub fn token(&self, world: &World, more: &Value) -> String {
        self.token_at(world, world.clock.now(), more)
    }

    /// The same, issued at a time.
    ///
    /// # Panics
    /// When there is no chance left in the system.
    pub fn token_at(&self, world: &World, at: DateTime<Utc>, more: &Value) -> String {
        let mut claims = json!({
            "iss": self.stand_in.endpoint, "aud": AUDIENCE, "sub": "u-1",
            "iat": at.timestamp(), "exp": at.timestamp() + 300,
            "onhand_tenant": world.tenant.to_string(), "onhand_role": "viewer",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.id });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let random = SystemRandom::new();
        let signature = self.pair.sign(&random, signed.as_bytes()).expect("there is chance left");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn key() -> EcdsaKeyPair {
    let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let made = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("there is chance left");
    EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).expect("it was just made")
}
