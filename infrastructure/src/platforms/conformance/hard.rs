//! Bodies and values that have broken somebody's parser before, for the tests of what adapters survive.

use serde_json::{Value, json};

/// Whole bodies.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let digits = "9".repeat(10_000);
    let texts = [
        "",
        " ",
        "null",
        "true",
        "7",
        "[]",
        "{}",
        "[null]",
        "[{}]",
        "\"\"",
        "\u{feff}{}",
        "\u{feff}",
        "1e999",
        "-0",
        "{\"id\":1e999}",
        "{\"id\":-0}",
        "{\"id\":-0.0,\"data\":-1e-999}",
        "{\"id\":1,\"id\":2,\"type\":\"a\",\"type\":\"b\",\"data\":{},\"data\":[]}",
        "\"\\ud800\"",
        "{\"id\":\"\\ud800\",\"type\":\"\\udc00\\ud800\"}",
        "{\"id\":\"\\u0000\",\"type\":\"\\u0000\",\"data\":{\"id\":\"\\u0000\"}}",
        "{\"type\":null,\"event\":null,\"code\":null,\"merchants\":null,\"data\":null}",
        "webhook_id=7",
        "secret=",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    for text in [
        "[".repeat(200),
        "[".repeat(1 << 20),
        "{\"data\":".repeat(200),
        format!("{}{}", "[".repeat(127), "]".repeat(127)),
        digits.clone(),
        format!("{{\"id\":{digits}}}"),
        format!("{{\"id\":\"{digits}\"}}"),
        format!("{{\"id\":0.{digits}}}"),
        "\u{10ffff}".repeat(1_000),
    ] {
        bodies.push(text.into_bytes());
    }
    bodies.push(b"\xff\xfe".to_vec());
    bodies.push(b"\xff\xfe{\x00}\x00".to_vec());
    bodies.push(b"{\"id\":\"\xc3\x28\"}".to_vec());
    bodies.push(vec![0; 1_000]);
    bodies
}

/// JSON values of every kind and at the ends of their ranges.
pub(super) fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!({}),
        json!([]),
        json!([[]]),
        json!(""),
        json!(" "),
        json!("é\u{0}\u{202e}"),
        json!("x".repeat(1_000)),
        json!("9".repeat(400)),
        json!("-9223372036854775808"),
        json!("+1"),
        json!("."),
        json!("0.0000000000000000000001"),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e308),
        json!(-0.0),
        json!(1.5),
    ]
}

/// The places of all values in a JSON text, as pointers.
pub(super) fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{here}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                places(value, &format!("{here}/{place}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
