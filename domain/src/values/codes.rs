//! Short texts with rules: SKUs, location codes, markets, other people's ids.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{InvalidValue, ListingId};

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses, or says what is wrong.
            pub fn new(text: &str) -> Result<Self, InvalidValue> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text).map_err(|why| InvalidValue::new(stringify!($name), why))?;
                Ok(Self(text.into()))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::new(&text)
            }
        }
    };
}

code!(
    /// Stock-keeping unit: the seller's own name for a variant, unique within a tenant, 1 to 128 characters.
    Sku,
    |text| {
        if text.is_empty() || text.chars().count() > 128 {
            Err("must have 1 to 128 characters".to_owned())
        } else if text.trim() != text || text.chars().any(char::is_control) {
            Err("must not begin or end with blanks or hold control characters".to_owned())
        } else {
            Ok(())
        }
    }
);

code!(
    /// Where units stand: `main`, `berlin-2`. Lower-case letters, digits, `-` and `_`, up to 40.
    LocationCode,
    |text| {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if text.is_empty() || text.len() > 40 || !text.chars().all(fine) {
            Err(format!("{text:?} must be 1 to 40 of a-z, 0-9, '-' and '_'"))
        } else {
            Ok(())
        }
    }
);

code!(
    /// Where a price holds: two capital letters, `US`, `UK`, `FR`, `DE`, `JP`.
    Market,
    |text| {
        if text.len() == 2 && text.chars().all(|c| c.is_ascii_uppercase()) {
            Ok(())
        } else {
            Err(format!("{text:?} must be two capital letters, such as US or UK"))
        }
    }
);

code!(
    /// A buyer, by a name that tells nothing to whoever lacks the tenant's key for such names: 32 hexadecimal digits.
    PersonId,
    |text| {
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(())
        } else {
            Err(format!("{text:?} must be 32 of 0-9 and a-f"))
        }
    }
);

impl From<ListingId> for Sku {
    /// What a listing's variant is called where nobody has a name for it.
    fn from(listing: ListingId) -> Self {
        Self(listing.to_string().into())
    }
}

impl Default for LocationCode {
    fn default() -> Self {
        Self("main".into())
    }
}

impl Default for Market {
    fn default() -> Self {
        Self("US".into())
    }
}

/// A platform's own id, kept as text: numbers beyond 2^53 and 2^64 pass through unharmed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ExternalId(Box<str>);

impl ExternalId {
    /// Any text of 1 to 255 characters.
    pub fn new(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() || text.len() > 255 || text.contains(|c: char| c.is_control() || c.is_whitespace())
        {
            return Err(InvalidValue::new(
                "ExternalId",
                "must be 1 to 255 printable characters without blanks",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for ExternalId {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ExternalId {
    /// Takes a string or an integer: platforms write the same id both ways.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ExternalId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id as a string or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ExternalId, E> {
                ExternalId::new(text).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ExternalId, E> {
                Ok(number.into())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ExternalId, E> {
                ExternalId::new(&number.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_beyond_2_53_keeps_every_digit() {
        let id: ExternalId = serde_json::from_str("900000000000000919").expect("a number is an id");
        assert_eq!(id.as_str(), "900000000000000919");
    }

    #[test]
    fn a_sku_with_a_line_break_is_no_sku() {
        assert!(Sku::new("AJ1\n42").is_err());
        assert!(Sku::new(" AJ1").is_err());
        assert!(Sku::new("AJ1-42/EU").is_ok());
    }

    #[test]
    fn a_person_is_named_by_32_hexadecimal_digits() {
        assert!(PersonId::new("00112233445566778899aabbccddeeff").is_ok());
        for wrong in [
            "",
            "00112233445566778899aabbccddeef",
            "00112233445566778899AABBCCDDEEFF",
            "no name of a person at all, but 32",
        ] {
            assert!(PersonId::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_market_is_two_capital_letters() {
        assert!(Market::new("UK").is_ok());
        assert!(Market::new("usa").is_err());
    }
}
