//! Webhooks signed the way Standard Webhooks and Svix share.
//!
//! The signature covers the delivery's id and time as well as its body, so all three can be believed once it
//! fits. The standard calls the headers `webhook-…` and Svix calls them `svix-…`; they mean the same.

use axum::http::HeaderMap;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{fact::Rejection, signature};
use crate::secrets::Secret;

const SIGNATURES: [&str; 2] = ["webhook-signature", "svix-signature"];

/// Checks that the delivery is recent and that one of the secrets makes one of its `v1` signatures.
///
/// While a sender's secret is changed over it signs with both, and signatures of other versions may stand
/// beside them: any one that fits is enough.
pub(super) fn verify(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
    now: DateTime<Utc>,
) -> Result<(), Rejection> {
    let seconds = seconds(headers).ok_or(Rejection::MissingHeader("webhook-timestamp or svix-timestamp"))?;
    signature::recent(seconds, now)?;
    let id = id(headers)?;
    let given: Vec<&str> = SIGNATURES
        .into_iter()
        .flat_map(|name| signature::values(headers, name))
        .flat_map(str::split_whitespace)
        .collect();
    if given.is_empty() {
        return Err(Rejection::MissingHeader("webhook-signature or svix-signature"));
    }
    let given: Vec<Vec<u8>> = given.into_iter().filter_map(known).collect();
    let signed = secrets
        .iter()
        .filter_map(|secret| mac(secret.reveal(), &id, seconds, body))
        .any(|mac| given.iter().any(|given| bool::from(mac.as_slice().ct_eq(given.as_slice()))));
    if signed { Ok(()) } else { Err(Rejection::BadSignature) }
}

/// The id of the delivery, the same for each attempt to deliver it.
pub(super) fn id(headers: &HeaderMap) -> Result<String, Rejection> {
    let id =
        either(headers, "webhook-id", "svix-id").ok_or(Rejection::MissingHeader("webhook-id or svix-id"))?;
    // The parts that are signed are set apart by dots; an id with one could pass for an id and a time.
    if id.contains('.') {
        return Err(Rejection::Malformed("the id of a delivery must not have a dot"));
    }
    signature::bounded(id)
}

/// When this attempt was sent.
pub(super) fn sent_at(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds(headers)?.parse().ok()?, 0)
}

/// The signature of a delivery; none if the secret is no secret of this kind.
pub(super) fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    mac(secret, id, &timestamp.to_string(), body).map(|mac| format!("v1,{}", STANDARD.encode(mac)))
}

fn seconds(headers: &HeaderMap) -> Option<&str> {
    either(headers, "webhook-timestamp", "svix-timestamp")
}

fn either<'h>(headers: &'h HeaderMap, standard: &str, svix: &str) -> Option<&'h str> {
    signature::header(headers, standard).or_else(|| signature::header(headers, svix))
}

/// A signature of the version that is understood here; the others may be anything.
fn known(given: &str) -> Option<Vec<u8>> {
    STANDARD.decode(given.strip_prefix("v1,")?).ok()
}

/// Base64 with or without its padding: both are about.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The least a key has; the standard asks for 24, and not every sender heeds it.
const KEY_BYTES_MIN: usize = 16;

/// Whether anything can be signed with it, and not by everybody.
pub(crate) fn is_secret(secret: &str) -> bool {
    key(secret).is_some_and(|key| key.len() >= KEY_BYTES_MIN)
}

fn key(secret: &str) -> Option<Vec<u8>> {
    let secret = secret.trim();
    BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()
}

/// The HMAC of what is signed. The key is the secret's base64, and an empty key is none: everybody knows it.
fn mac(secret: &str, id: &str, seconds: &str, body: &[u8]) -> Option<[u8; 32]> {
    let key = key(secret).filter(|key| !key.is_empty())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    for part in [id, ".", seconds, "."] {
        mac.update(part.as_bytes());
    }
    mac.update(body);
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use axum::http::{HeaderName, HeaderValue};
    use serde_json::Value;

    use super::*;

    const SECRET: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    const ID: &str = "msg_onhand1";
    const SENT: &str = "1772366400";
    const BODY: &[u8] = br#"{"type":"ping"}"#;
    /// Made with another implementation.
    const SIGNATURE: &str = "v1,KgYgK0DOrrZz4jXxrDGKQMk83GXkREplOLEvXtC/v6w=";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        headers
    }

    fn svix(signature: &str) -> HeaderMap {
        headers(&[("svix-id", ID), ("svix-timestamp", SENT), ("svix-signature", signature)])
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn verdict(headers: &HeaderMap, secrets: &[&str]) -> Result<(), Rejection> {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        verify(headers, BODY, &secrets, at(1_772_366_400))
    }

    #[test]
    fn either_family_of_headers_is_taken() {
        assert_eq!(verdict(&svix(SIGNATURE), &[SECRET]), Ok(()));
        let standard = [("webhook-id", ID), ("webhook-timestamp", SENT), ("webhook-signature", SIGNATURE)];
        assert_eq!(verdict(&headers(&standard), &[SECRET]), Ok(()));
        assert_eq!(sign(SECRET, ID, 1_772_366_400, BODY).as_deref(), Some(SIGNATURE));
        assert_eq!(id(&headers(&standard)).as_deref(), Ok(ID));
        assert_eq!(sent_at(&svix(SIGNATURE)), Some(at(1_772_366_400)));
    }

    #[test]
    fn one_signature_that_fits_is_enough() {
        let other = sign("b3RoZXIgc2VjcmV0", ID, 1_772_366_400, BODY).expect("a signature");
        for given in [
            format!("{other} {SIGNATURE}"),
            format!("v1a,AAAA v2,BBBB nonsense {SIGNATURE}"),
            format!("{SIGNATURE} {other}"),
        ] {
            assert_eq!(verdict(&svix(&given), &[SECRET]), Ok(()), "{given}");
        }
        assert_eq!(verdict(&svix(SIGNATURE), &["b3RoZXIgc2VjcmV0", SECRET]), Ok(()));
        let mut twice = svix(&other);
        twice.append("svix-signature", HeaderValue::from_static(SIGNATURE));
        assert_eq!(verdict(&twice, &[SECRET]), Ok(()));
    }

    #[test]
    fn the_prefix_of_a_secret_may_be_left_out() {
        let bare = SECRET.strip_prefix("whsec_").expect("a prefix");
        assert_eq!(verdict(&svix(SIGNATURE), &[bare]), Ok(()));
    }

    #[test]
    fn a_changed_byte_or_another_secret_is_refused() {
        let refused = Err(Rejection::BadSignature);
        let wrong = [("svix-id", "msg_onhand2"), ("svix-timestamp", SENT), ("svix-signature", SIGNATURE)];
        assert_eq!(verdict(&headers(&wrong), &[SECRET]), refused);
        let wrong = [("svix-id", ID), ("svix-timestamp", "1772366401"), ("svix-signature", SIGNATURE)];
        assert_eq!(verdict(&headers(&wrong), &[SECRET]), refused);
        let secrets = [Secret::new(SECRET)];
        assert_eq!(verify(&svix(SIGNATURE), b"{}", &secrets, at(1_772_366_400)), refused);
        assert_eq!(verdict(&svix(SIGNATURE), &[]), refused);
        for secret in ["b3RoZXIgc2VjcmV0", "", "whsec_", "whsec_no base64"] {
            assert_eq!(verdict(&svix(SIGNATURE), &[secret]), refused, "{secret}");
        }
        for given in ["v1,", "v1,AAAA", "v1a,KgYgK0DOrrZz4jXxrDGKQMk83GXkREplOLEvXtC/v6w=", "v1", "%"] {
            assert_eq!(verdict(&svix(given), &[SECRET]), refused, "{given}");
        }
    }

    #[test]
    fn a_secret_without_a_key_signs_nothing() {
        for secret in ["", "whsec_", "not base64"] {
            assert_eq!(sign(secret, ID, 1_772_366_400, BODY), None, "{secret}");
        }
    }

    #[test]
    fn five_minutes_either_way_are_recent() {
        let secrets = [Secret::new(SECRET)];
        for (now, verdict) in [
            (1_772_366_100, Ok(())),
            (1_772_366_700, Ok(())),
            (1_772_366_099, Err(Rejection::Stale)),
            (1_772_366_701, Err(Rejection::Stale)),
        ] {
            assert_eq!(verify(&svix(SIGNATURE), BODY, &secrets, at(now)), verdict, "{now}");
        }
    }

    #[test]
    fn headers_that_are_missing_or_odd_are_refused() {
        let all = [("svix-id", ID), ("svix-timestamp", SENT), ("svix-signature", SIGNATURE)];
        for left_out in 0..all.len() {
            let rest: Vec<_> =
                all.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, it)| *it).collect();
            assert!(matches!(verdict(&headers(&rest), &[SECRET]), Err(Rejection::MissingHeader(_))));
        }
        let sent = |seconds: &str| {
            let pairs = [("svix-id", ID), ("svix-timestamp", seconds), ("svix-signature", SIGNATURE)];
            verdict(&headers(&pairs), &[SECRET])
        };
        for seconds in
            ["+1772366400", "1772366400.0", "soon", "99999999999999999999", "-", "--1", "-soon", "1 2", "0x1"]
        {
            assert!(matches!(sent(seconds), Err(Rejection::Malformed(_))), "{seconds}");
        }
        for seconds in
            ["-1772366400", "-1", "0", "1772366400000", "9223372036854775807", "-9223372036854775808"]
        {
            assert_eq!(sent(seconds), Err(Rejection::Stale), "{seconds}");
        }
        for odd in ["msg.1", &"x".repeat(256)] {
            let given = headers(&[("svix-id", odd), ("svix-timestamp", SENT), ("svix-signature", SIGNATURE)]);
            assert!(matches!(verdict(&given, &[SECRET]), Err(Rejection::Malformed(_))), "{odd}");
        }
    }

    #[test]
    fn published_signatures_verify_or_fail_as_published() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/platforms/payloads"));
        let Ok(vectors) = fs::read(folder.join("signature_vectors.json")) else { return };
        let vectors: Vec<Value> = serde_json::from_slice(&vectors).expect("JSON");
        let mut checked = 0;
        for vector in vectors.iter().filter(|vector| vector["platform"] == "standard_webhooks") {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let pairs = vector["headers"].as_object().expect("headers");
            let pairs: Vec<_> =
                pairs.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
            let given = headers(&pairs);
            let now = sent_at(&given).expect("a time");
            let secrets = [Secret::new(text(&vector["secret"]))];
            let verdict = verify(&given, text(&vector["body"]).as_bytes(), &secrets, now);
            assert_eq!(verdict.is_ok(), vector["valid"] == true, "{}", vector["note"]);
            checked += 1;
        }
        assert!(checked >= 5);
    }
}
