//! Rates: how many requests of one connection, and how many bad ones of one address, are let in each minute.
//!
//! All processes share one allowance. Each takes a part of it at a time, so that a request costs no query; what a process
//! has taken and not used is lost with the minute, a twentieth of it for each process at most.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use onhand_domain::values::ConnectionId;
use sqlx::PgPool;
use tokio::sync::Mutex as TurnMutex;

use crate::queries::webhook_rates;

/// Names remembered; beyond it those of minutes gone by are forgotten, and then all.
const NAMES_MAX: usize = 20_000;
/// How long to wait for the shared allowance; a database that is away must not add to its troubles here.
const PATIENCE: Duration = Duration::from_millis(500);

const TURNS: usize = 16;

/// Whose requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// Genuine requests for a connection. Others cannot use up what its platform needs.
    Connection(ConnectionId),
    /// Requests of an address that were not genuine.
    Address(IpAddr),
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(id) => write!(f, "connection/{id}"),
            Self::Address(address) => write!(f, "address/{address}"),
        }
    }
}

/// What is left this minute, as this process knows it.
pub(crate) struct Rates {
    left: Mutex<HashMap<Counted, Left>>,
    /// One at a time takes more of the same; by name, a few names share a turn.
    turns: [TurnMutex<()>; TURNS],
    limit: i64,
}

#[derive(Clone, Copy)]
struct Left {
    minute: i64,
    /// Taken from the shared allowance and not used.
    units: i64,
    /// The shared allowance is used up.
    spent: bool,
}

/// Seconds until a request may be let in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u32);

impl Rates {
    /// So many a minute.
    pub(crate) fn new(limit: u32) -> Self {
        Self { left: Mutex::default(), turns: Default::default(), limit: i64::from(limit) }
    }

    /// Lets one request in, or says when to come back.
    pub(crate) async fn admit(&self, pool: &PgPool, whose: Counted, now: DateTime<Utc>) -> Result<(), Wait> {
        let minute = now.timestamp().div_euclid(60);
        match self.use_one(whose, minute) {
            Some(true) => return Ok(()),
            Some(false) => return Err(wait(now)),
            None => {}
        }
        let mut hasher = DefaultHasher::new();
        whose.hash(&mut hasher);
        let _turn = self.turns[hasher.finish() as usize % TURNS].lock().await;
        match self.use_one(whose, minute) {
            Some(true) => return Ok(()),
            Some(false) => return Err(wait(now)),
            None => {}
        }
        let wanted = (self.limit / 20).max(1);
        let name = whose.to_string();
        let taken = webhook_rates::take(pool, &name, minute, self.limit, wanted);
        let Ok(Ok(taken)) = tokio::time::timeout(PATIENCE, taken).await else {
            // Without a database nothing is taken in anyway, and the answer to that is another one.
            return Ok(());
        };
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() >= NAMES_MAX {
            left.retain(|_, left| left.minute >= minute);
            if left.len() >= NAMES_MAX {
                left.clear();
            }
        }
        let entry = left.entry(whose).or_insert(Left { minute, units: 0, spent: false });
        if entry.minute < minute {
            *entry = Left { minute, units: 0, spent: false };
        }
        entry.units += taken;
        entry.spent = taken < wanted;
        if entry.units == 0 {
            return Err(wait(now));
        }
        entry.units -= 1;
        Ok(())
    }

    /// True if one was used, false if all are, none if the shared allowance has to be asked.
    fn use_one(&self, whose: Counted, minute: i64) -> Option<bool> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = left.get_mut(&whose).filter(|entry| entry.minute == minute)?;
        if entry.units > 0 {
            entry.units -= 1;
            return Some(true);
        }
        entry.spent.then_some(false)
    }

    /// Gives one back: the request was not what it claimed to be.
    pub(crate) fn give_back(&self, whose: Counted) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = left.get_mut(&whose) {
            entry.units += 1;
        }
    }
}

fn wait(now: DateTime<Utc>) -> Wait {
    Wait(60 - now.timestamp().rem_euclid(60) as u32)
}
