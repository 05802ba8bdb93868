//! What is known of the shop's rate limit: a bucket of points that refills, as the last answer told it.
//!
//! A call that is sure to be throttled is not made: it would only cost the shop and us a request.

use std::time::{Duration, Instant};

use serde::Deserialize;

/// The bucket, once an answer has told about it.
#[derive(Debug, Default)]
pub(in super::super::super) struct Points(Option<Level>);

#[derive(Debug)]
struct Level {
    status: ThrottleStatus,
    at: Instant,
}

/// The bucket as an answer tells it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThrottleStatus {
    maximum_available: f64,
    currently_available: f64,
    restore_rate: f64,
}

impl ThrottleStatus {
    /// How long until this many points are there.
    pub(super) fn wait_for(self, cost: f64) -> Option<Duration> {
        // More than the bucket holds is never there; the shop is to say so itself.
        let missing = cost.min(self.maximum_available) - self.currently_available;
        let seconds = missing / self.restore_rate;
        (missing > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    }
}

impl Points {
    pub(super) fn note(&mut self, status: ThrottleStatus, now: Instant) {
        self.0 = Some(Level { status, at: now });
    }

    /// Takes the cost of a call, or says how long to wait for it.
    pub(super) fn spend(&mut self, cost: f64, now: Instant) -> Result<(), Duration> {
        let Some(level) = &mut self.0 else { return Ok(()) };
        let status = &mut level.status;
        let restored = now.saturating_duration_since(level.at).as_secs_f64() * status.restore_rate;
        status.currently_available = (status.currently_available + restored).min(status.maximum_available);
        level.at = now;
        if let Some(wait) = status.wait_for(cost) {
            return Err(wait);
        }
        // Calls under way at the same time find less; the next answer corrects the estimate.
        status.currently_available = (status.currently_available - cost).max(0.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(available: f64, now: Instant) -> Points {
        let mut points = Points::default();
        let status =
            ThrottleStatus { maximum_available: 1000.0, currently_available: available, restore_rate: 50.0 };
        points.note(status, now);
        points
    }

    #[test]
    fn before_the_first_answer_every_call_is_made() {
        assert_eq!(Points::default().spend(1e9, Instant::now()), Ok(()));
    }

    #[test]
    fn a_call_waits_until_the_bucket_has_refilled() {
        let now = Instant::now();
        let mut points = points(10.0, now);
        assert_eq!(points.spend(110.0, now), Err(Duration::from_secs(2)));
        assert_eq!(points.spend(110.0, now + Duration::from_secs(1)), Err(Duration::from_secs(1)));
        assert_eq!(points.spend(110.0, now + Duration::from_secs(2)), Ok(()));
        assert!(points.spend(110.0, now + Duration::from_secs(2)).is_err());
    }

    #[test]
    fn what_no_bucket_holds_is_asked_when_it_is_full() {
        let now = Instant::now();
        assert_eq!(points(1000.0, now).spend(5000.0, now), Ok(()));
    }

    #[test]
    fn a_bucket_that_never_refills_stops_nobody() {
        let now = Instant::now();
        let mut points = Points::default();
        let status = ThrottleStatus { maximum_available: 100.0, currently_available: 0.0, restore_rate: 0.0 };
        points.note(status, now);
        assert_eq!(points.spend(10.0, now), Ok(()));
    }
}
