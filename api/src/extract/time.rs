//! A time, as callers write it.

use std::fmt;

use chrono::{DateTime, Datelike, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{self, Unexpected},
};

/// A time that a caller names: RFC 3339, in the years 0000 to 9999 as written and in UTC, for in UTC it is told. Far beyond
/// them neither the database nor a difference of times has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub DateTime<Utc>);

impl From<Time> for DateTime<Utc> {
    fn from(Time(time): Time) -> Self {
        time
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as 2026-01-02T03:04:05Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
                match time {
                    Ok(time) if (0..=9_999).contains(&time.year()) => Ok(Time(time)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_a_year_of_four_digits_and_says_in_which_zone() {
        let read = |text: &str| serde_json::from_value::<Time>(text.into());
        let (utc, berlin) = (read("2026-01-02T03:04:05Z"), read("2026-01-02T04:04:05+01:00"));
        assert_eq!(utc.expect("a time"), berlin.expect("a time"));
        assert!(read("0000-01-01T00:00:00Z").is_ok() && read("9999-12-31T23:59:59Z").is_ok());
        for wrong in [
            "",
            "yesterday",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "-5000-01-01T00:00:00Z",
            "-262143-01-01T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "0000-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
        ] {
            let told = read(wrong).expect_err(wrong).to_string();
            assert!(told.contains("a time such as 2026-01-02T03:04:05Z"), "{told}");
        }
    }
}
