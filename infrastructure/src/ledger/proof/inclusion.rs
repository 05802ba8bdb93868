//! Inclusion proofs: that one entry is part of the history a checkpoint was signed for, shown without the rest of it.

use onhand_domain::{Refusal, values::TenantId};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{
    super::{
        Entry, LedgerError,
        entry::{Covered, genesis_hash},
        read,
    },
    SignedCheckpoint, merkle, merkle_nodes,
    unproven::{Unproven, bytes_of, micros_of, uuid_of, written},
};

/// What a document of this kind calls itself.
pub(super) const FORMAT: &str = "onhand.proof.v1";

/// A proof, as it is given out. It can be checked without a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// `onhand.proof.v1`
    pub format: String,
    /// Whose ledger.
    pub tenant: String,
    /// The entry, with everything its hash covers.
    pub entry: ProvenEntry,
    /// The hash of the entry before it, in hex; before the first one, what stands for none.
    pub previous_hash: String,
    /// What stands beside the entry in the tree and beside each node above it, from below, in hex. On which side follows
    /// from the position and the size of the tree: RFC 9162, section 2.1.3.
    pub path: Vec<String>,
    /// What it leads to.
    pub checkpoint: SignedCheckpoint,
}

/// An entry in a proof: the fields of [`Entry`], and no hash, for that is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of an entry, described there")]
pub struct ProvenEntry {
    pub position: i64,
    pub event_id: String,
    pub stream: String,
    pub version: i64,
    pub name: String,
    pub name_version: i16,
    pub recorded_at: String,
    pub payload: String,
    pub metadata: String,
}

impl InclusionProof {
    /// Whether the entry is part of the history that was signed for, with this public key, in hex, if one is given.
    pub fn check(&self, key: Option<&str>) -> Result<(), Unproven> {
        if self.format != FORMAT {
            return Err(Unproven::Malformed("format"));
        }
        self.checkpoint.check(key)?;
        if self.tenant != self.checkpoint.tenant {
            return Err(Unproven::OtherLedger);
        }
        if !(1..=self.checkpoint.position).contains(&self.entry.position) {
            return Err(Unproven::Path);
        }
        let path: Vec<merkle::Hash> =
            self.path.iter().map(|hash| bytes_of("path", hash)).collect::<Result<_, _>>()?;
        let leaf = merkle::leaf(&self.hash()?);
        let (index, size) = (self.entry.position - 1, self.checkpoint.position);
        match merkle::root_along(leaf, index, size, &path) {
            Some(root) if hex::encode(root) == self.checkpoint.root => Ok(()),
            _ => Err(Unproven::Path),
        }
    }

    /// The entry's hash, as it follows from what stands here.
    fn hash(&self) -> Result<[u8; 32], Unproven> {
        let before: [u8; 32] = bytes_of("previous_hash", &self.previous_hash)?;
        let entry = &self.entry;
        let covered = Covered {
            position: entry.position,
            event_id: uuid_of("event_id", &entry.event_id)?.into_bytes(),
            version: entry.version,
            name_version: entry.name_version,
            micros: micros_of("recorded_at", &entry.recorded_at)?,
            stream: entry.stream.as_bytes(),
            name: entry.name.as_bytes(),
            payload: entry.payload.as_bytes(),
            metadata: entry.metadata.as_bytes(),
        };
        Ok(covered.chained(TenantId(uuid_of("tenant", &self.tenant)?), &before))
    }
}

impl From<Entry> for ProvenEntry {
    fn from(entry: Entry) -> Self {
        Self {
            position: entry.position,
            event_id: entry.event_id.to_string(),
            stream: entry.stream,
            version: entry.version,
            name: entry.name,
            name_version: entry.name_version,
            recorded_at: written(entry.recorded_at),
            payload: entry.payload,
            metadata: entry.metadata,
        }
    }
}

/// Proves that the entry at a position is part of the history that a checkpoint was signed for.
pub async fn prove(
    pool: &PgPool,
    tenant: TenantId,
    position: i64,
    checkpoint: SignedCheckpoint,
) -> Result<InclusionProof, LedgerError> {
    if let Err(why) = checkpoint.check(None) {
        return Err(
            Refusal::invalid("checkpoint.invalid", format!("the checkpoint proves nothing: {why}")).into()
        );
    }
    if !checkpoint.is_of(tenant) {
        return Err(Refusal::invalid("checkpoint.invalid", "the checkpoint is of another ledger").into());
    }
    if position < 1 {
        return Err(Refusal::missing("entry.unknown", "the first entry is at position 1").into());
    }
    if position > checkpoint.position {
        let detail = format!("the checkpoint speaks of entries up to position {}", checkpoint.position);
        return Err(Refusal::conflict("checkpoint.too_old", detail).into());
    }
    let mut conn = pool.acquire().await?;
    let mut pair = read::after(&mut conn, tenant, (position - 2).max(0), 2).await?;
    pair.retain(|entry| entry.position <= position);
    let missing = || LedgerError::Unreadable { position, why: "the entry is missing".to_owned() };
    let entry = pair.pop().filter(|entry| entry.position == position).ok_or_else(missing)?;
    let before = pair.pop().map_or_else(|| genesis_hash(tenant).to_vec(), |before| before.hash);
    let size = checkpoint.position;
    let unproven = |why: &str| LedgerError::Unreadable { position, why: why.to_owned() };
    // No tree is needed to see that, be it asked for as often as anybody likes.
    if entry.hash != entry.chained(tenant, &before) {
        return Err(unproven(
            "its hash does not follow from it and the entry before: one of them was altered",
        ));
    }
    let mut proof = InclusionProof {
        format: FORMAT.to_owned(),
        tenant: tenant.to_string(),
        entry: entry.into(),
        previous_hash: hex::encode(before),
        path: vec![],
        checkpoint,
    };
    let mut path = merkle_nodes::path(&mut conn, tenant, size, position - 1).await?;
    if path.is_none() {
        // Once: what is missing of the nodes is kept from then on.
        merkle_nodes::tree(&mut conn, tenant, size).await?;
        path = merkle_nodes::path(&mut conn, tenant, size, position - 1).await?;
    }
    proof.path = path.iter().flatten().map(hex::encode).collect();
    // What is kept of the tree is neither believed nor thrown away here: each time would be a reading of all of history,
    // and the end of what shows that somebody was at it.
    proof.check(None).map_err(|_| {
        unproven(
            "no way leads from it to the root that was signed: history was altered, or what is kept of its tree; \
             `onhand audit verify` says which",
        )
    })?;
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use uuid::Uuid;

    use super::{
        super::{Document, SigningKey, Standing, merkle::Tree},
        *,
    };

    const TENANT: TenantId = TenantId(Uuid::from_u128(0x0198_a000_0000_7000_8000_0000_0000_0001));

    fn key() -> SigningKey {
        SigningKey::from_seed(&[7; 32]).expect("32 bytes")
    }

    /// A history of five entries.
    fn history() -> Vec<Entry> {
        let mut before = genesis_hash(TENANT);
        let entry = |position: i64| {
            let mut entry = Entry {
                position,
                event_id: Uuid::from_u128(0xabcd_0000 + position as u128),
                stream: "stock/0198a000-0000-7000-8000-0000000000a1/main".into(),
                version: position,
                name: "stock.restocked".into(),
                name_version: 1,
                recorded_at: DateTime::UNIX_EPOCH + TimeDelta::microseconds(position * 1_000_001),
                payload: r#"{"quantity":10,"reference":"PO-7"}"#.into(),
                metadata: r#"{"actor":"cli","source":"cli","correlation_id":"Grüße"}"#.into(),
                hash: vec![],
            };
            before = entry.chained(TENANT, &before);
            entry.hash = before.to_vec();
            entry
        };
        (1..=5).map(entry).collect()
    }

    fn proof_of(position: i64) -> InclusionProof {
        let history = history();
        let mut tree = Tree::watching(position - 1);
        for entry in &history {
            tree.push(0, merkle::leaf(&entry.hash));
        }
        let (root, path) = tree.into_path();
        let newest = history.last().expect("an entry");
        let standing = Standing {
            tenant: TENANT,
            tenant_name: "acme".to_owned(),
            position: newest.position,
            hash: hex::encode(&newest.hash),
            root: hex::encode(root),
            recorded_at: newest.recorded_at,
        };
        let at = position as usize;
        let before = at.checked_sub(2).map_or(genesis_hash(TENANT).to_vec(), |at| history[at].hash.clone());
        InclusionProof {
            format: FORMAT.to_owned(),
            tenant: TENANT.to_string(),
            entry: history[at - 1].clone().into(),
            previous_hash: hex::encode(before),
            path: path.iter().map(hex::encode).collect(),
            checkpoint: key().sign(standing, newest.recorded_at),
        }
    }

    fn holds(text: &[u8]) -> bool {
        let key = hex::encode(key().public_key());
        let Ok(text) = std::str::from_utf8(text) else { return false };
        matches!(Document::read(text), Ok(Document::Proof(proof)) if proof.check(Some(&key)).is_ok())
    }

    #[test]
    fn each_entry_of_a_history_is_proven_by_what_is_written_down_about_it() {
        for position in 1..=5 {
            let text = serde_json::to_vec_pretty(&proof_of(position)).expect("JSON");
            assert!(holds(&text), "position {position}");
        }
    }

    #[test]
    fn a_proof_with_one_byte_changed_proves_nothing() {
        let text = serde_json::to_vec(&proof_of(3)).expect("JSON");
        assert!(holds(&text));
        for at in 0..text.len() {
            // Another letter, the same letter large or small, a digit for a letter, no letter at all.
            for change in [0x01, 0x20, 0x40, 0x80] {
                let mut changed = text.clone();
                changed[at] ^= change;
                let shown = String::from_utf8_lossy(&changed[at.saturating_sub(20)..=at]).into_owned();
                assert!(!holds(&changed), "changed by {change:#x}: …{shown}");
            }
        }
    }

    #[test]
    fn a_proof_does_not_hold_for_another_entry_another_checkpoint_or_another_ledger() {
        let changes: [fn(&mut InclusionProof); 6] = [
            |it| it.entry = proof_of(4).entry,
            |it| it.previous_hash = proof_of(4).previous_hash,
            |it| it.path = proof_of(4).path,
            |it| _ = it.path.pop(),
            |it| it.tenant = Uuid::from_u128(1).to_string(),
            |it| it.entry.position = i64::MIN,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = proof_of(3);
            change(&mut changed);
            assert!(changed.check(None).is_err(), "change {number}");
        }
        let other = hex::encode(SigningKey::from_seed(&[8; 32]).expect("32 bytes").public_key());
        assert!(matches!(proof_of(3).check(Some(&other)), Err(Unproven::OtherKey(_))));
    }
}
