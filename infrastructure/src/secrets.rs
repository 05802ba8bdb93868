//! Credentials at rest: AES-256-GCM, a nonce per record, a key id for rotation.
//!
//! A credential is opened in memory for one call and shows itself nowhere: [`Secret`] prints as stars.

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Nonce, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use onhand_domain::values::{ConnectionId, TenantId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ledger::SealedSecret;

/// A text that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a credential could not be sealed or opened. Says nothing about the credential.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The key it was sealed with is not in the key ring.
    #[error("sealed with key {0:?}, which is not in ONHAND_MASTER_KEYS")]
    UnknownKey(String),
    /// The ciphertext or its place was tampered with, or the key is another one of the same id.
    #[error("the sealed credential does not open; it or its place was altered, or the key is a wrong one")]
    Altered,
    /// The key ring is malformed.
    #[error("a master key is <id>:<32 bytes in base64>; {0}")]
    Malformed(String),
    /// The key file could not be read or written.
    #[error("key file: {0}")]
    File(#[from] io::Error),
}

/// Bytes sealed for one place, as a row keeps them.
#[derive(Clone)]
pub struct Sealed {
    /// The key they were sealed with.
    pub key_id: String,
    /// Of this record only.
    pub nonce: Vec<u8>,
    /// What opens with that key, that nonce and that place.
    pub sealed: Vec<u8>,
}

/// Keys by id; the first seals, all open. The default has none: it seals and opens nothing.
#[derive(Clone, Default)]
pub struct KeyRing {
    sealing: String,
    ciphers: BTreeMap<String, Aes256Gcm>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("sealing", &self.sealing).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Parses `id:base64[,id:base64…]`; the first key seals. An id names one key: what is sealed bears the id only.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let mut sealing = None;
        let mut ciphers = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (id, key) =
                part.split_once(':').ok_or_else(|| SecretError::Malformed("the colon is missing".into()))?;
            if id.trim().is_empty() {
                return Err(SecretError::Malformed("one has no id".into()));
            }
            let key =
                STANDARD.decode(key).map_err(|_| SecretError::Malformed(format!("{id} is not base64")))?;
            let cipher = Aes256Gcm::new_from_slice(&key)
                .map_err(|_| SecretError::Malformed(format!("{id} has {} bytes", key.len())))?;
            sealing.get_or_insert_with(|| id.to_owned());
            if ciphers.insert(id.to_owned(), cipher).is_some() {
                return Err(SecretError::Malformed(format!(
                    "two are called {id}; give each an id of its own"
                )));
            }
        }
        let sealing = sealing.ok_or_else(|| SecretError::Malformed("there is none".into()))?;
        Ok(Self { sealing, ciphers })
    }

    /// Reads the key file, or makes one that only its owner can read.
    pub fn at(path: &Path) -> Result<Self, SecretError> {
        match fs::read_to_string(path) {
            Ok(text) => {
                warn_if_open(path);
                Self::parse(text.trim())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // An id that no other file has: what was sealed elsewhere then names the key that is missing.
                let (id, key) = (hex::encode(&random_bytes()[..4]), STANDARD.encode(random_bytes()));
                let text = format!("k{id}:{key}");
                write_private(path, &text)?;
                // Another process may have been quicker; what is in the file counts.
                Self::parse(fs::read_to_string(path)?.trim())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The id of the key that seals.
    pub fn sealing(&self) -> &str {
        &self.sealing
    }

    /// Seals a credential for one place: it opens nowhere else.
    pub fn seal(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        name: &'static str,
        secret: &Secret,
    ) -> Result<SealedSecret, SecretError> {
        let place = place(tenant, connection, name);
        let Sealed { key_id, nonce, sealed } = self.seal_bytes(&place, secret.reveal().as_bytes())?;
        Ok(SealedSecret { connection, name, key_id, nonce, sealed })
    }

    /// Opens a credential that was sealed for this place.
    pub fn open(&self, tenant: TenantId, sealed: &SealedSecret) -> Result<Secret, SecretError> {
        let place = place(tenant, sealed.connection, sealed.name);
        let text = self.open_sealed(&place, &sealed.key_id, &sealed.nonce, &sealed.sealed)?;
        String::from_utf8(text).map(Secret::new).map_err(|_| SecretError::Altered)
    }

    /// Seals bytes that are no credential of a connection. The place begins with the tenant and names a kind, so that no
    /// two places are written alike.
    pub fn seal_bytes(&self, place: &str, bytes: &[u8]) -> Result<Sealed, SecretError> {
        let cipher = self.cipher(&self.sealing)?;
        let nonce: [u8; 12] = random_bytes()[..12].try_into().map_err(|_| SecretError::Altered)?;
        let payload = Payload { msg: bytes, aad: place.as_bytes() };
        let sealed =
            cipher.encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload).map_err(|_| SecretError::Altered)?;
        Ok(Sealed { key_id: self.sealing.clone(), nonce: nonce.to_vec(), sealed })
    }

    /// Opens what [`Self::seal_bytes`] sealed for this place.
    pub fn open_bytes(&self, place: &str, sealed: &Sealed) -> Result<Vec<u8>, SecretError> {
        self.open_sealed(place, &sealed.key_id, &sealed.nonce, &sealed.sealed)
    }

    fn open_sealed(
        &self,
        place: &str,
        key: &str,
        nonce: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let cipher = self.cipher(key)?;
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| SecretError::Altered)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        cipher.decrypt(&Nonce::<Aes256Gcm>::from(nonce), payload).map_err(|_| SecretError::Altered)
    }

    fn cipher(&self, id: &str) -> Result<&Aes256Gcm, SecretError> {
        self.ciphers.get(id).ok_or_else(|| SecretError::UnknownKey(id.to_owned()))
    }
}

fn place(tenant: TenantId, connection: ConnectionId, name: &str) -> String {
    format!("{tenant}/{connection}/{name}")
}

/// 32 bytes nobody can guess: two random UUIDs (244 random bits), spread evenly by SHA-256.
pub fn random_bytes() -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(Uuid::new_v4().as_bytes());
    hash.update(Uuid::new_v4().as_bytes());
    hash.finalize().into()
}

/// Keys that others can read are used all the same; whoever runs the program is told.
fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    if fs::metadata(path).is_ok_and(|file| std::os::unix::fs::MetadataExt::mode(&file) & 0o077 != 0) {
        let file = path.display();
        tracing::warn!(%file, "others than its owner may use the key file; close it with chmod 600");
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).and_then(|()| file.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(id: &str, byte: u8) -> KeyRing {
        KeyRing::parse(&format!("{id}:{}", STANDARD.encode([byte; 32]))).expect("a key ring")
    }

    const T: TenantId = TenantId(Uuid::from_u128(1));
    const C: ConnectionId = ConnectionId(Uuid::from_u128(2));

    #[test]
    fn a_credential_opens_where_it_was_sealed_and_nowhere_else() {
        let ring = ring("k1", 7);
        let sealed = ring.seal(T, C, "access_token", &Secret::new("shpat_1")).expect("sealed");
        assert_eq!(ring.open(T, &sealed).expect("opened").reveal(), "shpat_1");
        let moved = SealedSecret { connection: ConnectionId(Uuid::from_u128(3)), ..sealed.clone() };
        assert!(matches!(ring.open(T, &moved), Err(SecretError::Altered)));
        let renamed = SealedSecret { name: "webhook_secret", ..sealed };
        assert!(matches!(ring.open(T, &renamed), Err(SecretError::Altered)));
    }

    #[test]
    fn the_same_credential_is_sealed_differently_each_time() {
        let ring = ring("k1", 7);
        let seal = || ring.seal(T, C, "access_token", &Secret::new("x")).expect("sealed");
        assert_ne!(seal().sealed, seal().sealed);
    }

    #[test]
    fn an_older_key_still_opens_after_rotation() {
        let old = STANDARD.encode([1; 32]);
        let new = STANDARD.encode([2; 32]);
        let sealed = KeyRing::parse(&format!("a:{old}"))
            .and_then(|ring| ring.seal(T, C, "access_token", &Secret::new("x")))
            .expect("sealed");
        let rotated = KeyRing::parse(&format!("b:{new},a:{old}")).expect("a key ring");
        assert!(rotated.open(T, &sealed).is_ok());
        assert!(matches!(ring("b", 2).open(T, &sealed), Err(SecretError::UnknownKey(_))));
    }

    #[test]
    fn no_two_keys_have_one_id_and_none_has_no_id() {
        let key = |byte| STANDARD.encode([byte; 32]);
        for wrong in [format!("k1:{},k1:{}", key(1), key(2)), format!(":{}", key(1)), "k1".to_owned()] {
            assert!(matches!(KeyRing::parse(&wrong), Err(SecretError::Malformed(_))), "{wrong}");
        }
        assert_eq!(KeyRing::parse(&format!("b:{},a:{}", key(1), key(2))).expect("a key ring").sealing(), "b");
    }

    #[test]
    fn keys_of_two_files_have_two_ids_and_each_keeps_its_own() {
        let file = |number| std::env::temp_dir().join(format!("onhand-key-{}-{number}", std::process::id()));
        let sealing = |number| KeyRing::at(&file(number)).expect("it is made, or read").sealing().to_owned();
        let (one, other) = (sealing(1), sealing(2));
        assert_ne!(one, other);
        assert_eq!(sealing(1), one);
        for number in [1, 2] {
            fs::remove_file(file(number)).expect("a file of ours can be removed");
        }
    }

    #[test]
    fn a_ring_without_keys_neither_seals_nor_opens() {
        let sealed = ring("k1", 7).seal(T, C, "access_token", &Secret::new("x")).expect("sealed");
        let none = KeyRing::default();
        assert!(matches!(none.open(T, &sealed), Err(SecretError::UnknownKey(id)) if id == "k1"));
        assert!(none.seal(T, C, "access_token", &Secret::new("x")).is_err());
    }

    #[test]
    fn bytes_open_in_their_place_with_their_key_and_not_otherwise() {
        let ring = ring("k1", 7);
        let sealed = ring.seal_bytes("t/signing_key/a", &[1, 2, 255]).expect("sealed");
        assert_eq!(ring.open_bytes("t/signing_key/a", &sealed).expect("opened"), [1, 2, 255]);
        assert!(matches!(ring.open_bytes("t/signing_key/b", &sealed), Err(SecretError::Altered)));
        let other = KeyRing::parse(&format!("k1:{}", STANDARD.encode([8; 32]))).expect("a key ring");
        assert!(matches!(other.open_bytes("t/signing_key/a", &sealed), Err(SecretError::Altered)));
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("shpat_1")), "***");
    }
}
