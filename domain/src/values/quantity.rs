//! A number of units.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// Whole units, from 0 to a thousand million (the most a platform takes).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Quantity(i64);

impl Quantity {
    /// No units.
    pub const ZERO: Self = Self(0);
    /// The most units that can be spoken of.
    pub const MAX: Self = Self(1_000_000_000);

    /// Parses, or says what is wrong.
    pub fn new(units: i64) -> Result<Self, InvalidValue> {
        if (0..=Self::MAX.0).contains(&units) {
            Ok(Self(units))
        } else {
            Err(InvalidValue::new("Quantity", format!("{units} is not between 0 and {}", Self::MAX.0)))
        }
    }

    /// The number.
    pub fn units(self) -> i64 {
        self.0
    }

    /// True for no units.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, unless it is more than can be spoken of.
    pub fn plus(self, other: Self) -> Result<Self, InvalidValue> {
        Self::new(self.0 + other.0)
    }

    /// What is left, at least nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<i64> for Quantity {
    type Error = InvalidValue;

    fn try_from(units: i64) -> Result<Self, InvalidValue> {
        Self::new(units)
    }
}
