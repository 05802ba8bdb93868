//! What to do after an attempt that failed: again when, or never. Pure but for the jitter.

use std::time::Duration;

use backoff::{ExponentialBackoffBuilder, backoff::Backoff};
use chrono::{DateTime, TimeDelta, Utc};

use crate::{outbox::Verdict, platforms::outbound::CallError};

/// Attempts that count, before a command is given up: with the delays below, about half an hour.
pub const ATTEMPTS_MAX: i32 = 12;
const FIRST_DELAY: Duration = Duration::from_millis(500);
const DELAY_MAX: Duration = Duration::from_secs(300);
/// When what a person has to see to is looked at again.
pub(super) const PERSON_DELAY: TimeDelta = TimeDelta::minutes(5);

/// What follows from a failed attempt, the `attempt`th that counts.
pub fn next(attempt: i32, error: &CallError, now: DateTime<Utc>) -> Verdict {
    match error {
        CallError::Never { why } => Verdict::Dead { error: why.clone() },
        // It is about the account, not about this: everything is kept until somebody has seen to it.
        CallError::NeedsPerson { why } => {
            Verdict::Again { at: now + PERSON_DELAY, error: why.clone(), counts: false }
        }
        CallError::Again { why, counts: true, .. } if attempt >= ATTEMPTS_MAX => {
            Verdict::Dead { error: format!("given up after {attempt} attempts; the last: {why}") }
        }
        CallError::Again { after, why, counts } => {
            let delay = after.unwrap_or_else(|| delay(attempt));
            let at = now + TimeDelta::from_std(delay).unwrap_or(TimeDelta::MAX);
            Verdict::Again { at, error: why.clone(), counts: *counts }
        }
    }
}

/// Half a second, doubled with each attempt, half as much more or less, at most five minutes.
pub(crate) fn delay(attempt: i32) -> Duration {
    let mut backoff = ExponentialBackoffBuilder::new()
        .with_initial_interval(FIRST_DELAY)
        .with_multiplier(2.0)
        .with_randomization_factor(0.5)
        .with_max_interval(DELAY_MAX)
        .with_max_elapsed_time(None)
        .build();
    let mut delay = FIRST_DELAY;
    for _ in 0..attempt.clamp(1, ATTEMPTS_MAX) {
        delay = backoff.next_backoff().unwrap_or(DELAY_MAX);
    }
    delay
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(after: Option<Duration>, counts: bool) -> CallError {
        CallError::Again { after, why: "503".into(), counts }
    }

    fn delay_ms(attempt: i32, error: &CallError) -> Option<i64> {
        match next(attempt, error, DateTime::UNIX_EPOCH) {
            Verdict::Again { at, .. } => Some((at - DateTime::UNIX_EPOCH).num_milliseconds()),
            _ => None,
        }
    }

    #[test]
    fn delays_grow_from_half_a_second_to_five_minutes_and_vary() {
        for (attempt, least, most) in
            [(1, 250, 750), (2, 500, 1_500), (5, 4_000, 12_000), (11, 150_000, 450_000)]
        {
            let ms = delay_ms(attempt, &again(None, true)).expect("an attempt is left");
            assert!((least..=most).contains(&ms), "attempt {attempt}: {ms} ms");
        }
    }

    #[test]
    fn what_the_platform_asks_for_is_done() {
        assert_eq!(delay_ms(1, &again(Some(Duration::from_secs(7)), true)), Some(7_000));
    }

    #[test]
    fn the_last_attempt_is_the_last_unless_it_does_not_count() {
        assert_eq!(delay_ms(ATTEMPTS_MAX, &again(None, true)), None);
        assert!(delay_ms(ATTEMPTS_MAX, &again(Some(Duration::ZERO), false)).is_some());
    }

    #[test]
    fn what_a_person_has_to_see_to_is_kept_however_often_it_was_tried() {
        let error = CallError::NeedsPerson { why: "401".into() };
        assert!(matches!(next(99, &error, DateTime::UNIX_EPOCH), Verdict::Again { counts: false, .. }));
    }

    #[test]
    fn what_will_never_be_taken_is_given_up_at_once() {
        let never = CallError::Never { why: "no such item".into() };
        assert!(matches!(next(1, &never, DateTime::UNIX_EPOCH), Verdict::Dead { .. }));
    }
}
