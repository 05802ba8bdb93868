//! Misbehaviour on demand: every way in which a platform has let a caller down, as a switch.
//! The dice are a small seeded generator, so that a run with faults can be repeated exactly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest delay and the longest silence, so that no fault holds a connection for ever.
pub(in super::super) const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What is currently going wrong; counts are what is left of them, rates lie between 0 and 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSettings {
    /// How many coming API requests are answered with [`Self::fail_status`] and not applied.
    pub fail_next: u32,
    /// The HTTP status of those answers.
    pub fail_status: u16,
    /// The share of API requests answered 500 and not applied.
    pub fail_rate: f64,
    /// How long each API request waits before it is applied.
    pub delay_ms: u64,
    /// The share of API requests whose connection is closed without an answer and without being applied.
    pub drop_connection_rate: f64,
    /// How many coming API requests are applied and then left without an answer.
    pub time_out_after_applying_next: u32,
    /// The share of API requests that are applied and whose connection is then closed without an answer.
    pub drop_after_applying_rate: f64,
    /// The share of single items that are refused in requests for several, while the others are applied.
    pub refuse_items_rate: f64,
    /// How long each answer's body takes to arrive, after its first byte.
    pub slow_body_ms: u64,
    /// Whether throttling says how long to wait.
    pub no_retry_after: bool,
    /// How many coming API requests are throttled whatever the bucket holds.
    pub throttle_next: u32,
    /// Whether throttling is told as HTTP 429 with `Retry-After` instead of HTTP 200 with an error code.
    pub throttle_as_429: bool,
    /// The share of webhooks sent twice under one id.
    pub duplicate_webhooks: f64,
    /// Whether webhooks overtake each other.
    pub reorder_webhooks: bool,
    /// The share of webhooks never sent.
    pub lose_webhooks: f64,
    /// Whether the whole API answers 503.
    pub down: bool,
}

/// The handle with which tests and people set faults while the shop runs; clones share one state.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<Mutex<(FaultSettings, XorShift)>>,
}

impl Faults {
    pub(in super::super) fn new() -> Self {
        Self { inner: Arc::new(Mutex::new((FaultSettings::default(), XorShift::seeded(1)))) }
    }

    /// The next `count` API requests are answered with this status and not applied.
    pub fn fail_next(&self, count: u32, status: u16) {
        self.set(|faults| (faults.fail_next, faults.fail_status) = (count, status));
    }

    /// This share of API requests is answered 500 and not applied.
    pub fn fail_rate(&self, share: f64) {
        self.set(|faults| faults.fail_rate = share);
    }

    /// Every API request waits this long before it is applied; at most a minute.
    pub fn delay(&self, milliseconds: u64) {
        self.set(|faults| faults.delay_ms = milliseconds);
    }

    /// This share of API requests finds its connection closed, unanswered and unapplied.
    pub fn drop_connection_rate(&self, share: f64) {
        self.set(|faults| faults.drop_connection_rate = share);
    }

    /// The next `count` API requests are applied but never answered; the line is cut after a minute.
    pub fn time_out_after_applying_next(&self, count: u32) {
        self.set(|faults| faults.time_out_after_applying_next = count);
    }

    /// This share of API requests is applied and its connection then closed without an answer.
    pub fn drop_after_applying_rate(&self, share: f64) {
        self.set(|faults| faults.drop_after_applying_rate = share);
    }

    /// This share of single items is refused in requests for several, while the others are applied.
    pub fn refuse_items_rate(&self, share: f64) {
        self.set(|faults| faults.refuse_items_rate = share);
    }

    /// Each answer's body takes this long to arrive, after its first byte; at most a minute.
    pub fn slow_body(&self, milliseconds: u64) {
        self.set(|faults| faults.slow_body_ms = milliseconds);
    }

    /// Throttling no longer says how long to wait.
    pub fn no_retry_after(&self, on: bool) {
        self.set(|faults| faults.no_retry_after = on);
    }

    /// The next `count` API requests are throttled; from now on, throttling is told as HTTP 429 when asked for.
    pub fn throttle_next(&self, count: u32, http_429: bool) {
        self.set(|faults| (faults.throttle_next, faults.throttle_as_429) = (count, http_429));
    }

    /// This share of webhooks is sent twice, with the same id and the same bytes.
    pub fn duplicate_webhooks(&self, share: f64) {
        self.set(|faults| faults.duplicate_webhooks = share);
    }

    /// Webhooks wait a random moment each and so overtake each other.
    pub fn reorder_webhooks(&self, on: bool) {
        self.set(|faults| faults.reorder_webhooks = on);
    }

    /// This share of webhooks is never sent.
    pub fn lose_webhooks(&self, share: f64) {
        self.set(|faults| faults.lose_webhooks = share);
    }

    /// The whole API answers 503; the shop itself goes on selling, and the control routes stay.
    pub fn down(&self, on: bool) {
        self.set(|faults| faults.down = on);
    }

    /// Everything works again; the dice keep their state.
    pub fn clear(&self) {
        self.set(|faults| *faults = FaultSettings::default());
    }

    /// Starts the dice over, so that a run can be repeated.
    pub fn seed(&self, seed: u64) {
        self.lock().1 = XorShift::seeded(seed);
    }

    /// What is set at this moment.
    pub fn settings(&self) -> FaultSettings {
        self.lock().0.clone()
    }

    /// Overlays the named settings and leaves the others; an unknown name or a wrong type changes nothing.
    pub(in super::super) fn change(&self, changes: Map<String, Value>) -> Result<(), serde_json::Error> {
        let mut guard = self.lock();
        let mut settings = serde_json::to_value(&guard.0)?;
        if let Some(fields) = settings.as_object_mut() {
            fields.extend(changes);
        }
        guard.0 = serde_json::from_value(settings)?;
        Ok(())
    }

    pub(in super::super) fn takes_failure(&self) -> Option<u16> {
        let mut guard = self.lock();
        let (faults, dice) = &mut *guard;
        if take_one(&mut faults.fail_next) {
            return Some(faults.fail_status);
        }
        dice.hits(faults.fail_rate).then_some(500)
    }

    pub(in super::super) fn takes_throttle(&self) -> bool {
        take_one(&mut self.lock().0.throttle_next)
    }

    pub(in super::super) fn takes_silence(&self) -> bool {
        take_one(&mut self.lock().0.time_out_after_applying_next)
    }

    /// Rolls the dice against one of the rates.
    pub(in super::super) fn strikes(&self, rate: impl FnOnce(&FaultSettings) -> f64) -> bool {
        let mut guard = self.lock();
        let (faults, dice) = &mut *guard;
        dice.hits(rate(faults))
    }

    /// How long a webhook waits so that others may overtake it.
    pub(in super::super) fn shuffle(&self) -> Duration {
        let mut guard = self.lock();
        let (faults, dice) = &mut *guard;
        if faults.reorder_webhooks { Duration::from_millis(dice.next() % 50) } else { Duration::ZERO }
    }

    fn set(&self, change: impl FnOnce(&mut FaultSettings)) {
        change(&mut self.lock().0);
    }

    fn lock(&self) -> MutexGuard<'_, (FaultSettings, XorShift)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_one(left: &mut u32) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

/// Marsaglia's xorshift with a multiplied output: small, fast, repeatable, and no secret depends on it.
struct XorShift(u64);

impl XorShift {
    fn seeded(seed: u64) -> Self {
        // Zero is the one state that never leaves itself.
        Self((seed ^ 0x9E37_79B9_7F4A_7C15).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn hits(&mut self, rate: f64) -> bool {
        // 53 bits are what a double holds exactly.
        rate > 0.0 && (self.next() as f64) < rate * (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_seed_rolls_the_same_dice() {
        let roll = || {
            let faults = Faults::new();
            faults.seed(7);
            faults.fail_rate(0.3);
            (0..200).map(|_| faults.takes_failure().is_some()).collect::<Vec<_>>()
        };
        let hits = roll().into_iter().filter(|hit| *hit).count();
        assert_eq!(roll(), roll());
        assert!((30..90).contains(&hits), "{hits}");
    }

    #[test]
    fn an_unknown_fault_changes_nothing() {
        let faults = Faults::new();
        let change = |value: Value| faults.change(value.as_object().cloned().unwrap_or_default());
        assert!(change(json!({"down": true, "explode": 1})).is_err());
        assert!(!faults.settings().down);
        assert!(change(json!({"down": true, "delay_ms": 5})).is_ok());
        assert!(faults.settings().down);
    }
}
