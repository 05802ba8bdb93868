//! Prices and sizes as `KicksDB` writes them.
//!
//! Its prices are JSON numbers; they are read by their decimal text, because a float has no cents.

use onhand_domain::values::{Currency, Market, Money};
use serde::Deserialize;
use serde_json::Number;

use super::super::super::fact::Undecodable;

/// A number, or the text of one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Decimal {
    Number(Number),
    Text(String),
}

impl Decimal {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }

    /// A size: the number `10.0` is what is called 10 everywhere else.
    pub(super) fn size(&self) -> String {
        let text = self.text();
        match (self, text.strip_suffix(".0")) {
            (Self::Number(_), Some(whole)) => whole.to_owned(),
            _ => text,
        }
    }

    /// An amount above nothing, rounded half up to the currency's last digit; none where there is no amount.
    pub(super) fn money(&self, currency: Currency) -> Result<Option<Money>, Undecodable> {
        let text = self.text();
        if text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            return Ok(None);
        }
        rounded(&text, currency).map(Some).ok_or_else(|| {
            let told: String = text.chars().take(60).collect();
            Undecodable(format!("{told:?} is no price in {currency}"))
        })
    }
}

fn rounded(text: &str, currency: Currency) -> Option<Money> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
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

    fn priced(number: &str, currency: &str) -> Result<Option<i64>, Undecodable> {
        let number: Decimal = serde_json::from_str(number).expect("a number");
        let money = number.money(Currency::new(currency).expect("a currency"))?;
        Ok(money.map(|money| money.minor))
    }

    fn minor(number: &str, currency: &str) -> Option<i64> {
        priced(number, currency).ok().flatten()
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
    fn nothing_is_nothing_to_speak_of_and_nonsense_is() {
        for number in ["0", "0.0", "\"0.00\"", "\"\"", "\" \""] {
            assert_eq!(priced(number, "USD"), Ok(None), "{number}");
        }
        for number in ["-5", "1e300", "\"free\"", "\"5,00\""] {
            let odd = priced(number, "USD").expect_err("that is no price");
            assert!(odd.0.ends_with(" is no price in USD"), "{odd}");
        }
    }

    #[test]
    fn a_size_that_is_a_number_has_no_fraction_of_nothing() {
        for (written, size) in
            [("10.0", "10"), ("10", "10"), ("9.5", "9.5"), ("\"10.0\"", "10.0"), ("\" US 9 \"", "US 9")]
        {
            let written: Decimal = serde_json::from_str(written).expect("a size");
            assert_eq!(written.size(), size);
        }
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
