//! What describes a product of a shop. Ours is told; what the shop says besides, and nobody has told it, is its own affair.

use std::collections::{BTreeMap, BTreeSet};

use onhand_domain::product::Words;
use serde_json::{Value, json};

/// The longest title the platform takes, in characters.
const TITLE_MAX: usize = 255;

/// What describes a new product. Where nobody is said to have made it, the shop names itself.
pub(super) fn introduced(words: &Words) -> Value {
    let mut fields = changed(words, &Words::default());
    fields["tags"] = json!(words.tags);
    fields
}

/// What is to be changed of a product that was told these words before, but for its tags.
pub(super) fn changed(words: &Words, told: &Words) -> Value {
    let mut fields = json!({});
    if words.title != told.title {
        fields["title"] = json!(words.title.chars().take(TITLE_MAX).collect::<String>());
    }
    if let Some(vendor) = words.vendor.as_ref().filter(|_| words.vendor != told.vendor) {
        fields["vendor"] = json!(vendor);
    }
    if words.category != told.category {
        fields["productType"] = json!(words.category.as_deref().unwrap_or_default());
    }
    fields
}

/// The tags of a product with ours among them that are new, and without those that were told and are ours no more: the
/// platform takes only all of them at once.
pub(super) fn merged(theirs: &[String], told: &BTreeSet<String>, ours: &BTreeSet<String>) -> Vec<String> {
    let (told, ours) = (parts(told), parts(ours));
    let stays = |tag: &&String| {
        let tag = tag.to_lowercase();
        ours.contains_key(&tag) || !told.contains_key(&tag)
    };
    let mut merged: Vec<String> = theirs.iter().filter(stays).cloned().collect();
    let known: BTreeSet<String> = merged.iter().map(|tag| tag.to_lowercase()).collect();
    let new = ours.into_iter().filter(|(tag, _)| !told.contains_key(tag) && !known.contains(tag));
    merged.extend(new.map(|(_, tag)| tag));
    merged
}

/// Tags as the platform has them: a comma divides them, and large and small letters are the same.
fn parts(tags: &BTreeSet<String>) -> BTreeMap<String, String> {
    let parts = tags.iter().flat_map(|tag| tag.split(',')).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| (part.to_lowercase(), part.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn only_tags_that_were_told_are_taken_away() {
        let theirs = ["Low", "sale", "sand"].map(str::to_owned);
        for (told, ours, expected) in [
            (set(&[]), set(&[]), vec!["Low", "sale", "sand"]),
            (set(&[]), set(&["low", "high, wide"]), vec!["Low", "sale", "sand", "high", "wide"]),
            (set(&["low", "sand"]), set(&["sand"]), vec!["sale", "sand"]),
            (set(&["low, sand"]), set(&["LOW"]), vec!["Low", "sale"]),
            // It was told, and somebody there has taken it away.
            (set(&["high"]), set(&["high", "wide"]), vec!["Low", "sale", "sand", "wide"]),
        ] {
            assert_eq!(merged(&theirs, &told, &ours), expected, "{told:?} {ours:?}");
        }
    }
}
