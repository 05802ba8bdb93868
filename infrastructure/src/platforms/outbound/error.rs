//! Why a platform could not be moved, in words that say what to do about it.

use std::time::Duration;

/// The longest explanation that is passed on, in characters.
const WHY_MAX: usize = 300;

/// Why something could not be done, by what is to be done about it. Never holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It may go well another time.
    #[error("{why}")]
    Again {
        /// Not before this has passed, if the platform said so.
        after: Option<Duration>,
        /// What stood in the way.
        why: String,
        /// Whether it is a failure of the platform; being asked to wait is none.
        counts: bool,
    },
    /// The platform understood, and will never take it.
    #[error("{why}")]
    Never {
        /// What is wrong with it.
        why: String,
    },
    /// Nothing goes until somebody looks after the address, the credentials or the plan.
    #[error("{why}")]
    NeedsPerson {
        /// What to look after.
        why: String,
    },
}

impl CallError {
    /// The platform failed; it is tried again, and that it failed counts.
    pub fn failed(why: impl AsRef<str>) -> Self {
        Self::Again { after: None, why: shortened(why), counts: true }
    }

    /// The platform asks for patience, which is no failure.
    pub fn wait(after: Duration, why: impl AsRef<str>) -> Self {
        Self::Again { after: Some(after), why: shortened(why), counts: false }
    }

    /// Other calls took too long for this one to be begun.
    pub fn later() -> Self {
        Self::wait(Duration::ZERO, "other calls took too long")
    }

    /// It will not be taken, however often it is sent.
    pub fn never(why: impl AsRef<str>) -> Self {
        Self::Never { why: shortened(why) }
    }

    /// Somebody has to see to it.
    pub fn person(why: impl AsRef<str>) -> Self {
        Self::NeedsPerson { why: shortened(why) }
    }

    /// What a platform has against a call that asks for several things, it has against none of them: that they are not told
    /// does not mean that they are not there.
    #[must_use]
    pub fn of_none(self) -> Self {
        match self {
            Self::Never { why } => Self::failed(why),
            other => other,
        }
    }

    /// Whether the platform itself is in trouble: what a breaker counts.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Again { counts: true, .. })
    }
}

/// A platform may say anything at any length; no control characters, and no more than anybody would read.
fn shortened(why: impl AsRef<str>) -> String {
    why.as_ref().chars().filter(|c| !c.is_control()).take(WHY_MAX).collect()
}
