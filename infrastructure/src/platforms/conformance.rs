//! What every adapter must survive.
//!
//! An adapter is accepted when it passes: its samples are genuine, nothing else is, and no bytes at all make
//! it panic. The tests know the platforms by their port alone.

mod buyers;
mod hard;
mod outbound;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use chrono::{DateTime, Utc};
use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    values::{Currency, ExternalId, LocationCode, Market},
};
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::{
    adapter::{Access, Adapter, Genuine, Hint, Inbound, Sample, Titled},
    adapter_of,
    fact::{Decoded, Rejection},
};
use crate::secrets::Secret;
use hard::Answer;

/// Fit for every platform: a text for most of them, base64 of 32 bytes for those that want that.
const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcyBhcmUgYSBnb29kIGtleSE=";
const OTHER: &str = "whsec_YW5vdGhlciBzZWNyZXQsIG9mIHR3ZW50eS1mb3VyLi4=";
const URL: &str = "https://onhand.example/webhook/any/0198c0de";
const ID: u128 = 0x0198_c0de_7000_8000_8123_4567_89ab_cdef;
const OTHER_ID: u128 = 0x0198_c0df_7000_8000_fedc_ba98_7654_3210;
const RESOURCES: [&str; 6] = ["product", "order", "catalog", "models", "document", "download"];
/// Ids that say more than a number does: since when, or what lies where.
const TELLING: [(&str, &str); 7] = [
    ("catalog", "2026-03-01T12:00:00Z"),
    ("product", "1/1/UnVubmVy"),
    ("document", "inventory.updated|https://x.example/y"),
    ("download", "inventory.updated|https://x.example/y"),
    ("download", "product.updated|https://x.example/y"),
    ("download", "cart-product.updated|https://x.example/y"),
    ("download", "cart-order.updated|https://x.example/y"),
];

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_366_400, 0).expect("a time")
}

fn connection(platform: Platform) -> ConnectionDetails {
    ConnectionDetails {
        platform,
        name: "Quay Side".into(),
        brand: "Quay".into(),
        account: Some("shop-1".into()),
        app: Some("app-1".into()),
        endpoint: None,
        platform_location: Some(ExternalId::from(7)),
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("USD").expect("a currency"),
    }
}

fn hint(resource: &'static str, external: &str) -> Hint {
    let titled = Some(Titled { title: "Runner".into(), at: now() });
    Hint { resource, external: ExternalId::new(external).expect("an id"), titled }
}

/// Whatever an answer may be an answer to.
fn hints() -> impl Iterator<Item = Hint> {
    let numbered = RESOURCES.into_iter().map(|resource| hint(resource, "1"));
    numbered.chain(TELLING.into_iter().map(|(resource, external)| hint(resource, external)))
}

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::new(*text)).collect()
}

/// Why a platform's samples stay genuine when the body is changed; none for those that sign it.
fn unsigned_body(platform: Platform) -> Option<&'static str> {
    match platform {
        Platform::Clover => Some("Clover sends a fixed code in a header and signs nothing"),
        Platform::Tradingview => Some("TradingView sends a secret in the text and signs nothing"),
        _ => None,
    }
}

/// A sample with all that stands around it.
struct Delivery {
    adapter: &'static dyn Adapter,
    details: ConnectionDetails,
    topic: &'static str,
    pairs: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn sample_of(id: u128, details: &ConnectionDetails) -> Sample<'_> {
    Sample { id: Uuid::from_u128(id), now: now(), url: URL, secret: SECRET, details, sku: "RUN-42" }
}

/// One delivery for each topic of a platform.
fn deliveries_of(platform: Platform, id: u128) -> Vec<Delivery> {
    let adapter = adapter_of(platform);
    let made = |topic: &'static str| {
        let details = connection(platform);
        let made = adapter.sample(topic, &sample_of(id, &details));
        let (pairs, body) = made.unwrap_or_else(|| panic!("{platform} has no sample of its topic {topic}"));
        Delivery { adapter, details, topic, pairs, body }
    };
    adapter.topics().iter().copied().map(made).collect()
}

fn deliveries() -> Vec<Delivery> {
    Platform::ALL.into_iter().flat_map(|platform| deliveries_of(platform, ID)).collect()
}

/// What each platform's API answers, each beside a delivery of that platform.
fn answers() -> Vec<(Delivery, Answer)> {
    let mut answers = vec![];
    for platform in Platform::ALL {
        for answer in hard::answers(platform) {
            let delivery = deliveries_of(platform, ID).into_iter().next();
            answers.push((delivery.expect("there is a sample for every platform"), answer));
        }
    }
    answers
}

/// Hands on a text once for each of its values and each odd one that takes its place.
fn changed(text: &Value, mut take: impl FnMut(&[u8])) {
    let odd = hard::values();
    let mut found = vec![];
    hard::places(text, "", &mut found);
    for place in found {
        for value in &odd {
            let mut body = text.clone();
            *body.pointer_mut(&place).expect("a place of this very text") = value.clone();
            take(body.to_string().as_bytes());
        }
    }
}

fn headers(pairs: &[(&'static str, String)], spelling: fn(&str) -> String) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(spelling(name).as_bytes()).expect("a header's name");
        headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    headers
}

fn as_sent(name: &str) -> String {
    name.to_owned()
}

/// `Like-This`, and not as the platform spells it.
fn mixed(name: &str) -> String {
    name.split('-')
        .map(|word| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect())
        .collect::<Vec<String>>()
        .join("-")
}

impl Delivery {
    fn name(&self) -> String {
        format!("{} {}", self.details.platform, self.topic)
    }

    fn headers(&self) -> HeaderMap {
        headers(&self.pairs, as_sent)
    }

    fn request<'r>(&'r self, headers: &'r HeaderMap, body: &'r [u8], secrets: &'r [Secret]) -> Inbound<'r> {
        Inbound { headers, body, url: URL, now: now(), details: &self.details, secrets }
    }

    fn verdict(&self, headers: &HeaderMap, body: &[u8], texts: &[&str]) -> Result<(), Rejection> {
        self.adapter.verify(&self.request(headers, body, &secrets(texts)))
    }

    fn genuine<'r>(&'r self, body: &'r [u8]) -> Genuine<'r> {
        Genuine { topic: self.topic, body, at: now(), details: &self.details }
    }

    /// Hands a request through all that an adapter does with one; what comes of it does not matter.
    fn survives(&self, headers: &HeaderMap, body: &[u8]) {
        let secrets = secrets(&[OTHER, SECRET]);
        let request = self.request(headers, body, &secrets);
        let _ = self.adapter.is_greeting(&request);
        let _ = self.adapter.verify(&request);
        if let Ok(identity) = self.adapter.identify(&request) {
            let _ = self.adapter.decode(&Genuine { topic: &identity.topic, ..self.genuine(body) });
        }
        let _ = self.adapter.decode(&self.genuine(body));
        let _ = self.adapter.other_accounts(&self.genuine(body));
    }

    /// Takes the body for an answer to all that may be asked.
    fn survives_answer(&self, body: &[u8]) {
        for hint in hints() {
            let _ = self.adapter.seen(&hint, body, now(), &self.details);
        }
    }
}

#[test]
fn there_is_a_sample_for_every_platform() {
    for platform in Platform::ALL {
        let adapter = adapter_of(platform);
        assert!(!adapter.topics().is_empty(), "{platform}");
        let details = connection(platform);
        let sample = sample_of(ID, &details);
        assert_eq!(adapter.sample("no such topic", &sample), None, "{platform}");
    }
}

#[test]
fn a_sample_is_genuine_whichever_of_the_secrets_signed_it() {
    for delivery in deliveries() {
        let (headers, body) = (delivery.headers(), &delivery.body);
        for texts in [&[SECRET][..], &[OTHER, SECRET], &[SECRET, OTHER]] {
            assert_eq!(delivery.verdict(&headers, body, texts), Ok(()), "{}", delivery.name());
        }
    }
}

#[test]
fn without_its_secret_nothing_is_genuine() {
    for delivery in deliveries() {
        let (headers, body) = (delivery.headers(), &delivery.body);
        for texts in [&[][..], &[OTHER], &[""], &["", OTHER], &["whsec_"]] {
            assert!(delivery.verdict(&headers, body, texts).is_err(), "{} {texts:?}", delivery.name());
        }
    }
}

#[test]
fn what_tells_something_is_no_greeting() {
    for delivery in deliveries() {
        let (headers, bare, secrets) = (delivery.headers(), HeaderMap::new(), secrets(&[SECRET]));
        for headers in [&headers, &bare] {
            let request = delivery.request(headers, &delivery.body, &secrets);
            assert!(!delivery.adapter.is_greeting(&request), "{}", delivery.name());
        }
    }
}

#[test]
fn a_greeting_is_not_genuine() {
    let (headers, secrets, bodies) = (HeaderMap::new(), secrets(&[SECRET]), hard::bodies());
    for delivery in deliveries() {
        for body in &bodies {
            let request = delivery.request(&headers, body, &secrets);
            if delivery.adapter.is_greeting(&request) {
                assert!(delivery.adapter.verify(&request).is_err(), "{}", delivery.name());
            }
        }
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    for delivery in deliveries() {
        if unsigned_body(delivery.details.platform).is_some() {
            continue;
        }
        let mut body = delivery.body.clone();
        let middle = body.len() / 2;
        body[middle] ^= 1;
        let verdict = delivery.verdict(&delivery.headers(), &body, &[SECRET]);
        assert!(verdict.is_err(), "{}", delivery.name());
    }
}

#[test]
fn a_delivery_has_one_identity_and_another_delivery_another() {
    for platform in Platform::ALL {
        let others = deliveries_of(platform, OTHER_ID);
        for (delivery, other) in deliveries_of(platform, ID).iter().zip(&others) {
            let identity = |delivery: &Delivery| {
                let headers = delivery.headers();
                let identity = delivery.adapter.identify(&delivery.request(&headers, &delivery.body, &[]));
                identity.unwrap_or_else(|rejection| panic!("{}: {rejection}", delivery.name()))
            };
            let first = identity(delivery);
            assert_eq!(first, identity(delivery), "{}", delivery.name());
            assert_eq!(first.topic, delivery.topic, "{platform}");
            assert!(!first.external_id.is_empty() && first.external_id.len() <= 255, "{}", delivery.name());
            assert_ne!(first.external_id, identity(other).external_id, "{}", delivery.name());
        }
    }
}

#[test]
fn a_sample_tells_something_and_no_secret() {
    for delivery in deliveries() {
        match delivery.adapter.decode(&delivery.genuine(&delivery.body)) {
            Ok(Decoded::Facts(facts)) if !facts.is_empty() => {
                assert!(!format!("{facts:?}").contains(SECRET), "{}", delivery.name());
            }
            other => panic!("{}: {other:?}", delivery.name()),
        }
    }
}

#[test]
fn headers_may_be_spelled_in_any_case() {
    for delivery in deliveries() {
        let identity =
            |headers: &HeaderMap| delivery.adapter.identify(&delivery.request(headers, &delivery.body, &[]));
        let spellings: [fn(&str) -> String; 3] = [str::to_lowercase, str::to_uppercase, mixed];
        for spelling in spellings {
            let spelled = headers(&delivery.pairs, spelling);
            assert_eq!(delivery.verdict(&spelled, &delivery.body, &[SECRET]), Ok(()), "{}", delivery.name());
            assert_eq!(identity(&spelled), identity(&delivery.headers()), "{}", delivery.name());
        }
    }
}

#[test]
fn a_header_may_be_missing_or_be_there_twice() {
    for delivery in deliveries() {
        for place in 0..delivery.pairs.len() {
            let mut pairs = delivery.pairs.clone();
            let (name, _) = pairs.remove(place);
            delivery.survives(&headers(&pairs, as_sent), &delivery.body);
            for value in ["", "0", "not it"] {
                let mut pairs = delivery.pairs.clone();
                pairs.insert(place, (name, value.to_owned()));
                delivery.survives(&headers(&pairs, as_sent), &delivery.body);
            }
        }
        assert!(!delivery.pairs.is_empty(), "{}: each platform says at least what it sends", delivery.name());
        let bare = HeaderMap::new();
        delivery.survives(&bare, &delivery.body);
    }
}

#[test]
fn no_body_is_too_hard() {
    let bodies = hard::bodies();
    for delivery in deliveries() {
        let headers = delivery.headers();
        for body in &bodies {
            delivery.survives(&headers, body);
            delivery.survives_answer(body);
        }
    }
}

#[test]
fn any_value_may_be_of_another_kind() {
    for delivery in deliveries() {
        let Ok(sample) = serde_json::from_slice::<Value>(&delivery.body) else { continue };
        let headers = delivery.headers();
        changed(&sample, |body| delivery.survives(&headers, body));
    }
}

#[test]
fn any_value_of_an_answer_may_be_of_another_kind() {
    for (delivery, answer) in answers() {
        changed(&answer.body, |body| delivery.survives_answer(body));
    }
}

#[test]
fn an_answer_to_each_sort_of_hint_tells_something() {
    let answers = answers();
    for (delivery, answer) in &answers {
        let hint = hint(answer.resource, answer.external);
        let body = answer.body.to_string();
        let seen = delivery.adapter.seen(&hint, body.as_bytes(), now(), &delivery.details);
        assert!(
            seen.as_ref().is_ok_and(|facts| !facts.is_empty()),
            "{}: {hint:?}: {seen:?}",
            delivery.name()
        );
        assert!(
            hints().any(|known| known == hint),
            "{hint:?} is not among those that answers are tried with"
        );
    }
    let (token, app_secret) = (Secret::new("ck_1:cs_1"), Secret::new("app secret"));
    for platform in Platform::ALL {
        let details = connection(platform);
        let (token, app_secret) = (Some(&token), Some(&app_secret));
        let access = Access { details: &details, token, app_secret, now: now() };
        for hint in hints().filter(|hint| adapter_of(platform).look(hint, &access).is_some()) {
            let mut known = answers.iter().filter(|(delivery, _)| delivery.details.platform == platform);
            let known = known.any(|(_, answer)| answer.resource == hint.resource);
            assert!(known, "{platform}: write an answer that shows a {}", hint.resource);
        }
    }
}

#[test]
fn an_id_does_not_lead_a_look_astray() {
    let (token, app_secret) = (Secret::new("token"), Secret::new("app secret"));
    for platform in Platform::ALL {
        let (adapter, details) = (adapter_of(platform), connection(platform));
        for account in
            [Some("shop-1".to_owned()), Some("47114711".to_owned()), Some("é/../?evil#evil".to_owned()), None]
        {
            let details = ConnectionDetails { account, ..details.clone() };
            for (token, app_secret) in [(Some(&token), Some(&app_secret)), (Some(&token), None), (None, None)]
            {
                let access = Access { details: &details, token, app_secret, now: now() };
                for resource in RESOURCES {
                    let external = ExternalId::new("1/../é?evil=1&evil#evil").expect("an id");
                    let call = adapter.look(&Hint { resource, external, titled: None }, &access);
                    let Some(call) = call else { continue };
                    for part in ["/../", "?evil", "&evil", "#evil"] {
                        assert!(!call.target.contains(part), "{platform} {resource}: {}", call.target);
                    }
                }
            }
        }
    }
}

/// Addresses that an id may name, and whether they are names in the public net.
const ADDRESSES: [(&str, bool); 28] = [
    ("https://production.trackstarhq.com/x", true),
    ("https://PRODUCTION.trackstarhq.com/x", true),
    ("https://files.example/x?a=b", true),
    ("https://production.trackstarhq.com.evil.example/x", true),
    ("https://evil.example/production.trackstarhq.com", true),
    ("https://evil.example?.trackstarhq.com", true),
    ("https://evil.example#production.trackstarhq.com", true),
    ("https://evil.example/@production.trackstarhq.com", true),
    ("https://evilproduction.trackstarhq.com/x", true),
    ("https://trackstarhq.com/x", true),
    ("https://169.254.169.254/x", false),
    ("https://169.254.169.254./x", false),
    ("https://127.1/x", false),
    ("https://2852039166/x", false),
    ("https://0xa9.0xfe.0xa9.0xfe/x", false),
    ("https://[::1]/x", false),
    ("https://localhost/x", false),
    ("https://LOCALHOST/x", false),
    ("https://onhand.localhost/x", false),
    ("https://localhost./x", false),
    ("https://metadata.google.internal/x", false),
    ("https://printer.local/x", false),
    ("https://database/x", false),
    ("https://production.trackstarhq.com@evil.example/x", false),
    ("https://production.trackstarhq.com:8443/x", false),
    ("http://production.trackstarhq.com/x", false),
    ("file:///etc/passwd", false),
    ("//evil.example/x", false),
];

#[test]
fn an_address_in_an_id_does_not_lead_a_look_astray() {
    let (token, app_secret) = (Secret::new("token"), Secret::new("app secret"));
    let mut looked = vec![];
    for platform in Platform::ALL {
        let details = connection(platform);
        for (token, app_secret) in [(Some(&token), Some(&app_secret)), (Some(&token), None), (None, None)] {
            let access = Access { details: &details, token, app_secret, now: now() };
            for (address, public) in ADDRESSES {
                let external = format!("inventory.updated|{address}");
                for resource in ["document", "download"] {
                    let (adapter, hint) = (adapter_of(platform), hint(resource, &external));
                    let call = adapter.look(&hint, &access);
                    assert_eq!(
                        adapter.fetch(&hint, address, &access),
                        call,
                        "{platform} {resource}: {address}"
                    );
                    let Some(call) = call else { continue };
                    assert!(
                        public && call.target.starts_with("https://"),
                        "{platform} {resource}: {address}"
                    );
                    if resource == "document" {
                        let target: Uri = call.target.parse().expect("an address");
                        let host = target.host().unwrap_or_default().to_lowercase();
                        assert_eq!(host, "production.trackstarhq.com", "{platform}: {address}");
                    } else {
                        // Whoever made the address up: no secret goes there.
                        assert!(call.headers.is_empty() && call.body.is_none(), "{platform}: {address}");
                    }
                    looked.push((platform, resource, address));
                }
            }
        }
    }
    for (resource, address) in
        [("document", "https://production.trackstarhq.com/x"), ("download", "https://files.example/x?a=b")]
    {
        assert!(looked.contains(&(Platform::Trackstar, resource, address)), "{resource}: {address}");
    }
}

/// What a header's value may be made of.
fn header_value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![
        4 => 0x20_u8..=0x7e,
        1 => 0x80_u8..=0xff,
        2 => prop::sample::select(b"0123456789,=. v".to_vec()),
    ];
    prop::collection::vec(byte, 0..80)
        .prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("none of them is a control character"))
}

/// Bodies that are drawn for each property: few in every run of the tests, many where somebody has the time.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn no_bytes_and_no_header_make_an_adapter_panic(
        body in prop::collection::vec(any::<u8>(), 0..512),
        value in header_value(),
    ) {
        for delivery in deliveries() {
            let genuine = delivery.headers();
            delivery.survives(&genuine, &body);
            delivery.survives_answer(&body);
            for name in genuine.keys() {
                let mut headers = genuine.clone();
                headers.insert(name.clone(), value.clone());
                delivery.survives(&headers, &body);
                delivery.survives(&headers, &delivery.body);
            }
        }
    }

    #[test]
    fn no_changed_byte_of_a_sample_makes_an_adapter_panic(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for delivery in deliveries() {
            let mut body = delivery.body.clone();
            *place.get_mut(&mut body) = byte;
            delivery.survives(&delivery.headers(), &body);
            delivery.survives_answer(&body);
        }
    }

    #[test]
    fn no_changed_byte_of_an_answer_makes_an_adapter_panic(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for (delivery, answer) in answers() {
            let mut body = answer.body.to_string().into_bytes();
            *place.get_mut(&mut body) = byte;
            delivery.survives_answer(&body);
        }
    }
}
