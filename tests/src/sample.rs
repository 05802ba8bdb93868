//! Deliveries of any platform, made up and signed by its adapter.

use axum::body::Body;
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{Currency, ExternalId},
};
use onhand_infrastructure::platforms::{Sample, adapter_of};
use uuid::Uuid;

use crate::{Answer, Client, World};

/// What the tests' platforms sign with; also a key where a key in base64 is wanted.
pub const SIGNING_SECRET: &str = "whsec_b25seSB0aGVzZSB0ZXN0cyBzaWduIHdpdGggdGhpcw==";

/// A delivery about to be sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where.
    pub path: String,
    /// In the platform's own spelling.
    pub headers: Vec<(&'static str, String)>,
    /// The very bytes.
    pub body: Vec<u8>,
}

impl Delivery {
    /// One that a platform could send to a connection of [`World::connect_to`], about a SKU.
    ///
    /// # Panics
    /// When the adapter has no sample of that topic.
    pub fn new(
        world: &World,
        platform: Platform,
        connection: &str,
        topic: &str,
        sku: &str,
        id: Uuid,
    ) -> Self {
        let path = format!("/webhook/{platform}/{connection}");
        let details = ConnectionDetails {
            platform,
            name: "one".into(),
            brand: "kite".into(),
            account: Some("shop-1".into()),
            app: Some("app-1".into()),
            endpoint: None,
            platform_location: ExternalId::new("7").ok(),
            location: Default::default(),
            market: Default::default(),
            currency: Currency::new("USD").expect("a currency"),
        };
        let sample = Sample {
            id,
            now: world.clock.now(),
            url: &format!("http://localhost{path}"),
            secret: SIGNING_SECRET,
            details: &details,
            sku,
        };
        let made = adapter_of(platform).sample(topic, &sample);
        let (headers, body) = made.unwrap_or_else(|| panic!("{platform} has no sample of {topic}"));
        Self { path, headers, body }
    }

    /// Sends it.
    pub async fn send(&self, client: &Client) -> Answer {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.with_key(None).send("POST", &self.path, &headers, Body::from(self.body.clone())).await
    }
}
