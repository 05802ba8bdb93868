//! Money: minor units and a currency, never a float.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// An ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Parses three capital letters.
    pub fn new(code: &str) -> Result<Self, InvalidValue> {
        match code.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|l| l.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(InvalidValue::new("Currency", format!("{code:?} is not a code such as USD"))),
        }
    }

    /// The code, as letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits after the decimal point (ISO 4217 "minor unit").
    pub fn decimals(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidValue;

    fn try_from(code: String) -> Result<Self, InvalidValue> {
        Self::new(&code)
    }
}

/// An amount in minor units (cents) of a currency; never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Cents, pence, yen.
    pub minor: i64,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// The largest amount, in minor units; beyond it something has gone wrong with the sender's decimal point.
    pub const MAX_MINOR: i64 = 100_000_000_000;

    /// An amount in minor units.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, InvalidValue> {
        if (0..=Self::MAX_MINOR).contains(&minor) {
            Ok(Self { minor, currency })
        } else {
            Err(InvalidValue::new("Money", format!("{minor} minor units are out of range")))
        }
    }

    /// Parses a decimal text such as `119.99`; more digits than the currency has are refused, unless zero.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue::new("Money", format!("{text:?} is not an amount of {currency}"));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 15 || !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        let decimals = currency.decimals() as usize;
        let (kept, spare) = fraction.split_at(fraction.len().min(decimals));
        if spare.bytes().any(|b| b != b'0') {
            return Err(wrong());
        }
        format!("{whole}{kept:0<decimals$}")
            .parse()
            .map_err(|_| wrong())
            .and_then(|minor| Self::new(minor, currency))
    }

    /// The decimal text platforms expect: `119.99`, `12000` for yen.
    pub fn to_decimal(self) -> String {
        let decimals = self.currency.decimals() as usize;
        if decimals == 0 {
            return self.minor.to_string();
        }
        let scale = 10_i64.pow(self.currency.decimals());
        format!("{}.{:0decimals$}", self.minor / scale, self.minor % scale)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Currency {
        Currency::new("USD").expect("USD is a currency")
    }

    #[test]
    fn decimal_text_becomes_minor_units_and_back() {
        for (text, minor, shown) in
            [("19.99", 1999, "19.99"), ("90.0", 9000, "90.00"), ("7", 700, "7.00"), ("0.05", 5, "0.05")]
        {
            let money = Money::parse(text, usd()).expect(text);
            assert_eq!((money.minor, money.to_decimal().as_str()), (minor, shown));
        }
    }

    #[test]
    fn yen_have_no_decimals() {
        let yen = Currency::new("JPY").expect("JPY is a currency");
        assert_eq!(Money::parse("12000.00", yen).expect("zeroes are spare").to_decimal(), "12000");
        assert!(Money::parse("12000.50", yen).is_err());
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "-1", "1e3", "1,99", "19.999", "99999999999999999999", "NaN"] {
            assert!(Money::parse(text, usd()).is_err(), "{text:?}");
        }
    }
}
