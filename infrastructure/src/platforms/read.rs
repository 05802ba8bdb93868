//! Reading bodies: what identifies or counts must be right, what only describes is taken as it comes.
//!
//! Ids are kept as texts of any length and never pass through a floating point number.

use chrono::{DateTime, Datelike, Utc};
use onhand_domain::values::{Currency, ExternalId, Money, Quantity, Sku};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::fact::{Fact, Person, Undecodable};

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

/// Objects and arrays within each other that are taken as they are. An entry has them some levels deeper, and is to be read, too.
const NESTED_MAX: usize = 64;

/// JSON of whatever form, kept as it is: a number that would lose digits on its way becomes a text.
pub(super) fn exact(body: &[u8]) -> Result<Value, Undecodable> {
    let mut quoted = Vec::with_capacity(body.len());
    let mut rest = body;
    let mut nested = 0_usize;
    while let Some(&first) = rest.first() {
        match first {
            b'[' | b'{' => nested += 1,
            b']' | b'}' => nested = nested.saturating_sub(1),
            _ => {}
        }
        if nested > NESTED_MAX {
            return Err(Undecodable(format!(
                "more than {NESTED_MAX} objects and arrays are within each other"
            )));
        }
        let length = match first {
            b'"' => text_length(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|byte| is_of_number(**byte)).count(),
            _ => 1,
        };
        let (token, after) = rest.split_at(length);
        let quote = if first != b'"' && loses_digits(token) { &b"\""[..] } else { b"" };
        for part in [quote, token, quote] {
            quoted.extend_from_slice(part);
        }
        rest = after;
    }
    json(&quoted)
}

/// How long a text is with its quotes; one that is not closed is all the rest.
fn text_length(body: &[u8]) -> usize {
    let mut escaped = false;
    let end = body.iter().skip(1).position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    end.map_or(body.len(), |end| end + 2)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Whether this is a number that no integer and no float holds as it is written.
fn loses_digits(token: &[u8]) -> bool {
    // A float has fifteen digits of any number.
    if token.len() <= 15 && !token.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return false;
    }
    let Ok(number) = serde_json::from_slice::<&RawValue>(token).map(RawValue::get) else { return false };
    let Ok(float) = number.parse::<f64>() else { return false };
    let whole = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    !whole && (float.is_infinite() || digits(number) != digits(&format!("{float:e}")))
}

/// The digits that count in a number, wherever its point is.
fn digits(number: &str) -> String {
    let before = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = before.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

/// Parts of a body that stand by themselves, and of which some could not be read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    count: usize,
    first: Option<Undecodable>,
}

impl Unread {
    /// Passes one over.
    pub(super) fn pass(&mut self, why: Undecodable) {
        self.count += 1;
        self.first.get_or_insert(why);
    }

    /// The note about them, if there are any. Where all of the parts were such there is nothing to act on, and the body is
    /// refused.
    pub(super) fn of(self, all: usize) -> Result<Option<Fact>, Undecodable> {
        let Some(first) = self.first else { return Ok(None) };
        if self.count == all {
            return Err(first);
        }
        let note = format!("{} of {all} could not be read and were passed over: {}", self.count, first.0);
        Ok(Some(Fact::Unread { note: note.chars().filter(|c| !c.is_control()).collect() }))
    }
}

/// A note about prices that are told and cannot be any, so that somebody sees why there are none here.
pub(super) fn odd_prices<'p>(
    told: impl IntoIterator<Item = (&'p ExternalId, &'p Value)>,
    currency: Currency,
) -> Option<Fact> {
    let mut odd = told.into_iter().filter(|(_, price)| is_told(price) && money(price, currency).is_none());
    let (external, price) = odd.next()?;
    let note = format!("the price {} of {external} is no amount of {currency}", cut(price));
    Some(Fact::Unread {
        note: match odd.count() {
            0 => note,
            more => format!("{note}, nor are {more} more"),
        },
    })
}

fn is_told(value: &Value) -> bool {
    !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty())
}

/// RFC 3339, or none. A year in which no shop was open stands for no time, and the database does not read each of them.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (1970..=9999).contains(&at.year()).then_some(at)
}

/// The same, of a field that is none where it is odd.
pub(super) fn time_in(value: &Value) -> Option<DateTime<Utc>> {
    time(value.as_str()?)
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
    let count =
        whole(value).ok_or_else(|| Undecodable("a quantity is no whole number of units".to_owned()))?;
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
    fn a_time_is_of_a_year_in_which_there_are_shops() {
        for (text, year) in [
            ("1970-01-01T00:00:00Z", Some(1970)),
            ("2026-02-01T07:00:00.5+05:30", Some(2026)),
            ("9999-12-31T23:59:59Z", Some(9999)),
            ("9999-12-31T23:59:59-01:00", None),
            ("0000-00-00T00:00:00Z", None),
            ("0000-01-01T00:00:00Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("-0001-11-30T00:00:00Z", None),
            ("+12345-01-01T00:00:00Z", None),
            ("2026-02-01", None),
        ] {
            assert_eq!(time(text).map(|at| at.year()), year, "{text}");
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
    fn no_number_loses_a_digit() {
        for (body, expected) in [
            (r#"{"id":732357708734418520388}"#, json!({ "id": "732357708734418520388" })),
            ("[18446744073709551615,-9223372036854775808]", json!([u64::MAX, i64::MIN])),
            (
                "[18446744073709551616,-9223372036854775809]",
                json!(["18446744073709551616", "-9223372036854775809"]),
            ),
            ("[129.500000000000000000]", json!([129.5])),
            ("[0.1234567890123456789]", json!(["0.1234567890123456789"])),
            ("[1e400,1e-999,1.5E3,0e9]", json!(["1e400", "1e-999", 1500.0, 0.0])),
            (r#"["\"732357708734418520388","\\"]"#, json!(["\"732357708734418520388", "\\"])),
            ("732357708734418520388", json!("732357708734418520388")),
        ] {
            assert_eq!(exact(body.as_bytes()), Ok(expected), "{body}");
        }
        assert!(
            exact(b"0.30000000000000004").is_ok_and(|number| number.is_number()),
            "a float is written so"
        );
        // What was no JSON does not become any by it.
        for body in
            ["[0732357708734418520388]", "[732357708734418520388.]", "{\"a\":1-732357708734418520388}", "\"a"]
        {
            assert!(exact(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_nested_deeper_than_an_entry_can_be_read_is_not_taken() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(exact(nested(NESTED_MAX).as_bytes()).is_ok());
        assert!(exact(nested(NESTED_MAX + 1).as_bytes()).is_err());
        assert!(exact(nested(100_000).as_bytes()).is_err());
        let side_by_side = format!("[{}[]]", "[],{\"[[\":1},".repeat(NESTED_MAX));
        assert!(exact(side_by_side.as_bytes()).is_ok());
    }

    #[test]
    fn a_price_that_is_none_is_noted_and_one_that_is_not_told_is_not() {
        let usd = Currency::new("USD").expect("a currency");
        let id = ExternalId::from(7);
        let noted = |prices: &[Value]| odd_prices(prices.iter().map(|price| (&id, price)), usd);
        assert_eq!(noted(&[json!("12.34"), json!(12), json!(""), json!(" "), json!(null)]), None);
        let note = "the price \"12.345\" of 7 is no amount of USD".to_owned();
        assert_eq!(noted(&[json!("12.34"), json!("12.345")]), Some(Fact::Unread { note: note.clone() }));
        let note = format!("{note}, nor are 2 more");
        let several = [json!("12.345"), json!("5,00"), json!(1), json!({})];
        assert_eq!(noted(&several), Some(Fact::Unread { note }));
    }

    #[test]
    fn a_body_is_refused_if_none_of_its_parts_can_be_read() {
        let unread = |count: usize| {
            let mut unread = Unread::default();
            (0..count).for_each(|number| unread.pass(Undecodable(format!("no\u{0} {number}"))));
            unread
        };
        assert_eq!((unread(0).of(0), unread(0).of(2)), (Ok(None), Ok(None)));
        let note = "1 of 2 could not be read and were passed over: no 0".to_owned();
        assert_eq!(unread(1).of(2), Ok(Some(Fact::Unread { note })));
        assert_eq!(unread(2).of(2), Err(Undecodable("no\u{0} 0".to_owned())));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(json::<Value>(b"\xef\xbb\xbf{\"id\":1}"), Ok(json!({ "id": 1 })));
    }
}
