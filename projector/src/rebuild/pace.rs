//! How far a rebuild is, and how fast it goes.

use std::time::{Duration, Instant};

use serde::Serialize;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pace {
    /// Entries behind it; for what is folded stream by stream, streams.
    pub position: i64,
    /// Of so many.
    pub target: i64,
    /// Entries a second, since it was begun or gone on with.
    pub entries_per_second: f64,
    /// What is left at this pace; none as long as nothing can be said.
    pub seconds_left: Option<i64>,
}

/// Measures a rebuild from where it was begun or gone on with.
pub(super) struct Pacer {
    begun: Instant,
    from: i64,
    entries: i64,
}

impl Pacer {
    pub(super) fn starting_at(from: i64) -> Self {
        Self { begun: Instant::now(), from, entries: 0 }
    }

    /// More entries are through.
    pub(super) fn count(&mut self, entries: i64) {
        self.entries += entries;
    }

    pub(super) fn pace(&self, position: i64, target: i64) -> Pace {
        pace(self.begun.elapsed(), self.entries, (self.from, position, target))
    }
}

fn pace(elapsed: Duration, entries: i64, (from, position, target): (i64, i64, i64)) -> Pace {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let through = (position - from) as f64;
    let left = (target - position).max(0) as f64;
    let seconds_left = (through > 0.0).then(|| (left * seconds / through).ceil() as i64);
    Pace { position, target, entries_per_second: entries as f64 / seconds, seconds_left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_was_done_since_it_was_gone_on_with() {
        let pace = pace(Duration::from_secs(4), 2_000, (1_000, 3_000, 6_000));
        assert!((pace.entries_per_second - 500.0).abs() < 0.001, "{pace:?}");
        assert_eq!(pace.seconds_left, Some(6));
    }

    #[test]
    fn nothing_is_promised_before_anything_was_done() {
        assert_eq!(pace(Duration::ZERO, 0, (1_000, 1_000, 6_000)).seconds_left, None);
        assert_eq!(pace(Duration::from_secs(1), 10, (0, 6_000, 5_000)).seconds_left, Some(0));
    }
}
