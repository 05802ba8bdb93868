//! Flags: switches of a tenant that may be turned while the program runs. Some are locked, and stay so.

use serde::{Deserialize, Serialize};

use crate::{Refusal, aggregate::aggregate, values::InvalidValue};

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FlagName {
    /// Whether a market monitor may change stock. Locked: it may not.
    FeatureMonitorUpdatesStock,
    /// Whether a market monitor may change prices.
    FeatureMonitorUpdatesPrices,
    /// Whether the platforms' own orders move stock. Off while a seller moves over from another system.
    FeatureOrdersMoveStock,
}

impl FlagName {
    /// Every one there is.
    pub const ALL: [Self; 3] =
        [Self::FeatureMonitorUpdatesStock, Self::FeatureMonitorUpdatesPrices, Self::FeatureOrdersMoveStock];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::FeatureMonitorUpdatesStock => "FEATURE_MONITOR_UPDATES_STOCK",
            Self::FeatureMonitorUpdatesPrices => "FEATURE_MONITOR_UPDATES_PRICES",
            Self::FeatureOrdersMoveStock => "FEATURE_ORDERS_MOVE_STOCK",
        }
    }

    /// How it stands before anybody has turned it.
    pub fn initial(self) -> bool {
        self != Self::FeatureMonitorUpdatesStock
    }

    /// Whether nobody may turn it.
    pub fn locked(self) -> bool {
        self == Self::FeatureMonitorUpdatesStock
    }
}

impl std::fmt::Display for FlagName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for FlagName {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::ALL.into_iter().find(|flag| flag.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            InvalidValue::new("FlagName", format!("{name:?} is none of {known}"))
        })
    }
}

/// What has happened to a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlagEvent {
    /// Somebody turned it.
    #[serde(rename = "flag.set")]
    Set {
        /// How it stands now.
        value: bool,
    },
    /// Somebody tried to turn it, and it is locked.
    #[serde(rename = "flag.refused")]
    Refused {
        /// How it was to stand.
        value: bool,
    },
}

/// What one may ask of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagCommand {
    /// Turn it; nothing happens if it stands so already.
    Set {
        /// How it is to stand.
        value: bool,
    },
}

/// A flag as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// None before anybody has turned it.
    pub value: Option<bool>,
}

impl Flag {
    /// How the flag of this name stands.
    pub fn is_on(&self, name: FlagName) -> bool {
        self.value.unwrap_or_else(|| name.initial())
    }

    /// What follows from an attempt to turn the flag of this name, and whether it was allowed.
    pub fn turn(&self, name: FlagName, value: bool) -> (Vec<FlagEvent>, Option<Refusal>) {
        if self.is_on(name) == value {
            return (vec![], None);
        }
        if name.locked() {
            let detail = format!("{name} is locked to {}; the attempt is on record", name.initial());
            return (vec![FlagEvent::Refused { value }], Some(Refusal::forbidden("flag.locked", detail)));
        }
        (vec![FlagEvent::Set { value }], None)
    }

    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: FlagCommand) -> Result<Vec<FlagEvent>, Refusal> {
        let FlagCommand::Set { value } = command;
        Ok(if self.value == Some(value) { vec![] } else { vec![FlagEvent::Set { value }] })
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(self, event: FlagEvent) -> Self {
        match event {
            FlagEvent::Set { value } => Self { value: Some(value) },
            FlagEvent::Refused { .. } => self,
        }
    }
}

aggregate!(Flag, FlagName, FlagEvent, FlagCommand, Refusal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_flag_stays_as_it_is_and_the_attempt_is_told() {
        let name = FlagName::FeatureMonitorUpdatesStock;
        let (events, refusal) = Flag::default().turn(name, true);
        assert_eq!(events, [FlagEvent::Refused { value: true }]);
        assert_eq!(refusal.map(|refusal| refusal.code.to_string()).as_deref(), Some("flag.locked"));
        let after = events.into_iter().fold(Flag::default(), Flag::evolve);
        assert!(!after.is_on(name));
    }

    #[test]
    fn a_flag_is_turned_when_it_moves_and_only_then() {
        let name = FlagName::FeatureMonitorUpdatesPrices;
        assert_eq!(Flag::default().turn(name, true), (vec![], None));
        assert_eq!(Flag::default().turn(name, false), (vec![FlagEvent::Set { value: false }], None));
    }
}
