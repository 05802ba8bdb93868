//! Finds `name=value` and `name: value` in a text, and cuts them out.
//!
//! What is taken for a secret and what is cut out are found in one way, so neither is more than the other.

use std::ops::Range;

/// A value that has a name.
pub(super) struct Word<'t> {
    /// Where name and value stand, a blank after them included.
    span: Range<usize>,
    /// The value, without quotes.
    pub(super) value: &'t str,
}

/// All values that have one of these names, in the order of the text; the spans do not overlap.
pub(super) fn named<'t>(text: &'t str, names: &[&str]) -> Vec<Word<'t>> {
    let mut found = Vec::new();
    let mut done = 0;
    for (at, _) in text.match_indices(['=', ':']) {
        // A sign within a value is part of it.
        if at < done {
            continue;
        }
        let before = text[..at].trim_end_matches(|c: char| c.is_whitespace() || is_quote(c));
        let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let start = before.len() - name.len();
        if start < done || !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        let start = text[..start].trim_end_matches(is_quote).len().max(done);
        let (value, length) = value(&text[at + 1..]);
        done = at + 1 + length;
        done += usize::from(text[done..].starts_with(' '));
        found.push(Word { span: start..done, value });
    }
    found
}

/// The text without these names and their values.
pub(super) fn without(text: &str, names: &[&str]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for word in named(text, names) {
        kept.push_str(&text[from..word.span.start]);
        from = word.span.end;
    }
    kept.push_str(&text[from..]);
    kept
}

/// Quotes may be escaped, in JSON within JSON.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\')
}

/// The value at the start of what follows its name, and how many bytes it takes with its quotes.
fn value(after: &str) -> (&str, usize) {
    let given = after.trim_start_matches([' ', '\t']);
    let bare = given.trim_start_matches('\\');
    let Some(quote) = bare.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = given.find(ends).unwrap_or(given.len());
        return (&given[..end], after.len() - given.len() + end);
    };
    let escaped = bare.len() < given.len();
    let inner = &bare[quote.len_utf8()..];
    let mut last = quote;
    let end = inner.find(|c: char| {
        let closes = c == quote && (escaped || last != '\\');
        last = c;
        closes
    });
    // A value that is not closed is all the rest: rather too much is cut out than too little.
    let (end, close) = end.map_or((inner.len(), 0), |end| (end, quote.len_utf8()));
    let value = if escaped { inner[..end].trim_end_matches('\\') } else { &inner[..end] };
    (value, after.len() - inner.len() + end + close)
}

/// What ends a value that has no quotes.
fn ends(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '&' | '|' | '}' | '"' | '\'')
}
