//! The text of an alert, which is JSON if its author has written JSON.
//!
//! A placeholder that is not set can break the JSON, so what cannot be parsed is read as plain words.
//! Whatever is called a secret is cut out of what is handed on, whether or not it let the alert in.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{super::super::read, words};

/// What a secret may be called.
const SECRETS: [&str; 3] = ["secret", "passphrase", "token"];

/// What tells what an alert is about, the best first.
const SUBJECTS: [&str; 3] = ["ticker", "symbol", "strategy"];

/// The longest subject that is kept, in characters.
const SUBJECT_MAX: usize = 100;

/// The longest plain text that is kept, in characters.
const TEXT_MAX: usize = 10_000;

/// An alert, as its author has typed it.
pub(super) enum Alert {
    /// A JSON object.
    Fields(Map<String, Value>),
    /// Anything else.
    Text(String),
}

impl Alert {
    /// Reads any bytes. There is no U+0000 in a text, because none can be kept.
    pub(super) fn read(body: &[u8]) -> Self {
        match read::exact(body) {
            Ok(Value::Object(fields)) => Self::Fields(fields),
            Ok(Value::String(text)) => Self::Text(text.replace('\0', "")),
            _ => {
                let text = String::from_utf8_lossy(body);
                Self::Text(text.trim_start_matches('\u{feff}').replace('\0', ""))
            }
        }
    }

    /// What the alert itself calls a secret.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Fields(fields) => {
                let secrets = fields.iter().filter(|(name, _)| is_secret(name));
                secrets.filter_map(|(_, value)| value.as_str()).collect()
            }
            Self::Text(text) => words::named(text, &SECRETS).into_iter().map(|word| word.value).collect(),
        }
    }

    /// The first of these fields that tells a time, as the platform's placeholders do or in unix time.
    pub(super) fn time(&self, names: &[&str]) -> Option<DateTime<Utc>> {
        names.iter().find_map(|name| time(&self.word(name)?))
    }

    /// What the alert is about, and all of it but its secrets.
    pub(super) fn signal(self) -> (String, Value) {
        let shown = match self {
            Self::Fields(fields) => Self::Fields(shown(fields)),
            Self::Text(text) => Self::Text(words::without(&text, &SECRETS)),
        };
        let subject = SUBJECTS.iter().find_map(|name| shown.word(name));
        let subject = subject.unwrap_or_else(|| super::TOPIC.to_owned());
        let payload = match shown {
            Self::Fields(fields) => Value::Object(fields),
            Self::Text(text) => json!({ "text": text.chars().take(TEXT_MAX).collect::<String>() }),
        };
        (subject.chars().take(SUBJECT_MAX).collect(), payload)
    }

    /// A field's text, if it has one.
    fn word(&self, name: &str) -> Option<String> {
        let printable = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).collect() };
        match self {
            Self::Fields(fields) => {
                match fields.get(name).or_else(|| {
                    let mut fields = fields.iter();
                    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
                })? {
                    Value::String(text) => read::filled(Some(printable(text))),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                }
            }
            Self::Text(text) => {
                let mut found = words::named(text, &[name]).into_iter();
                found.find_map(|word| read::filled(Some(printable(word.value))))
            }
        }
    }
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

/// Fields without secrets, at any depth, and without U+0000.
fn shown(fields: Map<String, Value>) -> Map<String, Value> {
    let fields = fields.into_iter().map(|(name, value)| (name.replace('\0', ""), shown_value(value)));
    fields.filter(|(name, _)| !is_secret(name)).collect()
}

fn shown_value(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(shown(fields)),
        Value::Array(values) => values.into_iter().map(shown_value).collect(),
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// RFC 3339, or seconds or milliseconds since 1970. A bare clock time is the same each day and tells nothing.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let number = || text.parse::<i64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.len() {
        10 => DateTime::from_timestamp(number()?, 0),
        13 => DateTime::from_timestamp_millis(number()?),
        _ => read::time(text),
    }
}
