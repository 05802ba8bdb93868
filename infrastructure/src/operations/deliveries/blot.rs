//! Writes over secrets, so that what is kept of a request does not show them.
//!
//! Who sends a secret may spell it in many ways: escaped as in JSON, also in JSON within JSON, or as in an address. Rather
//! too much is written over than too little.

use crate::secrets::Secret;

/// Backslashes that one escape can have, three times within a text.
const BACKSLASHES_MAX: usize = 8;
/// Characters at the beginning of a secret that are written over although the rest of it does not follow.
const BEGINNING: usize = 16;

/// Writes over every place where a secret stands, however it is spelled there.
pub(super) fn blot(bytes: &mut [u8], secrets: &[Secret]) {
    // Two may begin alike: where one is written over, the other would not be found any more.
    let given = bytes.to_vec();
    for secret in secrets {
        let mut from = 0;
        while from < given.len() {
            let length = spelled(&given[from..], secret.reveal());
            bytes[from..from + length].fill(b'*');
            from += length.max(1);
        }
    }
}

/// How many bytes a text takes at the start of others; none if it does not stand there.
///
/// A long beginning of it shows too much; and as it counts, many of them one after the other are gone through once, and not
/// from each of their bytes on.
fn spelled(bytes: &[u8], text: &str) -> usize {
    let (mut length, mut after_backslash) = (0, false);
    for (count, character) in text.chars().enumerate() {
        // Several backslashes are as good as one: what they are depends on how often they were escaped.
        if character == '\\' && after_backslash {
            continue;
        }
        if length > 0 {
            length += left_out(&bytes[length..]);
        }
        let Some(more) = one(&bytes[length..], character, after_backslash) else {
            return if count < BEGINNING { 0 } else { length };
        };
        length += more;
        after_backslash = character == '\\';
    }
    length
}

/// U+0000 is no part of what is read in a text, because none can be kept.
fn left_out(bytes: &[u8]) -> usize {
    let mut length = 0;
    let next = |rest: &[u8]| plain(rest, '\0').or_else(|| escaped(rest, '\0', false));
    while let Some(more) = next(&bytes[length..]) {
        length += more;
    }
    length
}

/// How many bytes a character takes at the start of others, backslashes before it included. After a backslash those of its
/// own escape are taken already.
fn one(bytes: &[u8], character: char, after_backslash: bool) -> Option<usize> {
    let slashes = backslashes(bytes);
    let rest = &bytes[slashes..];
    escaped(bytes, character, after_backslash)
        .or_else(|| (character == '\\' && slashes > 0).then_some(slashes))
        .or_else(|| plain(rest, character).map(|length| slashes + length))
}

fn backslashes(bytes: &[u8]) -> usize {
    bytes.iter().take(BACKSLASHES_MAX).take_while(|byte| **byte == b'\\').count()
}

/// `\u00df`, in as many halves as UTF-16 has.
fn escaped(bytes: &[u8], character: char, after_backslash: bool) -> Option<usize> {
    let mut length = 0;
    let mut bare = after_backslash;
    for unit in character.encode_utf16(&mut [0; 2]) {
        let slashes = backslashes(&bytes[length..]);
        let digits = bytes[length + slashes..].strip_prefix(b"u")?.get(..4)?;
        let written = u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        if written != *unit || (slashes == 0 && !bare) {
            return None;
        }
        length += slashes + 5;
        bare = false;
    }
    Some(length)
}

/// The bytes themselves, any of them as in an address.
fn plain(bytes: &[u8], character: char) -> Option<usize> {
    let mut length = 0;
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        length += match &bytes[length..] {
            [given, ..] if *given == byte || (*given == b'+' && byte == b' ') => 1,
            [b'%', high, low, ..] if hex::decode([*high, *low]).is_ok_and(|given| given == [byte]) => 3,
            _ => return None,
        };
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blotted(text: &str, secret: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        blot(&mut bytes, &[Secret::new(secret)]);
        String::from_utf8(bytes).expect("what is left is whole")
    }

    #[test]
    fn a_secret_is_written_over_however_it_is_spelled() {
        for (secret, spelled) in [
            ("gull", "gull"),
            ("gull", r"\u0067ull"),
            ("gull", "g\0ul\\u0000l"),
            ("gull", "%67ul%6C"),
            ("gull", r"gu\ll"),
            ("gruß-1", "gruß-1"),
            ("gruß-1", r"gru\u00df-1"),
            ("gruß-1", r"gru\u00DF\u002d1"),
            ("gruß-1", r"gru\\u00df-1"),
            ("gruß-1", "gru%C3%9f-1"),
            ("a&b<c>d", r"a\u0026b\u003cc\u003ed"),
            ("a/b", r"a\/b"),
            ("a/b", r"a\\\/b"),
            ("a \"b", r#"a \"b"#),
            ("a \"b", r#"a \\\"b"#),
            ("a b", "a+b"),
            ("a b", "a%20b"),
            ("a\\b", r"a\\b"),
            ("a\\b", r"a\\\\b"),
            ("a\\b", r"a\u005cb"),
            ("a\\b", r"a%5Cb"),
            ("a\\\\b", r"a\\\\b"),
            ("a\\ß", r"a\\\u00df"),
            ("tide🌊", r"tide\ud83c\udf0a"),
            ("tide🌊", r"tide\\ud83c\\udf0a"),
            ("tide🌊", "tide🌊"),
        ] {
            let stars = "*".repeat(spelled.len());
            assert_eq!(blotted(spelled, secret), stars, "{secret:?} {spelled:?}");
            let within = format!(r#"{{"x":"up {spelled}, {spelled}"}}"#);
            assert_eq!(blotted(&within, secret), format!(r#"{{"x":"up {stars}, {stars}"}}"#), "{within}");
        }
    }

    #[test]
    fn a_long_beginning_is_written_over_and_it_takes_no_time_to_find_many_of_them() {
        let secret = "a tide of sixteen gulls";
        assert_eq!(blotted("a tide of sixteen crabs", secret), "*".repeat(18) + "crabs");
        assert_eq!(blotted("a tide of sixty", secret), "a tide of sixty");
        let (secret, body) = ("a".repeat(4_000) + "b", "a".repeat(1_000_000));
        assert_eq!(blotted(&body, &secret), "*".repeat(1_000_000));
    }

    #[test]
    fn secrets_that_begin_alike_are_both_written_over_to_their_end() {
        let (newer, older) = ("quay-tradingview-2026-gulls", "quay-tradingview-2025-terns");
        for secrets in [[newer, older], [older, newer]] {
            let mut bytes = format!("{older}, {newer}").into_bytes();
            blot(&mut bytes, &secrets.map(Secret::new));
            assert_eq!(bytes, format!("{0}, {0}", "*".repeat(27)).into_bytes());
        }
    }

    #[test]
    fn nothing_else_is_written_over() {
        for text in ["", "gul", "GULL", "gu ll", r"gu\u006cn", r"\u0067\u0075", "%67%75%6", "%zz", "\\", "\0"]
        {
            assert_eq!(blotted(text, "gull"), text, "{text:?}");
        }
        assert_eq!(blotted("everything", ""), "everything");
        let many = "\\".repeat(100_000);
        assert_eq!(blotted(&many, "gull"), many);
    }
}
