//! Prices and sizes as `KicksDB` writes them.
//!
//! Its prices are JSON numbers; they are read by their decimal text, because a float has no cents.

use onhand_domain::values::{Currency, Market, Money};
use serde::Deserialize;
use serde_json::Number;

/// A number, or the text of one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Decimal {
    Number(Number),
    Text(String),
}

impl Decimal {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }

    /// An amount, rounded half up to the currency's last digit; none for nothing and for what is no amount.
    pub(super) fn money(self, currency: Currency) -> Option<Money> {
        let text = self.into_text();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let decimals = currency.decimals() as usize;
        let (kept, spare) = fraction.split_at(fraction.len().min(decimals));
        let minor: i64 = format!("{whole}{kept:0<decimals$}").parse().ok()?;
        let up = i64::from(spare.bytes().next().is_some_and(|digit| digit >= b'5'));
        Money::new(minor.checked_add(up)?, currency).ok().filter(|money| money.minor > 0)
    }
}

/// The market a currency is spent in, for bodies that name no market.
pub(super) fn market_of(currency: Currency) -> Option<Market> {
    let market = match currency.code() {
        "USD" => "US",
        "GBP" => "UK",
        "EUR" => "DE",
        "JPY" => "JP",
        _ => return None,
    };
    Market::new(market).ok()
}

/// A size without the system it is measured in; `system` is what the body says about that.
pub(super) fn bare_size(size: &str, system: Option<&str>) -> Option<String> {
    let size = size.trim();
    let systems: Vec<&str> = match system.map(str::trim) {
        Some(system) if !system.is_empty() => vec![system],
        _ => vec!["US", "UK", "EU"],
    };
    let bare = systems.into_iter().find_map(|system| {
        let (start, rest) = size.split_at_checked(system.len())?;
        let known = ["us", "uk", "eu"].iter().any(|it| system.to_lowercase().starts_with(it));
        let rest = rest.strip_prefix(' ')?.trim_start();
        (known && start.eq_ignore_ascii_case(system) && !rest.is_empty()).then_some(rest)
    });
    let size = bare.unwrap_or(size);
    (!size.is_empty()).then(|| size.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(number: &str, currency: &str) -> Option<i64> {
        let number: Decimal = serde_json::from_str(number).expect("a number");
        number.money(Currency::new(currency).expect("a currency")).map(|money| money.minor)
    }

    #[test]
    fn a_json_number_becomes_exact_cents() {
        for (number, cents) in
            [("69.0", 6900), ("150", 15000), ("0.1", 10), ("70.29", 7029), ("1.1", 110), ("\"8.5\"", 850)]
        {
            assert_eq!(minor(number, "USD"), Some(cents), "{number}");
        }
    }

    #[test]
    fn half_a_cent_is_rounded_up() {
        for (number, cents) in [("1.005", 101), ("1.0049", 100), ("0.999", 100), ("2.675", 268)] {
            assert_eq!(minor(number, "USD"), Some(cents), "{number}");
        }
        assert_eq!((minor("12000.5", "JPY"), minor("12000.4", "JPY")), (Some(12001), Some(12000)));
    }

    #[test]
    fn nothing_and_nonsense_are_no_price() {
        for number in
            ["0", "0.0", "0.001", "-5", "1e300", "1e-9", "9223372036854775807.9", "\"free\"", "\"\""]
        {
            assert_eq!(minor(number, "USD"), None, "{number}");
        }
        assert_eq!(minor("9223372036854775807", "JPY"), None);
    }

    #[test]
    fn a_size_loses_its_system_and_nothing_else() {
        for (size, system, bare) in [
            ("US 9", Some("us"), Some("9")),
            ("US XXS", Some("us"), Some("XXS")),
            ("us m 9.5", Some("us m"), Some("9.5")),
            ("9", Some("us"), Some("9")),
            ("EU 42", Some("us"), Some("EU 42")),
            ("EU 42", None, Some("42")),
            ("US", Some("us"), Some("US")),
            ("USA", None, Some("USA")),
            ("é 9", None, Some("é 9")),
            ("  ", None, None),
        ] {
            assert_eq!(bare_size(size, system).as_deref(), bare, "{size:?} {system:?}");
        }
    }
}
