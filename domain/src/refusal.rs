//! Why a command was refused: a stable code for programs, a sentence for people.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What sort of obstacle stood in the way; decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The thing spoken of does not exist (or not for this caller).
    Missing,
    /// The request makes no sense whatever the state is.
    Invalid,
    /// The request is sound, but the present state does not allow it.
    Conflict,
    /// The caller may not do this.
    Forbidden,
    /// The program fails at it.
    Defect,
}

/// A command that was understood and turned down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Decides the status code.
    pub kind: RefusalKind,
    /// Stable, dotted, for programs: `stock.insufficient`.
    pub code: Cow<'static, str>,
    /// For people: what was wrong and what to do about it.
    pub detail: String,
    /// Figures a program may want: the shortages of a reservation, for instance.
    pub facts: Option<serde_json::Value>,
}

impl Refusal {
    /// Something that is not there.
    pub fn missing(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(RefusalKind::Missing, code, detail)
    }

    /// Something that makes no sense.
    pub fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, code, detail)
    }

    /// Something that the present state does not allow.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(RefusalKind::Conflict, code, detail)
    }

    /// Something the caller may not do.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(RefusalKind::Forbidden, code, detail)
    }

    /// Something at which the program fails.
    pub fn defect(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(RefusalKind::Defect, code, detail)
    }

    /// Adds figures for programs.
    #[must_use]
    pub fn with_facts(mut self, facts: serde_json::Value) -> Self {
        self.facts = Some(facts);
        self
    }

    fn new(kind: RefusalKind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code: code.into(), detail: detail.into(), facts: None }
    }
}
