//! Names as the shop writes them: `WordPress` keeps them for pages, with marks such as `&amp;` in place of signs.

/// Bytes within which the end of a mark is looked for.
const MARK_MAX: usize = 12;

/// A name as people read it. What is no mark, or one that is not known, stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let (mut decoded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.bytes().take(MARK_MAX).position(|byte| byte == b';');
        let letter = end.and_then(|end| Some((letter(&rest[..end])?, end)));
        if let Some((letter, end)) = letter {
            decoded.push(letter);
            rest = &rest[end + 1..];
        } else {
            decoded.push('&');
        }
    }
    decoded.push_str(rest);
    decoded
}

/// What stands between the ampersand and the semicolon: a number, or one of the names that are in use.
fn letter(mark: &str) -> Option<char> {
    if let Some(number) = mark.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    let known = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("hellip", '…'),
    ];
    known.into_iter().find(|(name, _)| *name == mark).map(|(_, letter)| letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_read_them() {
        for (text, read) in [
            ("Axis &amp; Allies", "Axis & Allies"),
            ("&lt;b&gt; &quot;low&quot; &#039;s &#8217;s &#x2019;s", "<b> \"low\" 's ’s ’s"),
            ("é&amp;&amp;é", "é&&é"),
            // One mark stands for one sign, also where that begins what looks like another mark.
            ("&amp;lt;", "&lt;"),
            (
                "R&D; A & B &; &#; &#xZZ; &#99999999; &unknown;",
                "R&D; A & B &; &#; &#xZZ; &#99999999; &unknown;",
            ),
            ("&éééééééé;", "&éééééééé;"),
            ("&amp", "&amp"),
            ("", ""),
        ] {
            assert_eq!(decoded(text), read, "{text}");
        }
    }
}
