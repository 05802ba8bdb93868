use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::json;

use super::*;
use crate::oidc::jwk::usable;

const ISSUER: &str = "https://id.example/realms/shop";
const ACME: Uuid = Uuid::from_u128(7);

/// A key made for these tests. It opens nothing.
const TEST_RSA_KEY: &str = include_str!("test_rsa_key.pem");

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

/// So many seconds from now.
fn after(seconds: i64) -> i64 {
    now().timestamp() + seconds
}

/// Makes the signature under some bytes.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Somebody who signs, and what an issuer shows of the key.
struct Signer {
    sign: Sign,
    jwk: Value,
}

impl Signer {
    fn p256() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).expect("it was just made");
        let point: &[u8] = pair.public_key().as_ref();
        let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "x": x, "y": y });
        let sign = move |bytes: &[u8]| pair.sign(&random, bytes).expect("a signature").as_ref().to_vec();
        Self { sign: Box::new(sign), jwk }
    }

    fn ed25519() -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
        let x = encode(pair.public_key());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "alg": "EdDSA", "x": x });
        Self { sign: Box::new(move |bytes: &[u8]| pair.sign(bytes).as_ref().to_vec()), jwk }
    }

    fn rsa() -> Self {
        let (_, key) = TEST_RSA_KEY.split_once("-----BEGIN PRIVATE KEY-----").expect("a key begins");
        let (key, _) = key.split_once("-----END").expect("and ends");
        let der = STANDARD.decode(key.split_whitespace().collect::<String>()).expect("base64");
        let pair = RsaKeyPair::from_pkcs8(&der).expect("an RSA key");
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let (n, e) = (encode(&public.n), encode(&public.e));
        let jwk = json!({ "kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": n, "e": e });
        let sign = move |bytes: &[u8]| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).expect("a signature");
            signature
        };
        Self { sign: Box::new(sign), jwk }
    }

    fn key(&self) -> Key {
        usable(vec![self.jwk.clone()]).remove(0)
    }

    /// A token of this header and these claims, as texts.
    fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = encode((self.sign)(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn token(&self, alg: &str, claims: &Value) -> String {
        self.token_of(&json!({ "alg": alg, "kid": "k1", "typ": "at+jwt" }).to_string(), &claims.to_string())
    }
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "onhand", "sub": "u-1", "iat": after(-10), "exp": after(300),
        "onhand_tenant": ACME.to_string(), "onhand_role": "editor",
    })
}

/// The same claims, of which one is another; null takes it out.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let fields = claims.as_object_mut().expect("an object");
    match value {
        Value::Null => fields.remove(name),
        value => fields.insert(name.to_owned(), value),
    };
    claims
}

fn verify(token: &str, key: &Key) -> Result<Granted, TokenFault> {
    let settings = OidcSettings::new(ISSUER, "onhand").expect("an issuer");
    Shown::read(token)?.verify(std::slice::from_ref(key), &settings, now())
}

/// What is wrong with these claims, rightly signed.
fn fault_of(claims: &Value) -> Option<TokenFault> {
    let signer = Signer::ed25519();
    verify(&signer.token("EdDSA", claims), &signer.key()).err()
}

#[test]
fn a_token_that_the_issuer_signed_is_believed_whichever_way_it_signs() {
    for (alg, signer) in [("RS256", Signer::rsa()), ("ES256", Signer::p256()), ("EdDSA", Signer::ed25519())] {
        let granted = verify(&signer.token(alg, &claims()), &signer.key()).expect(alg);
        let bearer =
            Bearer { tenant: TenantId(ACME), actor: "oidc:u-1".to_owned(), role: Role::Editor, brand: None };
        assert_eq!(granted, Granted { bearer, expires_at: after(300) }, "{alg}");
    }
}

#[test]
fn a_token_that_somebody_else_signed_is_not_believed() {
    let (issuer, other) = (Signer::p256(), Signer::p256());
    let token = other.token("ES256", &claims());
    assert_eq!(verify(&token, &issuer.key()), Err(TokenFault::Signature));
}

#[test]
fn a_token_is_believed_if_any_of_several_keys_has_signed_it() {
    let settings = OidcSettings::new(ISSUER, "onhand").expect("an issuer");
    let (old, new, other) = (Signer::p256(), Signer::p256(), Signer::rsa());
    let token = new.token("ES256", &claims());
    let shown = Shown::read(&token).expect("a token");
    assert!(shown.verify(&[other.key(), old.key(), new.key()], &settings, now()).is_ok());
    let without = shown.verify(&[other.key(), old.key()], &settings, now());
    assert_eq!(without, Err(TokenFault::Signature));
    assert_eq!(shown.verify(&[other.key()], &settings, now()), Err(TokenFault::Signature));
}

#[test]
fn a_token_that_was_changed_is_not_believed() {
    let signer = Signer::rsa();
    let token = signer.token("RS256", &claims());
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let (header, _) = signed.split_once('.').expect("three parts");
    let admin = encode(with("onhand_role", json!("admin")).to_string());
    let changed = format!("{header}.{admin}.{signature}");
    assert_eq!(verify(&changed, &signer.key()), Err(TokenFault::Signature));
    assert_eq!(verify(&format!("{signed}."), &signer.key()), Err(TokenFault::Signature));
}

#[test]
fn a_token_that_nobody_signed_is_not_believed() {
    let signer = Signer::p256();
    for alg in ["none", "None", "NONE", ""] {
        let header = encode(json!({ "alg": alg, "kid": "k1" }).to_string());
        let token = format!("{header}.{}.", encode(claims().to_string()));
        assert_eq!(verify(&token, &signer.key()), Err(TokenFault::Algorithm), "{alg:?}");
    }
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    let issuer = Signer::rsa();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, issuer.jwk.to_string().as_bytes());
    let sign = move |bytes: &[u8]| hmac::sign(&secret, bytes).as_ref().to_vec();
    let forger = Signer { sign: Box::new(sign), jwk: Value::Null };
    let verdict = |alg| verify(&forger.token(alg, &claims()), &issuer.key());
    assert_eq!(verdict("HS256"), Err(TokenFault::Algorithm));
    assert_eq!(verdict("RS256"), Err(TokenFault::Signature));
}

#[test]
fn a_key_is_good_for_its_own_kind_of_signature_only() {
    let (rsa, p256) = (Signer::rsa(), Signer::p256());
    assert_eq!(verify(&rsa.token("RS256", &claims()), &p256.key()), Err(TokenFault::Signature));
    assert_eq!(verify(&p256.token("RS256", &claims()), &p256.key()), Err(TokenFault::Signature));
    assert_eq!(verify(&p256.token("ES256", &claims()), &rsa.key()), Err(TokenFault::Signature));
    for alg in ["RS512", "PS256", "ES384", "ES256K"] {
        assert_eq!(verify(&rsa.token(alg, &claims()), &rsa.key()), Err(TokenFault::Algorithm), "{alg}");
    }
}

#[test]
fn a_token_is_of_the_issuer_to_the_letter() {
    for other in ["https://id.example/realms/shop/", "https://id.example", ""] {
        assert_eq!(fault_of(&with("iss", json!(other))), Some(TokenFault::Issuer), "{other}");
    }
}

#[test]
fn a_token_is_meant_for_this_server_alone_or_among_others() {
    for right in [json!("onhand"), json!(["onhand"]), json!(["shop", "onhand"])] {
        assert_eq!(fault_of(&with("aud", right.clone())), None, "{right}");
    }
    for wrong in [json!("shop"), json!(["shop"]), json!([]), json!("onhand shop"), json!("ONHAND")] {
        assert_eq!(fault_of(&with("aud", wrong.clone())), Some(TokenFault::Audience), "{wrong}");
    }
}

#[test]
fn a_token_is_good_from_its_beginning_to_its_end_give_or_take_a_minute() {
    assert_eq!(fault_of(&with("exp", json!(after(-59)))), None);
    assert_eq!(fault_of(&with("exp", json!(after(-60)))), Some(TokenFault::Expired));
    assert_eq!(fault_of(&with("exp", json!(-1e300))), Some(TokenFault::Expired));
    assert_eq!(fault_of(&with("exp", json!(1e300))), None);
    for name in ["nbf", "iat"] {
        assert_eq!(fault_of(&with(name, json!(after(60)))), None, "{name}");
        assert_eq!(fault_of(&with(name, json!(after(61)))), Some(TokenFault::Early(name)));
    }
}

#[test]
fn a_token_that_was_believed_is_not_once_it_has_expired() {
    let signer = Signer::ed25519();
    let granted = verify(&signer.token("EdDSA", &claims()), &signer.key()).expect("it is good now");
    assert!(granted.clone().at(now() + TimeDelta::seconds(359)).is_ok());
    assert_eq!(granted.at(now() + TimeDelta::seconds(360)), Err(TokenFault::Expired));
}

#[test]
fn a_token_says_whose_it_is_whom_it_is_for_and_until_when() {
    for name in ["iss", "aud", "sub", "exp"] {
        assert_eq!(fault_of(&with(name, Value::Null)), Some(TokenFault::Missing(name)));
    }
    for (name, wrong) in [("exp", json!("soon")), ("iss", json!(7)), ("aud", json!({})), ("sub", json!([]))] {
        assert_eq!(fault_of(&with(name, wrong)), Some(TokenFault::Claims), "{name}");
    }
}

#[test]
fn a_subject_can_be_written_down() {
    for wrong in [String::new(), "u\n1".into(), "u\0".into(), "u".repeat(256), "ü".repeat(128)] {
        assert_eq!(fault_of(&with("sub", json!(wrong))), Some(TokenFault::Subject), "{wrong:?}");
    }
    for right in ["u".repeat(255), "auth0|7".into(), "a b".into()] {
        assert_eq!(fault_of(&with("sub", json!(right))), None, "{right:?}");
    }
}

#[test]
fn what_is_critical_is_not_understood() {
    let signer = Signer::p256();
    for crit in [json!(["exp"]), json!([]), Value::Null] {
        let header = json!({ "alg": "ES256", "kid": "k1", "crit": crit }).to_string();
        let token = signer.token_of(&header, &claims().to_string());
        assert_eq!(verify(&token, &signer.key()), Err(TokenFault::Critical), "{header}");
    }
}

#[test]
fn a_token_that_is_too_long_is_not_read() {
    let signer = Signer::ed25519();
    let token = signer.token("EdDSA", &with("groups", json!("g".repeat(8_000))));
    assert!(token.len() > TOKEN_BYTES_MAX);
    assert_eq!(verify(&token, &signer.key()), Err(TokenFault::TooLong));
}

#[test]
fn what_is_not_written_as_a_token_is_none() {
    let signer = Signer::ed25519();
    let token = signer.token("EdDSA", &claims());
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let header = encode(json!(["EdDSA", "k1"]).to_string());
    let garbled = [
        String::new(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{token}."),
        format!("{token}=="),
        format!(" {token}"),
        format!("{signed}.+/{signature}"),
        format!("{signed}.{}", &signature[1..]),
        format!("{header}.{token}"),
        format!("{header}.{}.{signature}", encode("{}")),
        format!("{}.{}.{signature}", encode(r#"{"kid":"k1"}"#), encode("{}")),
        format!("{}.{}.{signature}", encode(r#"{"alg":"EdDSA","alg":"none"}"#), encode("{}")),
    ];
    for token in garbled {
        assert_eq!(verify(&token, &signer.key()), Err(TokenFault::Garbled), "{token}");
    }
}

#[test]
fn a_claim_that_is_there_twice_is_not_chosen_from() {
    let signer = Signer::ed25519();
    let header = json!({ "alg": "EdDSA" }).to_string();
    for claim in [r#""exp":1"#, r#""onhand_role":"admin""#, r#""aud":"shop""#] {
        let twice = format!("{{{claim},{}", &claims().to_string()[1..]);
        let token = signer.token_of(&header, &twice);
        assert_eq!(verify(&token, &signer.key()), Err(TokenFault::Claims), "{claim}");
    }
    let token = signer.token_of(&header, "[]");
    assert_eq!(verify(&token, &signer.key()), Err(TokenFault::Claims));
}

#[test]
fn what_a_token_does_not_say_of_its_bearer_is_told_by_the_claim() {
    let fault = |name, value| match fault_of(&with(name, value)) {
        Some(TokenFault::Claim { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    for wrong in [Value::Null, json!("acme"), json!(7)] {
        assert_eq!(fault("onhand_tenant", wrong), "onhand_tenant");
    }
    for wrong in [Value::Null, json!("Admin"), json!("owner"), json!(["admin"])] {
        assert_eq!(fault("onhand_role", wrong), "onhand_role");
    }
    for wrong in [json!(""), json!("  "), json!(["kite"]), json!("b".repeat(201))] {
        assert_eq!(fault("onhand_brand", wrong), "onhand_brand");
    }
}

#[test]
fn a_brand_that_is_null_does_not_open_all_of_them() {
    let mut nowhere = claims();
    nowhere["onhand_brand"] = Value::Null;
    let expected = TokenFault::Claim { name: "onhand_brand", why: "is no text" };
    assert_eq!(fault_of(&nowhere), Some(expected));
    let signer = Signer::ed25519();
    let granted = verify(&signer.token("EdDSA", &with("onhand_brand", json!("kite"))), &signer.key());
    assert_eq!(granted.expect("it is bound").bearer.brand.as_deref(), Some("kite"));
}

#[test]
fn keys_that_are_not_for_this_are_passed_over() {
    let changed = |signer: &Signer, name: &str, value: Value| {
        let mut jwk = signer.jwk.clone();
        jwk[name] = value;
        jwk
    };
    let (rsa, p256, ed25519) = (Signer::rsa(), Signer::p256(), Signer::ed25519());
    let short = encode([&[0x7f][..], &[0xff; 255]].concat());
    let set = vec![
        changed(&rsa, "use", json!("enc")),
        changed(&rsa, "alg", json!("RS512")),
        changed(&rsa, "n", json!(short)),
        changed(&rsa, "n", json!("")),
        changed(&rsa, "e", json!("AQ==")),
        changed(&p256, "crv", json!("P-384")),
        changed(&p256, "alg", json!("RS256")),
        changed(&p256, "y", json!("AQAB")),
        changed(&ed25519, "crv", json!("X25519")),
        changed(&ed25519, "x", json!(7)),
        json!({ "kty": "oct", "kid": "k1", "k": "c2VjcmV0" }),
        json!(["RSA"]),
        json!(null),
    ];
    assert!(usable(set).is_empty());
    let padded = {
        let n = URL_SAFE_NO_PAD.decode(rsa.jwk["n"].as_str().expect("a modulus")).expect("base64");
        changed(&rsa, "n", json!(encode([vec![0], n].concat())))
    };
    assert_eq!(usable(vec![padded]), [rsa.key()]);
}
