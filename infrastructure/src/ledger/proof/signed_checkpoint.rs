//! Signed checkpoints: what a ledger was at a position, under a signature that a rewritten ledger cannot be given.
//!
//! A document is signed as a text of lines, `name: value`, made of its fields just as they stand in it. So whoever checks
//! it needs no rule for how numbers or times are written.

use chrono::{DateTime, Utc};
use onhand_domain::values::TenantId;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::{
    super::LedgerError,
    merkle_nodes,
    unproven::{Unproven, bytes_of, micros_of, uuid_of, written},
};

/// What a document of this kind calls itself.
pub(super) const FORMAT: &str = "onhand.checkpoint.v1";

/// How a ledger stands at its head.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whose it is.
    pub tenant: TenantId,
    /// What they are called.
    pub tenant_name: String,
    /// The newest entry.
    pub position: i64,
    /// Its hash, in hex.
    pub hash: String,
    /// The root of the tree over all entries, in hex.
    pub root: String,
    /// When the newest entry was recorded.
    pub recorded_at: DateTime<Utc>,
}

/// A signed checkpoint, as it is given out. Hashes, keys and signatures are in hex, times in RFC 3339 with microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// `onhand.checkpoint.v1`
    pub format: String,
    /// Whose ledger.
    pub tenant: String,
    /// What they were called then.
    pub tenant_name: String,
    /// The last entry it speaks of; it speaks of all before it, too.
    pub position: i64,
    /// The hash of that entry.
    pub hash: String,
    /// The root of the tree over all of them.
    pub root: String,
    /// When that entry was recorded.
    pub recorded_at: String,
    /// When this was signed.
    pub signed_at: String,
    /// The key it is signed with, by its name: the first eight bytes of the SHA-256 of the public key.
    pub key: String,
    /// The public key.
    pub public_key: String,
    /// Ed25519, over [`Self::text`].
    pub signature: String,
}

impl SignedCheckpoint {
    /// The text that is signed. The name comes last: it is the only value that may have lines of its own.
    pub fn text(&self) -> String {
        let Self { format, tenant, tenant_name, position, hash, root, .. } = self;
        let Self { recorded_at, signed_at, key, public_key, .. } = self;
        format!(
            "format: {format}\ntenant: {tenant}\nposition: {position}\nhash: {hash}\nroot: {root}\n\
             recorded_at: {recorded_at}\nsigned_at: {signed_at}\nkey: {key}\npublic_key: {public_key}\n\
             tenant_name: {tenant_name}\n"
        )
    }

    /// Whether the signature holds, and is of this public key, in hex, if one is given. Without one it only shows that the
    /// document hangs together: anybody can sign something with some key.
    pub fn check(&self, key: Option<&str>) -> Result<(), Unproven> {
        if self.format != FORMAT {
            return Err(Unproven::Malformed("format"));
        }
        if self.position < 1 {
            return Err(Unproven::Malformed("position"));
        }
        // Each value in the one way it is written, so that the text could not have been made of others.
        uuid_of("tenant", &self.tenant)?;
        bytes_of::<32>("hash", &self.hash)?;
        bytes_of::<32>("root", &self.root)?;
        micros_of("recorded_at", &self.recorded_at)?;
        micros_of("signed_at", &self.signed_at)?;
        let public_key = bytes_of::<32>("public_key", &self.public_key)?;
        let signature = bytes_of::<64>("signature", &self.signature)?;
        if self.key != key_name(&public_key) {
            return Err(Unproven::Malformed("key"));
        }
        if key.is_some_and(|key| !key.trim().eq_ignore_ascii_case(&self.public_key)) {
            return Err(Unproven::OtherKey(self.public_key.clone()));
        }
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(self.text().as_bytes(), &signature)
            .map_err(|_| Unproven::Signature)
    }

    /// Whether it is about this tenant's ledger.
    pub fn is_of(&self, tenant: TenantId) -> bool {
        self.tenant == tenant.to_string()
    }
}

/// A tenant's key for signing.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key that follows from a secret of 32 bytes. None if there are more or fewer.
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The key that others check with.
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// What it is called.
    pub fn name(&self) -> String {
        key_name(self.public_key())
    }

    /// Signs for how a ledger stands.
    pub fn sign(&self, standing: Standing, now: DateTime<Utc>) -> SignedCheckpoint {
        let mut signed = SignedCheckpoint {
            format: FORMAT.to_owned(),
            tenant: standing.tenant.to_string(),
            tenant_name: standing.tenant_name,
            position: standing.position,
            hash: standing.hash,
            root: standing.root,
            recorded_at: written(standing.recorded_at),
            signed_at: written(now),
            key: self.name(),
            public_key: hex::encode(self.public_key()),
            signature: String::new(),
        };
        signed.signature = hex::encode(self.0.sign(signed.text().as_bytes()));
        signed
    }
}

/// How a public key is called.
pub fn key_name(public_key: &[u8]) -> String {
    hex::encode(&Sha256::digest(public_key)[..8])
}

/// How a tenant's ledger stands; none if nothing has happened yet.
///
/// Reads the hash of every entry, for what is kept of the tree is not believed where something is signed. Does not compute
/// hashes anew: see [`super::verify`].
pub async fn standing(pool: &PgPool, tenant: TenantId) -> Result<Option<Standing>, LedgerError> {
    let mut conn = pool.acquire().await?;
    // Not as `Head`: its time may have been made one that no calendar has, and it is the last entry's that is signed.
    let head: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select position, hash from ledger_heads where tenant_id = $1")
            .bind(tenant.0)
            .fetch_optional(&mut *conn)
            .await?;
    let (position, hash) = head.ok_or(LedgerError::NoTenant)?;
    if position == 0 {
        return Ok(None);
    }
    let found: Option<(String, DateTime<Utc>)> = sqlx::query_as(
        "select t.name, e.recorded_at from tenants t
         join events e on e.tenant_id = t.id and e.position = $2 and e.hash = $3
         where t.id = $1",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(&hash)
    .fetch_optional(&mut *conn)
    .await?;
    let (tenant_name, recorded_at) = found.ok_or_else(|| {
        let why = "the head's hash is not the hash of the last entry".to_owned();
        LedgerError::Unreadable { position, why }
    })?;
    let root = hex::encode(merkle_nodes::tree(&mut conn, tenant, position).await?.root());
    Ok(Some(Standing { tenant, tenant_name, position, hash: hex::encode(hash), root, recorded_at }))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Test 1 of RFC 8032, section 7.1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn key() -> SigningKey {
        SigningKey::from_seed(&hex::decode(SEED).expect("hex")).expect("32 bytes")
    }

    /// The first entry of the worked example in `docs/EVENTS.md`.
    fn example() -> SignedCheckpoint {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        let standing = Standing {
            tenant: TenantId(Uuid::from_u128(0x0198_a000_0000_7000_8000_0000_0000_0001)),
            tenant_name: "acme".to_owned(),
            position: 1,
            hash: "e45cd8a934e77e119fbd4e9c3f96485010a3d89376a67dc11b1b661098474a9b".to_owned(),
            root: "e4a4ae59879e7c516c6e91f03276e093d3416552645ea217cb16210785b5e9d8".to_owned(),
            recorded_at: at("2026-01-02T03:04:05Z"),
        };
        key().sign(standing, at("2026-01-03T00:00:00Z"))
    }

    #[test]
    fn the_signed_text_and_its_signature_are_those_of_the_worked_example() {
        let example = example();
        let text = "format: onhand.checkpoint.v1\n\
                    tenant: 0198a000-0000-7000-8000-000000000001\n\
                    position: 1\n\
                    hash: e45cd8a934e77e119fbd4e9c3f96485010a3d89376a67dc11b1b661098474a9b\n\
                    root: e4a4ae59879e7c516c6e91f03276e093d3416552645ea217cb16210785b5e9d8\n\
                    recorded_at: 2026-01-02T03:04:05.000000Z\n\
                    signed_at: 2026-01-03T00:00:00.000000Z\n\
                    key: 21fe31dfa154a261\n\
                    public_key: d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n\
                    tenant_name: acme\n";
        assert_eq!(example.text(), text);
        // Made with Python's `cryptography` from that text and that key.
        assert_eq!(
            example.signature,
            "62e4a048e675bf7253d94b5ad9137d2eb53f4b74905ce2bc4cedf883c3868b5e01c46a934248331f485ae150fbbfe64275a6c15324c7567d8c402f7b5ce6f104"
        );
        assert_eq!((example.public_key.as_str(), example.key.as_str()), (PUBLIC, "21fe31dfa154a261"));
    }

    #[test]
    fn a_signature_holds_for_its_key_and_for_no_other() {
        let example = example();
        assert_eq!(example.check(None), Ok(()));
        assert_eq!(example.check(Some(&format!("{}\n", PUBLIC.to_uppercase()))), Ok(()));
        let other = SigningKey::from_seed(&[7; 32]).expect("32 bytes");
        let refused = example.check(Some(&hex::encode(other.public_key())));
        assert_eq!(refused, Err(Unproven::OtherKey(PUBLIC.to_owned())));
        assert!(SigningKey::from_seed(&[7; 31]).is_none());
    }

    #[test]
    fn no_field_can_be_altered_or_written_otherwise() {
        let changes: [fn(&mut SignedCheckpoint); 17] = [
            |it| it.format.push('1'),
            |it| it.tenant = Uuid::from_u128(1).to_string(),
            |it| it.tenant = it.tenant.to_uppercase(),
            |it| it.tenant_name.push('x'),
            |it| it.tenant_name.push('\n'),
            |it| it.position += 1,
            |it| it.position = 0,
            |it| it.hash = it.root.clone(),
            |it| it.root = it.hash.clone(),
            |it| it.root = it.root.to_uppercase(),
            |it| it.recorded_at = "2026-01-02T03:04:05.000001Z".to_owned(),
            |it| it.recorded_at = "2026-01-02T03:04:05Z".to_owned(),
            |it| it.signed_at = "2026-01-04T00:00:00.000000Z".to_owned(),
            |it| it.key = "0000000000000000".to_owned(),
            |it| it.public_key = hex::encode([7; 32]),
            |it| it.signature = it.signature.to_uppercase(),
            |it| it.signature = hex::encode([0; 64]),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = example();
            change(&mut changed);
            assert!(changed.check(None).is_err(), "change {number}");
        }
    }

    #[test]
    fn a_name_with_lines_of_its_own_cannot_pass_for_fields() {
        let SignedCheckpoint { recorded_at, signed_at, key: name, public_key, .. } = example();
        let other_root = "ab".repeat(32);
        let middle = format!(
            "recorded_at: {recorded_at}\nsigned_at: {signed_at}\nkey: {name}\npublic_key: {public_key}"
        );
        let at = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        let standing = Standing {
            tenant: TenantId(Uuid::from_u128(1)),
            tenant_name: format!("acme\nroot: {other_root}\n{middle}\ntenant_name: acme"),
            position: 1,
            hash: "01".repeat(32),
            root: "02".repeat(32),
            recorded_at: at(&recorded_at),
        };
        let signed = key().sign(standing, at(&signed_at));
        // The very text that was signed, cut otherwise: the first half of it would be the hash, and the root another one.
        let cut = SignedCheckpoint {
            hash: format!("{}\nroot: {}\n{middle}\ntenant_name: acme", signed.hash, signed.root),
            root: other_root,
            tenant_name: "acme".to_owned(),
            ..signed.clone()
        };
        assert_eq!(cut.text(), signed.text());
        assert_eq!(signed.check(None), Ok(()));
        assert_eq!(cut.check(None), Err(Unproven::Malformed("hash")));
    }
}
