//! Which of a seller's things a connection is to show: by brand, category, tags, price and SKU.

use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    values::{Money, Sku},
};

/// Words that a condition may name.
const WORDS_MAX: usize = 100;
/// Characters of such a word.
const WORD_MAX: usize = 200;

/// What has to be true of a variant for it to be pushed. Of several words one has to fit; of several conditions all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Conditions {
    /// Its product's brand is one of these, in whatever case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<String>,
    /// Its product's category is one of these, in whatever case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Its product has one of these tags, in whatever case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// It costs at least this, in minor units of the connection's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_min: Option<i64>,
    /// It costs at most this, in minor units of the connection's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_max: Option<i64>,
    /// Its SKU fits one of these patterns, in which `*` stands for anything: `RUN-*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<String>,
}

/// A variant to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// Its SKU.
    pub sku: &'s Sku,
    /// Its product's brand.
    pub brand: Option<&'s str>,
    /// Its product's category.
    pub category: Option<&'s str>,
    /// Its product's tags.
    pub tags: &'s [String],
    /// What it costs in the connection's market.
    pub price: Option<Money>,
}

impl Conditions {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a variant is to be pushed. One without a price is in no range of prices.
    pub fn fit(&self, subject: &Subject<'_>) -> bool {
        let price = subject.price.map(|price| price.minor);
        one_of(&self.brands, subject.brand)
            && one_of(&self.categories, subject.category)
            && (self.tags.is_empty() || subject.tags.iter().any(|tag| one_of(&self.tags, Some(tag))))
            && self.price_min.is_none_or(|min| price.is_some_and(|price| price >= min))
            && self.price_max.is_none_or(|max| price.is_some_and(|price| price <= max))
            && (self.skus.is_empty()
                || self.skus.iter().any(|pattern| fits(pattern.as_bytes(), subject.sku.as_str().as_bytes())))
    }

    /// Refuses what nobody could mean, and more words than anybody would name.
    pub fn check(&self) -> Result<(), Refusal> {
        let words = [&self.brands, &self.categories, &self.tags, &self.skus];
        if words.iter().any(|words| words.len() > WORDS_MAX) {
            return Err(invalid(format!("a condition names {WORDS_MAX} words at most")));
        }
        let odd = |word: &String| word.is_empty() || word.chars().count() > WORD_MAX;
        if words.into_iter().flatten().any(odd) {
            return Err(invalid(format!("a word of a condition has 1 to {WORD_MAX} characters")));
        }
        match (self.price_min, self.price_max) {
            (Some(min), Some(max)) if min > max => {
                Err(invalid("the lowest price of a condition is above the highest".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

fn invalid(detail: String) -> Refusal {
    Refusal::invalid("connection.invalid", detail)
}

fn one_of(words: &[String], word: Option<&str>) -> bool {
    words.is_empty()
        || word.is_some_and(|word| words.iter().any(|it| it.to_lowercase() == word.to_lowercase()))
}

/// `*` stands for any number of characters. The last star that was met takes one more whenever the rest does not fit, so
/// that no pattern takes longer than its length times the text's.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Currency;

    fn fit(conditions: &Conditions, sku: &str, price: Option<i64>) -> bool {
        let usd = Currency::new("USD").expect("a currency");
        conditions.fit(&Subject {
            sku: &Sku::new(sku).expect("a SKU"),
            brand: Some("Kite"),
            category: Some("Shoes"),
            tags: &["low".to_owned(), "leather".to_owned()],
            price: price.map(|minor| Money::new(minor, usd).expect("an amount")),
        })
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn without_conditions_everything_is_pushed() {
        assert!(fit(&Conditions::default(), "RUN-42", None));
    }

    #[test]
    fn each_condition_has_to_fit_and_of_its_words_one() {
        let all = Conditions {
            brands: words(&["kite", "other"]),
            categories: words(&["SHOES"]),
            tags: words(&["suede", "Leather"]),
            price_min: Some(100),
            price_max: Some(200),
            skus: words(&["RUN-*"]),
        };
        assert!(fit(&all, "RUN-42", Some(100)) && fit(&all, "RUN-42", Some(200)));
        assert!(
            !fit(&all, "RUN-42", Some(99)) && !fit(&all, "RUN-42", Some(201)) && !fit(&all, "RUN-42", None)
        );
        assert!(!fit(&all, "WALK-42", Some(150)));
        assert!(!fit(&Conditions { tags: words(&["suede"]), ..all.clone() }, "RUN-42", Some(150)));
        assert!(!fit(&Conditions { brands: words(&["other"]), ..all }, "RUN-42", Some(150)));
    }

    #[test]
    fn a_star_stands_for_anything_anywhere() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("RUN-*", "RUN-", true),
            ("*-42", "RUN-42", true),
            ("R*N*2", "RUN-42", true),
            ("R*N*3", "RUN-42", false),
            ("RUN-42", "RUN-421", false),
            ("**", "x", true),
            ("a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_range_that_nothing_can_be_in_is_refused() {
        let wrong = Conditions { price_min: Some(2), price_max: Some(1), ..Conditions::default() };
        assert!(wrong.check().is_err());
        assert!(Conditions { brands: words(&[""]), ..Conditions::default() }.check().is_err());
    }

    #[test]
    fn a_word_is_as_long_as_it_has_characters_whatever_the_script() {
        let check =
            |length| Conditions { brands: vec!["靴".repeat(length)], ..Conditions::default() }.check();
        assert!(check(200).is_ok());
        assert!(check(201).is_err());
    }
}
