//! A reference, as callers write it.

use serde::Deserialize;

/// What a write is for, by the caller's name for it.
///
/// A text with nothing in it names nothing: as a name it would be the same one for each shipment of a shop that leaves the field
/// empty, and only the first of them would be sold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<String>")]
pub struct Reference(pub Option<String>);

impl From<Option<String>> for Reference {
    fn from(text: Option<String>) -> Self {
        Self(text.filter(|text| !text.trim().is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Shipment {
        reference: Reference,
    }

    #[test]
    fn a_reference_with_nothing_in_it_is_none_and_any_other_stays_as_it_is() {
        let read = |text: &str| serde_json::from_str::<Shipment>(text).map(|it| it.reference.0);
        for nothing in [
            "{}",
            r#"{"reference":null}"#,
            r#"{"reference":""}"#,
            r#"{"reference":"   "}"#,
            r#"{"reference":"\t\u00a0\n"}"#,
        ] {
            assert_eq!(read(nothing).expect("a shipment"), None, "{nothing}");
        }
        let named = read(r#"{"reference":" shipment 9 "}"#).expect("a shipment");
        assert_eq!(named.as_deref(), Some(" shipment 9 "));
        assert!(read(r#"{"reference":9}"#).is_err());
    }
}
