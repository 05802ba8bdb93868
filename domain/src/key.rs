//! API keys: who may speak to this tenant, and in which role.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{InvalidValue, KeyId},
};

/// What a key may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Moves stock and changes products.
    Editor,
    /// Manages connections and keys.
    Admin,
}

impl Role {
    /// The name used in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        [Self::Viewer, Self::Editor, Self::Admin]
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| InvalidValue::new("Role", format!("{name:?} is not viewer, editor or admin")))
    }
}

/// Whether somebody can be bound to this brand.
pub fn is_brand(brand: &str) -> bool {
    !brand.trim().is_empty() && brand.len() <= 200
}

/// Whom a key is for, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Whom it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The only brand it sees, if it sees one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    /// SHA-256 of the key, in hex. The key is 256 random bits, so this gives nothing away.
    pub sha256: String,
}

/// What has happened to a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyEvent {
    /// Somebody was given access.
    #[serde(rename = "key.created")]
    Created(Holder),
    /// Access was withdrawn.
    #[serde(rename = "key.revoked")]
    Revoked {},
}

/// What one may ask of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyCommand {
    /// Give access.
    Create(Holder),
    /// Withdraw access.
    Revoke,
}

/// A key as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// None before its creation.
    pub holder: Option<Holder>,
    /// True once access was withdrawn.
    pub revoked: bool,
}

impl Key {
    fn decide(&self, command: KeyCommand) -> Result<Vec<KeyEvent>, Refusal> {
        match command {
            KeyCommand::Create(_) if self.holder.is_some() => {
                Err(Refusal::conflict("key.exists", "there is a key with this id already"))
            }
            KeyCommand::Create(holder) if holder.name.trim().is_empty() || holder.name.len() > 200 => {
                Err(Refusal::invalid("key.name", "a key has a name of 1 to 200 characters"))
            }
            KeyCommand::Create(Holder { brand: Some(brand), .. }) if !is_brand(&brand) => {
                Err(Refusal::invalid(
                    "key.brand",
                    "the brand of a key has 1 to 200 characters; leave it out for all brands",
                ))
            }
            KeyCommand::Create(holder) => Ok(vec![KeyEvent::Created(holder)]),
            KeyCommand::Revoke if self.holder.is_none() => {
                Err(Refusal::missing("key.unknown", "there is no such key"))
            }
            KeyCommand::Revoke if self.revoked => Ok(vec![]),
            KeyCommand::Revoke => Ok(vec![KeyEvent::Revoked {}]),
        }
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: KeyEvent) -> Self {
        match event {
            KeyEvent::Created(holder) => self.holder = Some(holder),
            KeyEvent::Revoked {} => self.revoked = true,
        }
        self
    }
}

aggregate!(Key, KeyId, KeyEvent, KeyCommand, Refusal);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::scenario::given;

    #[test]
    fn a_key_is_revoked_once_and_not_before_it_exists() {
        let id = KeyId(Uuid::from_u128(1));
        let created = KeyEvent::Created(Holder {
            name: "till".into(),
            role: Role::Editor,
            brand: None,
            sha256: "00".into(),
        });
        given::<Key>(id, []).when(KeyCommand::Revoke).then_refused("key.unknown");
        given::<Key>(id, [created.clone()]).when(KeyCommand::Revoke).then([KeyEvent::Revoked {}]);
        given::<Key>(id, [created, KeyEvent::Revoked {}]).when(KeyCommand::Revoke).then([]);
    }

    #[test]
    fn a_key_is_bound_to_a_brand_that_has_a_name() {
        let bound = |brand: &str| Holder {
            name: "till".into(),
            role: Role::Viewer,
            brand: Some(brand.into()),
            sha256: "00".into(),
        };
        let id = KeyId(Uuid::from_u128(1));
        for nothing in [String::new(), "  ".to_owned(), "b".repeat(201)] {
            given::<Key>(id, []).when(KeyCommand::Create(bound(&nothing))).then_refused("key.brand");
        }
        given::<Key>(id, []).when(KeyCommand::Create(bound("kite"))).then([KeyEvent::Created(bound("kite"))]);
    }

    #[test]
    fn an_admin_may_do_what_a_viewer_may() {
        assert!(Role::Admin > Role::Editor && Role::Editor > Role::Viewer);
    }
}
