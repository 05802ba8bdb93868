//! Locations: where units stand, and in which order they are sold from when a buyer does not care.

use serde::{Deserialize, Serialize};

use crate::{Refusal, aggregate::aggregate, values::LocationCode};

/// What has happened to a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LocationEvent {
    /// The seller said how this location is sold from.
    #[serde(rename = "location.set")]
    Set {
        /// Lower comes first.
        priority: i32,
        /// Whether reservations that name no location may take units here.
        sells: bool,
    },
}

/// What one may ask of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationCommand {
    /// Sell from it like this; nothing happens if that is so already.
    Set {
        /// Lower comes first.
        priority: i32,
        /// Whether reservations that name no location may take units here.
        sells: bool,
    },
}

/// A location as it stands; none before anything was said about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Lower comes first; none until it was said.
    pub priority: Option<i32>,
    /// Whether reservations that name no location may take units here.
    pub sells: bool,
}

impl Location {
    #[expect(clippy::unnecessary_wraps, reason = "deciders share one signature")]
    fn decide(&self, command: LocationCommand) -> Result<Vec<LocationEvent>, Refusal> {
        let LocationCommand::Set { priority, sells } = command;
        let same = self.priority == Some(priority) && self.sells == sells;
        Ok(if same { vec![] } else { vec![LocationEvent::Set { priority, sells }] })
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(self, event: LocationEvent) -> Self {
        let LocationEvent::Set { priority, sells } = event;
        Self { priority: Some(priority), sells }
    }
}

aggregate!(Location, LocationCode, LocationEvent, LocationCommand, Refusal);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::given;

    #[test]
    fn saying_the_same_of_a_location_twice_is_saying_it_once() {
        let set = LocationEvent::Set { priority: 1, sells: true };
        given::<Location>(LocationCode::default(), [set])
            .when(LocationCommand::Set { priority: 1, sells: true })
            .then([]);
    }
}
