//! What is wrong with a JSON text, in words that stand in answers and in history: without what the text says, for that may be a
//! person's or a secret.

/// Beginnings of messages that name a field and no value.
const OF_FIELDS: [&str; 3] = ["missing field ", "duplicate field ", "unknown field "];
/// Beginnings of messages that show a value, up to what was expected.
const OF_VALUES: [&str; 4] = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "];

/// What the parser says, and where, but for the values that it quotes.
pub fn unquoted(error: &serde_json::Error) -> String {
    cut(error, false)
}

/// The same for whoever has sent it, with what our own types say of a value: a code that is none is shown, and no secret is of such
/// a type.
pub fn unquoted_for_sender(error: &serde_json::Error) -> String {
    cut(error, true)
}

fn cut(error: &serde_json::Error, ours: bool) -> String {
    let text = error.to_string();
    if !error.is_data() || OF_FIELDS.iter().any(|beginning| text.starts_with(beginning)) {
        return text;
    }
    let quote = |c| c == '"' || c == '`';
    let (Some(first), Some(last)) = (text.find(quote), text.rfind(quote)) else { return text };
    if OF_VALUES.iter().any(|beginning| text.starts_with(beginning)) {
        let expected = text.rfind(", expected ").filter(|place| *place > first).map(|place| &text[place..]);
        return format!("{}{}", text[..first].trim_end(), expected.unwrap_or_default());
    }
    if ours { text } else { format!("{}…{}", &text[..first], &text[last + 1..]) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    enum Size {
        Small,
        Large,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what does not fit is looked at")]
    #[serde(deny_unknown_fields)]
    struct Order {
        lines: u32,
        size: Option<Size>,
    }

    #[test]
    fn a_message_says_where_and_what_was_expected_and_nothing_of_what_stands_there() {
        let said = |text: &str| unquoted(&serde_json::from_str::<Order>(text).expect_err("it does not fit"));
        for text in [
            r#"{"lines":"ann@quay.example, expected \"5\" `x`"}"#,
            r#""{\"email\":\"ann@quay.example\", expected 5}""#,
            r#"{"lines":1,"size":"ann@quay.example"}"#,
            r#"{"lines":-31337}"#,
        ] {
            let said = said(text);
            assert!(said.contains(", expected ") && said.contains(" at line 1 column "), "{said}");
            assert!(!said.contains("ann") && !said.contains("31337"), "{said}");
        }
        assert_eq!(said(r#"{"size":null}"#), "missing field `lines` at line 1 column 13");
        assert!(said(r#"{"lines":1,"colour":2}"#).starts_with("unknown field `colour`, expected "));
        assert_eq!(said("{"), "EOF while parsing an object at line 1 column 1");

        let codes =
            serde_json::from_str::<BTreeMap<String, onhand_domain::values::Currency>>(r#"{"a":"ann"}"#);
        let said = unquoted(&codes.expect_err("no currency"));
        assert!(said.contains("is not a code such as USD") && !said.contains("ann"), "{said}");
    }
}
