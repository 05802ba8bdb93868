//! Deliveries made up for people who try things out: signed, and with the line that sends them.

use chrono::{DateTime, Utc};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{Currency, ExternalId},
};
use onhand_infrastructure::platforms::{Sample, adapter_of};
use uuid::Uuid;

/// A key in base64, for platforms that want one, and a text like any other for the rest.
pub(crate) const SECRET: &str = "whsec_bWFkZSB1cCBmb3IgYSB0ZXN0LCAyNCBieXRlcw==";

/// A delivery that can be sent.
pub(crate) struct Delivery {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a delivery is made of.
pub(crate) struct Wanted<'w> {
    pub(crate) topic: &'w str,
    /// Where the server answers.
    pub(crate) server: &'w str,
    pub(crate) connection: Uuid,
    pub(crate) details: &'w ConnectionDetails,
    pub(crate) secret: &'w str,
    pub(crate) sku: &'w str,
    pub(crate) now: DateTime<Utc>,
}

/// Makes one up. The error names the topics there are.
pub(crate) fn delivery(wanted: &Wanted<'_>) -> Result<Delivery, String> {
    let platform = wanted.details.platform;
    let url = format!("{}/webhook/{platform}/{}", wanted.server.trim_end_matches('/'), wanted.connection);
    let sample = Sample {
        id: Uuid::now_v7(),
        now: wanted.now,
        url: &url,
        secret: wanted.secret,
        details: wanted.details,
        sku: wanted.sku,
    };
    let adapter = adapter_of(platform);
    let (headers, body) = adapter.sample(wanted.topic, &sample).ok_or_else(|| {
        if adapter.topics().contains(&wanted.topic) {
            return format!(
                "nothing is signed for {platform} with this secret; give one of its kind: `whsec_` and base64"
            );
        }
        let topics = adapter.topics().join(", ");
        format!("no {platform} delivery can be made up for {:?}; for {topics}", wanted.topic)
    })?;
    Ok(Delivery { url, headers, body })
}

impl Delivery {
    /// The line that sends it.
    pub(crate) fn curl(&self) -> String {
        let mut line = format!("curl -X POST {}", quoted(&self.url));
        for (name, value) in &self.headers {
            line += &format!(" -H {}", quoted(&format!("{name}: {value}")));
        }
        line + &format!(" --data-binary {}", quoted(&String::from_utf8_lossy(&self.body)))
    }
}

/// For a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// An account that nobody has.
pub(crate) fn nobody(platform: Platform) -> ConnectionDetails {
    ConnectionDetails {
        platform,
        name: "Sample".to_owned(),
        brand: "sample".to_owned(),
        account: Some("sample-shop".to_owned()),
        app: Some("sample-app".to_owned()),
        endpoint: None,
        platform_location: ExternalId::new("1").ok(),
        location: Default::default(),
        market: Default::default(),
        currency: Currency::new("USD").expect("USD is a currency"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_body_does_not_end_the_line() {
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
