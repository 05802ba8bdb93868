//! The breaker of one account: a platform in trouble is left alone, and looked at now and then.
//!
//! Five failures within five minutes open it; a minute later one command shows how the platform fares, and closes it
//! or opens it again. Being asked to wait is no failure: the account is then held, and its breaker stays closed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// So many failures …
const FAILURES_MAX: usize = 5;
/// … within this time open a breaker.
const ROLLING: TimeDelta = TimeDelta::minutes(5);
/// How long an open breaker rests.
const REST: TimeDelta = TimeDelta::minutes(1);
/// How long it rests where somebody has to see to it first: nobody is that quick, and each look may be counted as an attempt
/// to break in.
const REST_FOR_PERSON: TimeDelta = TimeDelta::minutes(5);

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// The platform is called.
    #[default]
    Closed,
    /// The platform is left alone.
    Open,
    /// One command is under way to see how it fares.
    HalfOpen,
}

impl State {
    /// As the table spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// The reverse of [`State::name`].
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "open" => Self::Open,
            "half_open" => Self::HalfOpen,
            _ => Self::Closed,
        }
    }
}

/// A breaker as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Open or not.
    pub state: State,
    /// While closed: when the platform failed, within the last five minutes.
    pub failures: Vec<DateTime<Utc>>,
    /// While not closed: when it may be looked at next.
    pub retry_at: Option<DateTime<Utc>>,
    /// The platform has asked to wait, or the allowance is used up.
    pub held_until: Option<DateTime<Utc>>,
    /// What stood in the way last.
    pub reason: Option<String>,
}

/// How the calls of one attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The platform did something it was asked, or gave a reasoned refusal.
    pub answered: bool,
    /// It failed: an error of its own, no answer, no connection.
    pub failed: bool,
    /// It lets nobody in until somebody sees to it.
    pub needs_person: bool,
    /// It has asked to wait so long.
    pub hold: Option<Duration>,
    /// What stood in the way.
    pub reason: Option<String>,
}

impl Report {
    /// Whether it has to be noted, for a breaker that was closed.
    pub fn is_trouble(&self) -> bool {
        self.failed || self.needs_person || self.hold.is_some()
    }
}

/// A breaker that has turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// The platform is left alone from now on.
    Tripped {
        /// Why.
        reason: String,
    },
    /// The platform is called again.
    Recovered,
}

impl Breaker {
    /// The breaker after an attempt, and whether it has turned.
    #[must_use]
    pub fn after(mut self, report: &Report, now: DateTime<Utc>) -> (Self, Option<Turn>) {
        let was_closed = self.state == State::Closed;
        if let Some(hold) = report.hold {
            let until = now + TimeDelta::from_std(hold).unwrap_or(REST);
            self.held_until = self.held_until.max(Some(until));
        }
        self.failures.retain(|at| *at > now - ROLLING);
        if report.failed {
            self.failures.push(now);
        }
        let trips =
            report.needs_person || (report.failed && (!was_closed || self.failures.len() >= FAILURES_MAX));
        if trips {
            let rest = if report.needs_person { REST_FOR_PERSON } else { REST };
            self.state = State::Open;
            self.retry_at = Some(now + rest);
        } else if report.answered && !was_closed {
            self = Self { held_until: self.held_until, ..Self::default() };
        } else if self.state == State::HalfOpen {
            // Nothing was learned: the probe was not made, or was asked to wait.
            self.state = State::Open;
            self.retry_at = Some(now);
        }
        if report.is_trouble() {
            self.reason.clone_from(&report.reason);
        }
        let turn = match (was_closed, self.state == State::Closed) {
            (true, false) => Some(Turn::Tripped { reason: self.reason.clone().unwrap_or_default() }),
            (false, true) => Some(Turn::Recovered),
            _ => None,
        };
        (self, turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn failed() -> Report {
        Report { failed: true, reason: Some("503".into()), ..Report::default() }
    }

    fn answered() -> Report {
        Report { answered: true, ..Report::default() }
    }

    fn after(reports: &[(Report, i64)]) -> (Breaker, Vec<Option<Turn>>) {
        let mut breaker = Breaker::default();
        let mut turns = vec![];
        for (report, seconds) in reports {
            let (next, turn) = breaker.after(report, at(*seconds));
            breaker = next;
            turns.push(turn);
        }
        (breaker, turns)
    }

    #[test]
    fn five_failures_within_five_minutes_open_it_for_a_minute() {
        let failures: Vec<_> = (0..5).map(|n| (failed(), n * 60)).collect();
        let (breaker, turns) = after(&failures);
        assert_eq!((breaker.state, breaker.retry_at), (State::Open, Some(at(240 + 60))));
        assert_eq!(turns[3..], [None, Some(Turn::Tripped { reason: "503".into() })]);
    }

    #[test]
    fn five_failures_over_a_longer_time_do_not() {
        let failures: Vec<_> = (0..9).map(|n| (failed(), n * 76)).collect();
        assert_eq!(after(&failures).0.state, State::Closed);
    }

    #[test]
    fn a_probe_that_goes_well_closes_it_and_forgets_and_one_that_fails_opens_it_again() {
        let mut reports: Vec<_> = (0..5).map(|n| (failed(), n)).collect();
        reports.push((failed(), 70));
        let (breaker, turns) = after(&reports);
        assert_eq!((breaker.state, breaker.retry_at, &turns[5]), (State::Open, Some(at(130)), &None));
        let (breaker, turn) = breaker.after(&answered(), at(131));
        assert_eq!((breaker, turn), (Breaker::default(), Some(Turn::Recovered)));
    }

    #[test]
    fn being_asked_to_wait_holds_and_does_not_open() {
        let wait = Report { hold: Some(Duration::from_secs(7)), ..Report::default() };
        let (breaker, turns) = after(&vec![(wait, 0); 20]);
        assert_eq!((breaker.state, breaker.held_until), (State::Closed, Some(at(7))));
        assert!(turns.iter().all(Option::is_none));
    }

    #[test]
    fn a_refused_credential_opens_it_at_once_and_for_longer() {
        let person = Report { needs_person: true, reason: Some("401".into()), ..Report::default() };
        let (breaker, turns) = after(&[(person, 0)]);
        assert_eq!((breaker.state, breaker.retry_at), (State::Open, Some(at(300))));
        assert_eq!(turns, [Some(Turn::Tripped { reason: "401".into() })]);
    }

    #[test]
    fn a_probe_that_was_not_made_is_made_anew() {
        let probing = Breaker { state: State::HalfOpen, retry_at: Some(at(90)), ..Breaker::default() };
        let (breaker, turn) = probing.after(&Report::default(), at(60));
        assert_eq!((breaker.state, breaker.retry_at, turn), (State::Open, Some(at(60)), None));
    }
}
