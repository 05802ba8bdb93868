//! Reading bodies: what identifies or counts must be right, what only describes is taken as it comes.
//!
//! Ids are kept as texts of any length and never pass through a floating point number.

use chrono::{DateTime, Utc};
use onhand_domain::values::{Currency, Money, Quantity, Sku};
use serde::Deserialize;
use serde_json::Value;

use super::fact::{Person, Undecodable};

/// The most lines an order may have.
pub(super) const LINES_MAX: usize = 500;
/// The most facts one delivery may tell.
pub(super) const FACTS_MAX: usize = 2_000;
/// The longest title that is kept, in characters.
const TITLE_MAX: usize = 500;
/// Characters of a name or a value that are kept.
const WORD_MAX: usize = 200;

/// A JSON body. A byte order mark before it is passed over; it was signed with the rest.
pub(super) fn json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Undecodable> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    Ok(serde_json::from_slice(body)?)
}

/// RFC 3339, or none.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// A text with something in it.
pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A title that is not too long to be kept.
pub(super) fn title(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(TITLE_MAX).collect()
}

/// No more of a text than anybody would read; a body that is all one name must not be multiplied by its variants.
pub(super) fn word(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(WORD_MAX).collect()
}

/// The longest e-mail address there is.
const ADDRESS_MAX: usize = 254;

/// Who bought, from wherever a platform writes it down. None where nothing tells the person apart; a name is many people's.
///
/// An order is worth having without it: whatever is not in its documented shape is passed over, and stands in no message.
pub(super) fn person(id: &Value, names: [&Value; 2], email: &Value) -> Option<Person> {
    let names: Vec<String> = names.into_iter().filter_map(described).collect();
    let person = Person {
        // Some platforms write 0 where there is nobody.
        id: described(id).filter(|id| id != "0"),
        name: (!names.is_empty()).then(|| names.join(" ")),
        email: described(email).filter(|email| is_address(email)),
    };
    (person.id.is_some() || person.email.is_some()).then_some(person)
}

/// Whether a text has the look of an e-mail address. What is taken for one is searched for, and what is found, destroyed.
pub(crate) fn is_address(text: &str) -> bool {
    let fits = |part: &str| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "\"\\<>()[]{},:;@".contains(c);
        !part.is_empty() && !part.contains(odd)
    };
    let domain = |domain: &str| fits(domain) && domain.trim_matches('.').contains('.');
    text.len() <= ADDRESS_MAX && text.split_once('@').is_some_and(|(local, at)| fits(local) && domain(at))
}

/// A text or a number that somebody could read.
fn described(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(ADDRESS_MAX).collect();
    Some(text).filter(|text| !text.is_empty())
}

/// None for what cannot be a SKU: the variant is then known by the platform's id alone.
pub(super) fn sku(text: Option<&str>) -> Option<Sku> {
    Sku::new(text?.trim()).ok()
}

/// Decimal money, as text or number. None for what cannot be a price: the rest is still worth knowing.
pub(super) fn money(price: &Value, currency: Currency) -> Option<Money> {
    match price {
        Value::String(text) => Money::parse(text.trim(), currency).ok(),
        Value::Number(number) => Money::parse(&number.to_string(), currency).ok(),
        _ => None,
    }
}

/// Units of something sold: whole and not negative, as a number or as a text (`"2"`, `2.0`).
pub(super) fn units(value: &Value) -> Result<Quantity, Undecodable> {
    let count = whole(value).ok_or_else(|| Undecodable(format!("{} is no number of units", cut(value))))?;
    Quantity::new(count).map_err(|wrong| Undecodable(wrong.to_string()))
}

/// A whole number, as a number or as a text. None if it has a fraction, or is none at all.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok()).flatten()
}

/// The whole units in a decimal: `"12.50000"` has 12, and `"-0.5"`, which is oversold, -1. Part of a unit cannot be sold
/// here, so it is not counted as one.
pub(super) fn floor(value: &Value) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|digit| digit != b'0');
    if below { number.checked_sub(1) } else { Some(number) }
}

/// A text as one step of a path, or as a value in a query: nothing in it can lead elsewhere.
pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// Refuses what no shop sends and nobody could take in at once.
pub(super) fn within(found: usize, most: usize, what: &str) -> Result<(), Undecodable> {
    if found > most {
        return Err(Undecodable(format!("{found} {what} came at once, and {most} are the most")));
    }
    Ok(())
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (value, number) in [
            (json!(2), Some(2)),
            (json!("2"), Some(2)),
            (json!(2.0), Some(2)),
            (json!("-2.000"), Some(-2)),
            (json!(2.5), None),
            (json!("2.50001"), None),
            (json!(null), None),
            (json!("two"), None),
            (json!("."), None),
        ] {
            assert_eq!(whole(&value), number, "{value}");
        }
    }

    #[test]
    fn a_person_is_told_apart_by_an_id_or_an_address_and_not_by_a_name() {
        let (none, name) = (json!(null), json!(" Robin "));
        let known =
            person(&json!(77), [&name, &json!("Quay")], &json!("robin@quay.example")).expect("somebody");
        assert_eq!(
            (known.id.as_deref(), known.name.as_deref(), known.email.as_deref()),
            (Some("77"), Some("Robin Quay"), Some("robin@quay.example"))
        );
        assert_eq!(format!("{known:?}"), "***");
        assert_eq!(person(&none, [&name, &none], &json!({ "at": 1 })), None);
        assert_eq!(person(&json!(0), [&name, &none], &json!("")), None, "nobody is number 0");
        let guest = person(&json!("0"), [&none, &none], &json!("robin@quay.example")).expect("somebody");
        assert_eq!((guest.id, guest.name), (None, None));
    }

    #[test]
    fn what_could_stand_in_any_body_is_no_address() {
        for text in ["a@b.c", "robin+1@quay.example", "ro_bin@sub.quay.example"] {
            assert!(is_address(text), "{text}");
        }
        for text in ["", "@", "a", "a@", "@b.c", "a@b", "a@.", "\"@b.c", "a b@c.d", "a@b@c.d", "{@}.x"] {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(json::<Value>(b"\xef\xbb\xbf{\"id\":1}"), Ok(json!({ "id": 1 })));
    }
}
