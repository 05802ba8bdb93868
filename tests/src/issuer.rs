//! An identity provider on this machine: it shows its keys over HTTP, and signs access tokens with the newest.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use onhand_infrastructure::oidc::OidcSettings;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::World;

/// What its tokens call the product.
const AUDIENCE: &str = "onhand";
const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

/// What it shows by path, a text for where else to look, and which paths were asked for.
#[derive(Default)]
struct Shown {
    pages: HashMap<String, Value>,
    asked: Vec<String>,
}

/// How it answers.
#[derive(Clone, Default)]
struct Desk {
    shown: Arc<Mutex<Shown>>,
    /// Whether whoever asks is kept waiting.
    hangs: watch::Sender<bool>,
}

/// A running one.
pub struct Issuer {
    /// What its tokens call it.
    pub endpoint: String,
    desk: Desk,
    id: String,
    pair: EcdsaKeyPair,
}

impl Issuer {
    /// Opens one with a first key, which it does not show yet: all that is asked of it is answered 404.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn open() -> Self {
        let desk = Desk::default();
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, desk, id: "k1".to_owned(), pair: key() }
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
        OidcSettings::new(&self.endpoint, AUDIENCE).expect("it is on this machine")
    }

    /// Shows its key, and no other, from now on.
    pub fn show(&self) {
        self.show_set(&[self.jwk()]);
    }

    /// Shows this key set from now on.
    pub fn show_set(&self, keys: &[Value]) {
        self.describe(&self.endpoint, &format!("{}{KEYS}", self.endpoint));
        self.page(KEYS, json!({ "keys": keys }));
    }

    /// Its key, as a key set shows it.
    pub fn jwk(&self) -> Value {
        let point: &[u8] = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let mut jwk = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "x": x, "y": y });
        self.name_key(&mut jwk);
        jwk
    }

    /// Says that it is somebody else, from now on.
    pub fn pretend(&self, issuer: &str) {
        self.describe(issuer, &format!("{}{KEYS}", self.endpoint));
    }

    /// Says that its keys lie at this address, from now on.
    pub fn place_keys(&self, address: &str) {
        self.describe(&self.endpoint, address);
    }

    /// Sends whoever looks for its keys elsewhere from now on, where all is as it was.
    pub fn move_away(&self) {
        let found = self.shown().pages.get(DISCOVERY).cloned().unwrap_or_default();
        self.page("/elsewhere", found);
        self.page(DISCOVERY, json!("/elsewhere"));
    }

    /// Is out of order from now on: whatever it showed is no answer any more.
    pub fn fall_silent(&self) {
        self.page(DISCOVERY, Value::Null);
    }

    /// Answers nobody until it is told to go on; then those who waited, too.
    pub fn hang(&self) {
        self.desk.hangs.send_replace(true);
    }

    /// Answers again.
    pub fn go_on(&self) {
        self.desk.hangs.send_replace(false);
    }

    /// Signs with a new key from now on, and does not show it yet. A key whose id is empty has none.
    pub fn change_key(&mut self, id: &str) {
        self.id = id.to_owned();
        self.pair = key();
    }

    /// How often its keys were looked for.
    pub fn asked(&self) -> usize {
        self.shown().asked.iter().filter(|path| *path == DISCOVERY).count()
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
            "iss": self.endpoint, "aud": AUDIENCE, "sub": "u-1",
            "iat": at.timestamp(), "exp": at.timestamp() + 300,
            "onhand_tenant": world.tenant.to_string(), "onhand_role": "viewer",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let mut header = json!({ "alg": "ES256", "typ": "at+jwt" });
        self.name_key(&mut header);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let random = SystemRandom::new();
        let signature = self.pair.sign(&random, signed.as_bytes()).expect("there is chance left");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn name_key(&self, of: &mut Value) {
        if !self.id.is_empty() {
            of["kid"] = json!(self.id);
        }
    }

    fn describe(&self, issuer: &str, keys: &str) {
        self.page(DISCOVERY, json!({ "issuer": issuer, "jwks_uri": keys }));
    }

    fn page(&self, path: &str, page: Value) {
        self.shown().pages.insert(path.to_owned(), page);
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.desk.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(desk): State<Desk>, uri: Uri) -> Response {
    let page = {
        let mut shown = desk.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.asked.push(uri.path().to_owned());
        shown.pages.get(uri.path()).cloned()
    };
    let _ = desk.hangs.subscribe().wait_for(|hangs| !hangs).await;
    match page {
        Some(Value::String(elsewhere)) => Redirect::temporary(&elsewhere).into_response(),
        Some(page) => Json(page).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn key() -> EcdsaKeyPair {
    let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let made = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("there is chance left");
    EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).expect("it was just made")
}
