//! Money as the shop prints it: hundredths inside, a decimal string with two places outside.
//! Prices compare and add exactly, and no price passes through floating point on its way.

use std::fmt;
use std::str::FromStr;

/// An amount in hundredths of the shop's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(i128);

/// The text is no decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no decimal amount")]
pub struct NotMoney(String);

impl Money {
    /// The first amount the shop no longer stores: a one with eighteen noughts.
    pub(super) const LIMIT: Self = Self(100_000_000_000_000_000_000);

    pub(super) const ZERO: Self = Self(0);

    pub(super) fn times(self, quantity: i64) -> Self {
        Self(self.0.saturating_mul(i128::from(quantity)))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl FromStr for Money {
    type Err = NotMoney;

    /// Reads an optional sign, digits, and optionally a point with more digits; a third decimal is rounded half up.
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let refuse = || NotMoney(text.chars().take(40).collect());
        let (sign, digits) = match text.trim().strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.trim()),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 30 || !numeric(whole) || !numeric(decimals) {
            return Err(refuse());
        }
        let place = |index: usize| i128::from(decimals.as_bytes().get(index).map_or(0, |byte| byte - b'0'));
        let rounding = i128::from(place(2) >= 5);
        let whole: i128 = whole.parse().map_err(|_| refuse())?;
        Ok(Self(sign * (whole * 100 + place(0) * 10 + place(1) + rounding)))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let hundredths = self.0.unsigned_abs();
        write!(formatter, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::Money;

    #[test]
    fn an_amount_is_printed_with_two_places() {
        let printed = |text: &str| text.parse::<Money>().map(|money| money.to_string());
        assert_eq!(printed("180").as_deref(), Ok("180.00"));
        assert_eq!(printed("0.5").as_deref(), Ok("0.50"));
        assert_eq!(printed("-1.005").as_deref(), Ok("-1.01"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "1,50", "1e3", "--2", "NaN", "9999999999999999999999999999999"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }
}
