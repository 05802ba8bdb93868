//! Persons: what is known of a buyer goes into history sealed, under a key that lies beside history and can be destroyed.
//!
//! Each order has a key of its own, so that an order needs no look-up, two processes cannot make two keys for the same
//! thing, and a key that is destroyed is missing to nothing that comes after. History calls a person by an HMAC: orders of
//! one person are found by it, and nobody can read the person off it.

use std::collections::BTreeMap;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Nonce, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use onhand_domain::{
    order::Buyer,
    values::{ConnectionId, ExternalId, OrderId, PersonId, TenantId},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    ledger::PersonKey,
    platforms::{Fact, Person, hmac_sha256},
    secrets::{KeyRing, Sealed, Secret, SecretError, random_bytes},
};

/// Bytes of a nonce, which stands before the ciphertext.
const NONCE_BYTES: usize = 12;

/// The key a tenant's persons are named with.
#[derive(Debug, Clone)]
pub(crate) struct Naming(Secret);

/// A buyer as history has it, and the key that opens it.
#[derive(Clone)]
pub(crate) struct SealedBuyer {
    pub(crate) buyer: Buyer,
    pub(crate) key: PersonKey,
}

/// Whom some facts tell of.
#[derive(Default)]
pub(crate) struct Persons {
    /// What the first of them is called.
    pub(crate) person: Option<PersonId>,
    /// Who placed each order.
    pub(crate) buyers: BTreeMap<ExternalId, SealedBuyer>,
    /// The name of a follow-up, and its payload, because somebody is to be forgotten: an [`Asked`], sealed.
    pub(crate) erasure: Option<(String, Value)>,
    /// Whoever is known by nothing but the address of somebody who asks what is known of them.
    pub(crate) guest: Option<PersonId>,
    /// Others who have placed orders that are listed in such a question.
    pub(crate) others: Vec<PersonId>,
}

/// What a follow-up has to know of persons: it waits in a table, so it is sealed, under the follow-up's own name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Waiting {
    key_id: String,
    nonce: String,
    sealed: String,
}

/// Somebody who is to be forgotten because a platform has asked for it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    /// As history calls them.
    pub(crate) name: PersonId,
    pub(crate) person: Person,
    /// Orders that are this person's, as the platform names them.
    pub(crate) orders: Vec<ExternalId>,
}

/// Where a key is kept: it opens nowhere else. The key of the names has neither person nor order.
pub(crate) fn place(tenant: TenantId, person: &str, order: Uuid) -> String {
    format!("{tenant}/person_key/{person}/{order}")
}

impl Naming {
    /// One that nobody can guess.
    pub(crate) fn fresh() -> Self {
        Self(Secret::new(STANDARD.encode(random_bytes())))
    }

    /// As it is kept.
    pub(crate) fn sealed(&self, keys: &KeyRing, tenant: TenantId) -> Result<Sealed, SecretError> {
        keys.seal_bytes(&place(tenant, "", Uuid::nil()), self.0.reveal().as_bytes())
    }

    /// The opposite of [`Self::sealed`].
    pub(crate) fn open(keys: &KeyRing, tenant: TenantId, sealed: &Sealed) -> Result<Self, SecretError> {
        let text = keys.open_bytes(&place(tenant, "", Uuid::nil()), sealed)?;
        String::from_utf8(text).map(|text| Self(Secret::new(text))).map_err(|_| SecretError::Altered)
    }

    /// What a person is called: by the platform's id, or by the address where that is all there is. None where nothing tells
    /// the person apart.
    pub(crate) fn of(&self, connection: ConnectionId, person: &Person) -> Option<PersonId> {
        let by_address = || person.email.as_deref().map(|email| self.of_address(connection, email));
        person.id.as_deref().map(|id| self.name(connection, id)).or_else(by_address)
    }

    /// What somebody is called of whom an address is all that is known, however it is spelt.
    pub(crate) fn of_address(&self, connection: ConnectionId, email: &str) -> PersonId {
        self.name(connection, &email.trim().to_lowercase())
    }

    /// What the bodies of an order are called that do not tell who placed it.
    pub(crate) fn of_order(&self, connection: ConnectionId, order: OrderId) -> PersonId {
        self.name(connection, &format!("order/{order}"))
    }

    fn name(&self, connection: ConnectionId, known_by: &str) -> PersonId {
        let mac = hmac_sha256(self.0.reveal(), format!("{connection}/{known_by}").as_bytes());
        PersonId::new(&hex::encode(&mac[..16])).expect("16 bytes are 32 hexadecimal digits")
    }
}

impl Persons {
    /// Names whoever is told of, and seals what is known of them.
    pub(crate) fn of(
        facts: &[Fact],
        keys: &KeyRing,
        naming: &Naming,
        (tenant, connection): (TenantId, ConnectionId),
    ) -> Result<Self, SecretError> {
        let mut told = Self::default();
        for fact in facts {
            let Some(person) = fact.person() else { continue };
            let Some(name) = naming.of(connection, person) else { continue };
            if let Some((external, _)) = fact.buyer() {
                let order = OrderId::of(connection, external);
                let address = person.email.as_deref().map(|email| naming.of_address(connection, email));
                let key = random_bytes();
                let sealed = keys.seal_bytes(&place(tenant, name.as_str(), order.0), &key)?;
                let buyer = Buyer { person: name.clone(), sealed: seal(&key, tenant, order, person)? };
                let key = PersonKey { person: name.clone(), order, connection, address, sealed };
                told.buyers.insert(external.clone(), SealedBuyer { buyer, key });
            } else if let Fact::ErasureAsked { orders, .. } = fact {
                // A name of its own: a second wish of the same person must not take the place of the first.
                let follow_up = Uuid::now_v7().to_string();
                let asked = Asked { name: name.clone(), person: person.clone(), orders: orders.clone() };
                let waiting = Waiting::seal(&asked, keys, tenant, &follow_up)?;
                told.erasure = Some((follow_up, json!(waiting)));
            } else {
                let guest = person.email.as_deref().map(|email| naming.of_address(connection, email));
                told.guest = guest.filter(|guest| *guest != name);
            }
            told.person.get_or_insert(name);
        }
        Ok(told)
    }
}

impl Waiting {
    pub(crate) fn seal(
        what: &impl Serialize,
        keys: &KeyRing,
        tenant: TenantId,
        follow_up: &str,
    ) -> Result<Self, SecretError> {
        let text = serde_json::to_vec(what).map_err(|_| SecretError::Altered)?;
        Ok(Self::of(&keys.seal_bytes(&waiting_place(tenant, follow_up), &text)?))
    }

    /// The opposite of [`Self::seal`].
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        keys: &KeyRing,
        tenant: TenantId,
        follow_up: &str,
    ) -> Result<T, SecretError> {
        let text = keys.open_bytes(&waiting_place(tenant, follow_up), &self.sealed()?)?;
        serde_json::from_slice(&text).map_err(|_| SecretError::Altered)
    }

    /// The same, sealed with the key that seals now.
    pub(crate) fn anew(
        &self,
        keys: &KeyRing,
        tenant: TenantId,
        follow_up: &str,
    ) -> Result<Self, SecretError> {
        let place = waiting_place(tenant, follow_up);
        let text = keys.open_bytes(&place, &self.sealed()?)?;
        Ok(Self::of(&keys.seal_bytes(&place, &text)?))
    }

    fn of(Sealed { key_id, nonce, sealed }: &Sealed) -> Self {
        Self { key_id: key_id.clone(), nonce: STANDARD.encode(nonce), sealed: STANDARD.encode(sealed) }
    }

    fn sealed(&self) -> Result<Sealed, SecretError> {
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| SecretError::Altered);
        Ok(Sealed { key_id: self.key_id.clone(), nonce: bytes(&self.nonce)?, sealed: bytes(&self.sealed)? })
    }
}

fn waiting_place(tenant: TenantId, follow_up: &str) -> String {
    format!("{tenant}/erasure/{follow_up}")
}

/// What history says of an order's buyer, read with its key.
pub(crate) fn open(
    keys: &KeyRing,
    tenant: TenantId,
    (person, order): (&str, OrderId),
    key: &Sealed,
    sealed: &str,
) -> Result<Person, SecretError> {
    let key = keys.open_bytes(&place(tenant, person, order.0), key)?;
    let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| SecretError::Altered)?;
    let sealed = STANDARD.decode(sealed).map_err(|_| SecretError::Altered)?;
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(SecretError::Altered)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SecretError::Altered)?;
    let place = entry(tenant, order);
    let payload = Payload { msg: sealed, aad: place.as_bytes() };
    let text = cipher.decrypt(&Nonce::<Aes256Gcm>::from(nonce), payload).map_err(|_| SecretError::Altered)?;
    serde_json::from_slice(&text).map_err(|_| SecretError::Altered)
}

fn seal(key: &[u8], tenant: TenantId, order: OrderId, person: &Person) -> Result<String, SecretError> {
    let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| SecretError::Altered)?;
    let nonce: [u8; NONCE_BYTES] =
        random_bytes()[..NONCE_BYTES].try_into().map_err(|_| SecretError::Altered)?;
    let text = serde_json::to_vec(person).map_err(|_| SecretError::Altered)?;
    let place = entry(tenant, order);
    let payload = Payload { msg: &text, aad: place.as_bytes() };
    let sealed =
        cipher.encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload).map_err(|_| SecretError::Altered)?;
    Ok(STANDARD.encode([&nonce[..], &sealed[..]].concat()))
}

/// Which entry a text was sealed for: it opens in no other.
fn entry(tenant: TenantId, order: OrderId) -> String {
    format!("{tenant}/order/{order}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TenantId = TenantId(Uuid::from_u128(1));
    const C: ConnectionId = ConnectionId(Uuid::from_u128(2));

    fn ring() -> KeyRing {
        KeyRing::parse(&format!("k1:{}", STANDARD.encode([7; 32]))).expect("a key ring")
    }

    fn person(id: Option<&str>, email: Option<&str>) -> Person {
        Person { id: id.map(str::to_owned), name: Some("Robin Quay".into()), email: email.map(str::to_owned) }
    }

    fn placed(order: u64, person: &Person) -> Fact {
        let buyer = Some(person.clone());
        Fact::OrderPlaced { external: order.into(), lines: vec![], buyer, times: Default::default() }
    }

    fn told(naming: &Naming, facts: &[Fact]) -> Persons {
        Persons::of(facts, &ring(), naming, (T, C)).expect("they are sealed")
    }

    #[test]
    fn a_buyer_is_read_with_the_orders_own_key_and_no_other() {
        let (naming, robin) = (Naming::fresh(), person(Some("77"), Some("Robin@quay.example")));
        let told = told(&naming, &[placed(1, &robin), placed(2, &robin)]);
        let (one, other) = (&told.buyers[&ExternalId::from(1)], &told.buyers[&ExternalId::from(2)]);
        assert_eq!(one.buyer.person, other.buyer.person, "one person");
        assert_eq!(told.person.as_ref(), Some(&one.buyer.person));
        assert_ne!(one.buyer.sealed, other.buyer.sealed);
        let read = |key: &PersonKey, order, sealed: &str| {
            open(&ring(), T, (key.person.as_str(), order), &key.sealed, sealed)
        };
        assert_eq!(read(&one.key, one.key.order, &one.buyer.sealed).expect("read"), robin);
        for wrong in [
            read(&one.key, one.key.order, &other.buyer.sealed),
            read(&other.key, one.key.order, &one.buyer.sealed),
            read(&one.key, other.key.order, &one.buyer.sealed),
            read(&one.key, one.key.order, "c2hvcnQ="),
            read(&one.key, one.key.order, "%"),
            open(
                &ring(),
                TenantId(Uuid::nil()),
                (one.key.person.as_str(), one.key.order),
                &one.key.sealed,
                &one.buyer.sealed,
            ),
        ] {
            assert!(matches!(wrong, Err(SecretError::Altered)), "{wrong:?}");
        }
    }

    #[test]
    fn a_person_is_called_by_the_platforms_id_or_else_by_the_address_however_it_is_spelt() {
        let naming = Naming::fresh();
        let name = |id, email| naming.of(C, &person(id, email));
        assert_eq!(name(Some("77"), Some("robin@quay.example")), name(Some("77"), None));
        assert_eq!(
            name(None, Some("Robin@Quay.example")),
            Some(naming.of_address(C, " robin@quay.example "))
        );
        assert_ne!(name(Some("77"), None), name(Some("78"), None));
        assert_eq!(name(None, None), None);
        let elsewhere = ConnectionId(Uuid::from_u128(3));
        assert_ne!(
            naming.of_address(C, "robin@quay.example"),
            naming.of_address(elsewhere, "robin@quay.example")
        );
        let others = Naming::fresh();
        assert_ne!(naming.of_address(C, "robin@quay.example"), others.of_address(C, "robin@quay.example"));
        let known = told(&naming, &[placed(1, &person(Some("77"), Some("Robin@quay.example")))]);
        assert_eq!(
            known.buyers[&ExternalId::from(1)].key.address,
            Some(naming.of_address(C, "robin@quay.example"))
        );
    }

    #[test]
    fn who_is_to_be_forgotten_waits_sealed() {
        let (naming, robin) = (Naming::fresh(), person(Some("77"), Some("robin@quay.example")));
        let told = told(&naming, &[Fact::ErasureAsked { person: robin.clone(), orders: vec![3.into()] }]);
        let (follow_up, payload) = told.erasure.expect("something to do");
        assert!(!payload.to_string().contains("quay.example"), "{payload}");
        let waiting: Waiting = serde_json::from_value(payload).expect("it is read back");
        let asked: Asked = waiting.open(&ring(), T, &follow_up).expect("it is opened");
        assert_eq!((Some(asked.name), asked.person), (told.person, robin));
        assert_eq!(asked.orders, [ExternalId::from(3)]);
        assert!(waiting.open::<Asked>(&ring(), T, "another").is_err());
        let new = format!("k2:{},k1:{}", STANDARD.encode([8; 32]), STANDARD.encode([7; 32]));
        let both = KeyRing::parse(&new).expect("a key ring");
        let anew = waiting.anew(&both, T, &follow_up).expect("it is sealed anew");
        assert!(matches!(anew.open::<Asked>(&ring(), T, &follow_up), Err(SecretError::UnknownKey(_))));
        assert!(anew.open::<Asked>(&both, T, &follow_up).is_ok());
        assert!(told.buyers.is_empty());
    }

    #[test]
    fn whoever_asks_is_also_known_by_the_address_alone() {
        let naming = Naming::fresh();
        let asked = |id, email| {
            let told = told(&naming, &[Fact::DisclosureAsked { person: person(id, email), orders: vec![] }]);
            (told.person, told.guest)
        };
        let guest = Some(naming.of_address(C, "robin@quay.example"));
        assert_eq!(asked(Some("77"), Some("robin@quay.example")).1, guest);
        assert_eq!(asked(None, Some("robin@quay.example")), (guest, None));
        assert_eq!(asked(Some("77"), None).1, None);
    }

    #[test]
    fn the_key_of_the_names_opens_in_its_own_ledger_only() {
        let naming = Naming::fresh();
        let sealed = naming.sealed(&ring(), T).expect("sealed");
        let opened = Naming::open(&ring(), T, &sealed).expect("opened");
        assert_eq!(opened.of_address(C, "a@b.c"), naming.of_address(C, "a@b.c"));
        assert!(Naming::open(&ring(), TenantId(Uuid::nil()), &sealed).is_err());
    }
}
