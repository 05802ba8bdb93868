//! What an account's secrets look like in a text, so that a platform that quotes what it was sent passes none on.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{super::read, Account};
use crate::secrets::Secret;

/// Bytes from which on a secret is looked for; what is shorter is no secret, and stands anywhere.
const BYTES_MIN: usize = 6;
/// The same for what webhooks are signed with, in what a platform has: people choose it, and a word or a number of theirs
/// stands in titles and ids.
const WEBHOOK_BYTES_MIN: usize = 16;
const MASK: &str = "***";

/// Forms of an account's secrets, the longest first.
pub(super) struct Masks(Vec<String>);

impl Masks {
    /// For what a platform says, which people read: all of them.
    pub(super) fn of_words(account: &Account) -> Self {
        Self::of(account, BYTES_MIN)
    }

    /// For what a platform has, which is taken in.
    pub(super) fn of_data(account: &Account) -> Self {
        Self::of(account, WEBHOOK_BYTES_MIN)
    }

    fn of(account: &Account, webhook_bytes_min: usize) -> Self {
        let Account { access_token, refresh_token, app_secret, webhook_secrets, .. } = account;
        let given = [access_token, refresh_token, app_secret].into_iter().flatten();
        let given = given.flat_map(|secret| forms(secret, BYTES_MIN));
        let chosen = webhook_secrets.iter().flat_map(|secret| forms(secret, webhook_bytes_min));
        let mut forms: Vec<String> = given.chain(chosen).collect();
        forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self(forms)
    }

    /// A text in which they stand no more; nothing if they never did.
    pub(super) fn in_text(&self, text: &str) -> Option<String> {
        let mut masked: Option<String> = None;
        for form in &self.0 {
            let known = masked.as_deref().unwrap_or(text);
            if known.contains(form.as_str()) {
                masked = Some(known.replace(form.as_str(), MASK));
            }
        }
        masked
    }

    /// The same, for what is JSON most often.
    pub(super) fn in_body(&self, body: Vec<u8>) -> Vec<u8> {
        let masked = {
            let text = String::from_utf8_lossy(&body);
            let plain = self.in_text(&text);
            let known = plain.as_deref().unwrap_or(&text);
            // With escapes any character may be written in several ways; read, it is the one it is.
            let value = if known.contains('\\') { serde_json::from_str::<Value>(known).ok() } else { None };
            let read = value.and_then(|mut value| self.in_value(&mut value).then(|| value.to_string()));
            read.or(plain)
        };
        masked.map_or(body, String::into_bytes)
    }

    /// Says whether there was anything to mask.
    fn in_value(&self, value: &mut Value) -> bool {
        let mut changed = false;
        match value {
            Value::String(text) => {
                if let Some(masked) = self.in_text(text) {
                    *text = masked;
                    changed = true;
                }
            }
            Value::Array(items) => {
                for item in items {
                    changed |= self.in_value(item);
                }
            }
            Value::Object(fields) => {
                for value in fields.values_mut() {
                    changed |= self.in_value(value);
                }
                let named = |name: &String| Some((name.clone(), self.in_text(name)?));
                let names: Vec<(String, String)> = fields.keys().filter_map(named).collect();
                for (name, masked) in names {
                    if let Some(value) = fields.remove(&name) {
                        fields.insert(masked, value);
                    }
                    changed = true;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        changed
    }
}

/// As it is, in parts where it has some, as basic authorization has it, in an address, and in JSON.
fn forms(secret: &Secret, bytes_min: usize) -> Vec<String> {
    let (secret, mut forms) = (secret.reveal(), vec![]);
    for part in secret.split(':').chain([secret]).filter(|part| part.len() >= bytes_min) {
        let in_address = read::escaped(part);
        forms.extend([
            part.to_owned(),
            part.replace('/', "\\/"),
            Value::from(part).to_string().trim_matches('"').to_owned(),
            in_address.replace("%2E", ".").replace("%7E", "~"),
            in_address,
            STANDARD.encode(part),
            STANDARD.encode(part).trim_end_matches('=').to_owned(),
        ]);
    }
    forms
}

#[cfg(test)]
mod tests {
    use onhand_domain::{
        connection::{ConnectionDetails, Platform},
        values::{ConnectionId, Currency, LocationCode, Market},
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn masks(secrets: &[&str]) -> Masks {
        let mut forms: Vec<String> =
            secrets.iter().flat_map(|secret| forms(&Secret::new(*secret), BYTES_MIN)).collect();
        forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
        Masks(forms)
    }

    fn masked(secret: &str, body: &str) -> String {
        String::from_utf8(masks(&[secret]).in_body(body.as_bytes().to_vec())).expect("a text")
    }

    #[test]
    fn a_secret_is_masked_however_it_is_written() {
        let secret = "ck/one+1:cs/two=2";
        for written in [
            "ck/one+1:cs/two=2",
            "ck/one+1",
            r"ck\/one+1:cs\/two=2",
            r"ck\u002fone+1",
            r"\u0063k/one\u002B1",
            "ck%2Fone%2B1%3Acs%2Ftwo%3D2",
            "Y2svb25lKzE6Y3MvdHdvPTI=",
        ] {
            let body = format!(r#"{{"message":"{written} is too weak","{written}":7}}"#);
            let shown: Value = serde_json::from_str(&masked(secret, &body)).expect("still JSON");
            assert_eq!(shown, json!({ "message": "*** is too weak", "***": 7 }), "{written}");
        }
    }

    #[test]
    fn what_signs_webhooks_is_masked_in_data_if_it_is_too_long_to_be_a_word_or_a_number() {
        let details = ConnectionDetails {
            platform: Platform::Woocommerce,
            name: "Quay Side".into(),
            brand: "Quay".into(),
            account: None,
            app: None,
            endpoint: None,
            platform_location: None,
            location: LocationCode::default(),
            market: Market::default(),
            currency: Currency::new("EUR").expect("a currency"),
        };
        let account = Account {
            connection: ConnectionId(Uuid::from_u128(1)),
            details,
            endpoint: String::new(),
            access_token: Some(Secret::new("ck_one")),
            refresh_token: None,
            app_secret: None,
            webhook_secrets: ["sneakers", "quay:sneakers:2026", "123456", "sixteen letters!"]
                .map(Secret::new)
                .to_vec(),
            api_version: String::new(),
        };
        let body = br#"{"id":1234567,"name":"Air sneakers","note":"ck_one sixteen letters!"}"#;
        let shown = br#"{"id":1234567,"name":"Air sneakers","note":"*** ***"}"#;
        assert_eq!(Masks::of_data(&account).in_body(body.to_vec()), shown);
        let refusal = br#"{"message":"the secret sneakers is too weak, ck_one is none"}"#;
        let shown = br#"{"message":"the secret *** is too weak, *** is none"}"#;
        assert_eq!(Masks::of_words(&account).in_body(refusal.to_vec()), shown);
    }

    #[test]
    fn what_has_no_secret_in_it_stays_as_it_is() {
        for body in [r#"{ "b": "a\/b", "a": 1.10 }"#, "no JSON \\ at all", ""] {
            assert_eq!(masked("ck_one:cs_two", body), body);
        }
        assert_eq!(masked("short", "a short one"), "a short one");
        assert_eq!(masks(&["ck_one"]).in_body(vec![0xff, 0xfe]), [0xff, 0xfe]);
    }
}
