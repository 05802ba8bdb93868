//! Monitors: which model of the market feed is watched, how often its news count, and from what change on.
//!
//! A model nobody monitors is taken as it comes. A monitored one is taken as its monitors say; one that is switched off
//! takes nothing.

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ConnectionId, InvalidValue, Market, Money, MonitorId},
};

/// What a monitor watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MonitorKind {
    /// Prices.
    Price,
    /// Whether the market has any. It is noted; it never changes stock here.
    Stock,
    /// Both.
    Both,
}

impl FromStr for MonitorKind {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        match name {
            "price" => Ok(Self::Price),
            "stock" => Ok(Self::Stock),
            "both" => Ok(Self::Both),
            _ => Err(InvalidValue::new("MonitorKind", format!("{name:?} is none of price, stock, both"))),
        }
    }
}

impl fmt::Display for MonitorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Price => "price",
            Self::Stock => "stock",
            Self::Both => "both",
        })
    }
}

/// No feed tells a longer code of a model.
const CODE_BYTES_MAX: usize = 128;

/// Minutes between two looks that a monitor may have.
pub const FREQUENCIES_MINUTES: [u32; 4] = [15, 30, 60, 120];
/// Markets a monitor may watch.
pub const MARKETS: [&str; 5] = ["US", "UK", "FR", "DE", "JP"];

/// What a monitor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorDetails {
    /// Through which connection its news come.
    pub connection: ConnectionId,
    /// The maker's code of the model.
    pub style_code: String,
    /// What it watches.
    pub kind: MonitorKind,
    /// Minutes that go by before a variant's price may change again: 15, 30, 60 or 120.
    pub frequency_minutes: u32,
    /// Whose prices count.
    pub markets: BTreeSet<Market>,
    /// Changes of less than this many hundredths of a percent do not count.
    pub threshold_basis_points: u32,
}

impl MonitorDetails {
    /// Whether it watches this market's prices.
    pub fn watches_price(&self, market: &Market) -> bool {
        self.kind != MonitorKind::Stock && self.markets.contains(market)
    }

    /// Whether the step from one price to another is large enough to count.
    pub fn counts(&self, from: Money, to: Money) -> bool {
        let step = i128::from(to.minor).abs_diff(i128::from(from.minor));
        from.currency != to.currency
            || step * 10_000
                >= u128::from(self.threshold_basis_points) * u128::from(from.minor.unsigned_abs())
    }

    /// When a price that was last changed at `last` may change again.
    pub fn due(&self, last: DateTime<Utc>) -> DateTime<Utc> {
        last + TimeDelta::minutes(i64::from(self.frequency_minutes))
    }

    fn checked(&self) -> Result<(), Refusal> {
        let wrong = |detail: String| Err(Refusal::invalid("monitor.invalid", detail));
        let code = self.style_code.as_str();
        if code.is_empty()
            || code.len() > CODE_BYTES_MAX
            || code.trim() != code
            || code.contains(char::is_control)
        {
            return wrong(format!(
                "style_code has 1 to {CODE_BYTES_MAX} bytes, none of them a control character, and no blank at either end"
            ));
        }
        if !FREQUENCIES_MINUTES.contains(&self.frequency_minutes) {
            return wrong(format!("frequency_minutes is one of {FREQUENCIES_MINUTES:?}"));
        }
        if self.markets.is_empty() || !self.markets.iter().all(|market| MARKETS.contains(&market.as_str())) {
            return wrong(format!("markets are one or more of {MARKETS:?}"));
        }
        if self.threshold_basis_points > 10_000 {
            return wrong("threshold_percent is from 0 to 100".to_owned());
        }
        Ok(())
    }
}

/// What has happened to a monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MonitorEvent {
    /// A model is watched from now on, or otherwise than before.
    #[serde(rename = "monitor.set")]
    Set {
        /// How.
        #[serde(flatten)]
        details: MonitorDetails,
    },
    /// Its news count.
    #[serde(rename = "monitor.enabled")]
    Enabled {},
    /// Its news do not count.
    #[serde(rename = "monitor.disabled")]
    Disabled {},
}

/// What one may ask of a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorCommand {
    /// Watch like this; nothing happens if that is so already.
    Set(MonitorDetails),
    /// Let its news count.
    Enable,
    /// Let its news not count.
    Disable,
}

/// A monitor as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// None before it was set.
    pub details: Option<MonitorDetails>,
    /// True while its news count.
    pub enabled: bool,
}

impl Monitor {
    fn decide(&self, command: MonitorCommand) -> Result<Vec<MonitorEvent>, Refusal> {
        match command {
            MonitorCommand::Set(details) => {
                details.checked()?;
                let same = self.details.as_ref() == Some(&details);
                Ok(if same { vec![] } else { vec![MonitorEvent::Set { details }] })
            }
            MonitorCommand::Enable | MonitorCommand::Disable if self.details.is_none() => {
                Err(Refusal::missing("monitor.unknown", "there is no monitor with this id"))
            }
            MonitorCommand::Enable if self.enabled => Ok(vec![]),
            MonitorCommand::Enable => Ok(vec![MonitorEvent::Enabled {}]),
            MonitorCommand::Disable if self.enabled => Ok(vec![MonitorEvent::Disabled {}]),
            MonitorCommand::Disable => Ok(vec![]),
        }
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: MonitorEvent) -> Self {
        match event {
            MonitorEvent::Set { details } => {
                self.enabled = self.enabled || self.details.is_none();
                self.details = Some(details);
            }
            MonitorEvent::Enabled {} => self.enabled = true,
            MonitorEvent::Disabled {} => self.enabled = false,
        }
        self
    }
}

aggregate!(Monitor, MonitorId, MonitorEvent, MonitorCommand, Refusal);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{scenario::given, values::Currency};

    const M: MonitorId = MonitorId(Uuid::from_u128(1));

    fn details(frequency_minutes: u32, threshold_basis_points: u32) -> MonitorDetails {
        MonitorDetails {
            connection: ConnectionId(Uuid::from_u128(2)),
            style_code: "QY-100".into(),
            kind: MonitorKind::Price,
            frequency_minutes,
            markets: BTreeSet::from([Market::default()]),
            threshold_basis_points,
        }
    }

    fn usd(minor: i64) -> Money {
        Money { minor, currency: Currency::new("USD").expect("a currency") }
    }

    #[test]
    fn a_monitor_is_on_from_the_start_and_stays_off_once_it_is_switched_off() {
        let set = MonitorEvent::Set { details: details(15, 0) };
        given::<Monitor>(M, [set.clone()]).when(MonitorCommand::Enable).then([]);
        let off = [set, MonitorEvent::Disabled {}, MonitorEvent::Set { details: details(30, 0) }];
        assert!(!off.into_iter().fold(Monitor::default(), Monitor::evolve).enabled);
    }

    #[test]
    fn a_frequency_that_no_monitor_has_is_refused() {
        given::<Monitor>(M, []).when(MonitorCommand::Set(details(20, 0))).then_refused("monitor.invalid");
    }

    #[test]
    fn a_step_counts_from_the_threshold_on() {
        let five_percent = details(15, 500);
        assert!(!five_percent.counts(usd(10_000), usd(10_499)));
        assert!(five_percent.counts(usd(10_000), usd(10_500)));
        assert!(five_percent.counts(usd(10_000), usd(9_500)));
        assert!(details(15, 0).counts(usd(10_000), usd(10_001)));
    }
}
