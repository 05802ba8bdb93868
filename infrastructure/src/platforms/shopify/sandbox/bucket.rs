//! The leaky bucket that rations calculated query cost.
//! The clock is an argument, so that a refill is tested without waiting for it.

use std::time::Instant;

/// How many points the shop grants at most, and how many come back each second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostBucket {
    /// Points in a full bucket.
    pub maximum_available: f64,
    /// Points restored per second.
    pub restore_rate: f64,
}

impl Default for CostBucket {
    fn default() -> Self {
        Self { maximum_available: 2000.0, restore_rate: 100.0 }
    }
}

pub(super) struct Bucket {
    size: CostBucket,
    level: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(super) fn new(size: CostBucket, now: Instant) -> Self {
        Self { size, level: size.maximum_available, filled_at: now }
    }

    /// What a request could spend at this moment.
    pub(super) fn available(&mut self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.level = (self.level + elapsed * self.size.restore_rate).min(self.size.maximum_available);
        self.filled_at = now;
        self.level
    }

    /// Takes the cost up front; `false` leaves the bucket as it was.
    pub(super) fn reserve(&mut self, cost: f64, now: Instant) -> bool {
        let enough = self.available(now) >= cost;
        if enough {
            self.level -= cost;
        }
        enough
    }

    /// Gives back what was reserved but not used.
    pub(super) fn refund(&mut self, cost: f64) {
        self.level = (self.level + cost).min(self.size.maximum_available);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_empty_bucket_throttles_and_refills() {
        let start = Instant::now();
        let mut bucket = Bucket::new(CostBucket { maximum_available: 20.0, restore_rate: 5.0 }, start);
        assert!(bucket.reserve(13.0, start));
        assert!(!bucket.reserve(13.0, start));
        assert!(!bucket.reserve(13.0, start + Duration::from_secs(1)));
        assert!(bucket.reserve(13.0, start + Duration::from_secs(2)));
    }

    #[test]
    fn a_refund_never_overfills() {
        let start = Instant::now();
        let mut bucket = Bucket::new(CostBucket { maximum_available: 20.0, restore_rate: 5.0 }, start);
        assert!(bucket.reserve(10.0, start));
        bucket.refund(500.0);
        assert!((bucket.available(start) - 20.0).abs() < f64::EPSILON);
    }
}
