//! An issuer's public keys as its key set shows them, and whether one of them has signed something.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use onhand_domain::values::Object;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

const RSA_BITS_MIN: usize = 2_048;

/// The ways to sign that are believed. None of them takes a secret that the issuer and this server share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// By the name that tokens and keys give it.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A key with which tokens may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// What tokens call it.
    pub(super) id: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    /// Modulus and exponent, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point that is not compressed.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Those keys of a set with which tokens may be signed. The others, such as those for encryption, are passed over.
pub(super) fn usable(set: Vec<Value>) -> Vec<Key> {
    set.into_iter().filter_map(|jwk| serde_json::from_value::<Object<Jwk>>(jwk).ok()?.0.key()).collect()
}

impl Jwk {
    fn key(self) -> Option<Key> {
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let coordinate = |text| bytes(text).filter(|bytes| bytes.len() == 32);
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => rsa(bytes(self.n)?, bytes(self.e)?)?,
            ("EC", Some("P-256")) => {
                Material::P256([vec![4], coordinate(self.x)?, coordinate(self.y)?].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(coordinate(self.x)?),
            _ => return None,
        };
        let signs = self.purpose.is_none_or(|purpose| purpose == "sig");
        let fits = self.alg.is_none_or(|alg| Algorithm::of(&alg) == Some(material.algorithm()));
        (signs && fits).then_some(Key { id: self.kid, material })
    }
}

/// None if the key is too short to be believed.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<Material> {
    // Some issuers write leading zeros, which are refused further on.
    let whole = |number: Vec<u8>| number.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (n, e) = (whole(n), whole(e));
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    (bits >= RSA_BITS_MIN).then_some(Material::Rsa { n, e })
}

impl Material {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }
}

impl Key {
    /// The one way to sign that is believed of this key.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.material.algorithm()
    }

    /// Whether the signature of this message is by this key.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Material::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}
