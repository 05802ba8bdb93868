//! The breaker of one account: a platform in trouble is left alone, and looked at now and then.
//!
//! Five failures within five minutes open it; a minute later one command shows how the platform fares, and closes it
//! or opens it again. Being asked to wait is no failure, and neither is being let in no longer: the account is then held, and
//! its breaker stays closed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::platforms::outbound::{CallError, Outcome};

/// So many failures …
const FAILURES_MAX: usize = 5;
/// … within this time open a breaker.
const ROLLING: TimeDelta = TimeDelta::minutes(5);
/// How long an open breaker rests.
const REST: TimeDelta = TimeDelta::minutes(1);
/// How long an account is held where somebody has to see to it first: nobody is that quick, and each look may be counted as an
/// attempt to break in.
const REST_FOR_PERSON: TimeDelta = TimeDelta::minutes(5);
/// How long an account is held at a time while its credentials are renewed; when they are, the hold is over.
const REST_TO_RENEW: Duration = Duration::from_secs(15);
/// Why it is.
pub(crate) const RENEWING: &str = "the platform does not take the access token any more; it is being renewed";

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

/// A breaker as it stands, and whether the account is held for another reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Open or not.
    pub state: State,
    /// While closed: when the platform failed, within the last five minutes.
    pub failures: Vec<DateTime<Utc>>,
    /// While not closed: when it may be looked at next.
    pub retry_at: Option<DateTime<Utc>>,
    /// The platform has asked to wait, the allowance is used up, or the platform lets us in no longer.
    pub held_until: Option<DateTime<Utc>>,
    /// The platform lets us in no longer: somebody has to see to it.
    pub locked_out: bool,
    /// What stood in the way last; none once something was answered.
    pub reason: Option<String>,
}

/// How the calls of one attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// It was made to see how the platform fares. Only such a one closes a breaker: others were begun before it opened.
    pub probe: bool,
    /// The platform did something it was asked, or gave a reasoned refusal.
    pub answered: bool,
    /// It failed: an error of its own, no answer, no connection, too many calls without a word on when to come back.
    pub failed: bool,
    /// Why it lets nobody in until somebody sees to it.
    pub needs_person: Option<String>,
    /// It has asked to wait so long, or the allowance is used up for so long.
    pub hold: Option<Duration>,
    /// What else stood in the way.
    pub reason: Option<String>,
}

impl Report {
    /// Whether it has to be noted, for an account that was well.
    pub fn is_trouble(&self) -> bool {
        self.failed || self.is_shut() || self.hold.is_some()
    }

    /// Takes in how one thing asked has fared.
    pub(crate) fn of<T>(&mut self, outcome: &Outcome<T>) {
        match outcome {
            Outcome::Shown(_) | Outcome::Stale { .. } | Outcome::Failed(CallError::Never { .. }) => {
                self.answered = true;
            }
            Outcome::Failed(CallError::NeedsPerson { why }) => {
                self.needs_person = Some(why.clone());
            }
            Outcome::Failed(CallError::Again { after, why, counts }) => {
                // Too many calls, and not a word on when to come back: nobody knows how the platform fares.
                self.failed |= *counts || after.is_none();
                self.hold = self.hold.max(after.filter(|after| !counts && !after.is_zero()));
                self.reason = Some(why.clone());
            }
        }
    }

    /// The same where the credentials that were refused are being renewed: that is waited for, and nobody has to see to it.
    #[must_use]
    pub(crate) fn renewing(self) -> Self {
        Self {
            // Also one that refuses a token answers.
            answered: self.answered || self.probe,
            needs_person: None,
            hold: self.hold.max(Some(REST_TO_RENEW)),
            reason: Some(RENEWING.to_owned()),
            ..self
        }
    }

    /// A single thing that somebody has to see to says nothing against the account, if others were taken.
    pub(crate) fn is_shut(&self) -> bool {
        self.needs_person.is_some() && !self.answered
    }

    /// What stood in the way; of whoever is shut out, why that is.
    fn why(&self) -> Option<&String> {
        if self.is_shut() { self.needs_person.as_ref() } else { self.reason.as_ref() }
    }
}

/// How an account has turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// The platform is left alone from now on.
    Tripped {
        /// Why.
        reason: String,
    },
    /// The platform is called again.
    Recovered,
    /// The platform lets us in no longer.
    LockedOut,
    /// The platform lets us in again.
    LetIn,
}

impl Breaker {
    /// The breaker after an attempt, and what has turned.
    #[must_use]
    pub fn after(mut self, report: &Report, now: DateTime<Utc>) -> (Self, Vec<Turn>) {
        let mut turns = vec![];
        self.hold(report, now);
        self.failures.retain(|at| *at > now - ROLLING);
        if report.failed {
            self.failures.push(now);
        }
        let was_closed = self.state == State::Closed;
        if report.failed && (report.probe || (was_closed && self.failures.len() >= FAILURES_MAX)) {
            (self.state, self.retry_at) = (State::Open, Some(now + REST));
        } else if report.probe && (report.answered || report.is_shut()) {
            // Also one that locks us out answers.
            (self.state, self.retry_at, self.failures) = (State::Closed, None, vec![]);
        } else if report.probe {
            // Nothing was learned: the probe was not made, or was asked to wait.
            (self.state, self.retry_at) = (State::Open, Some(now));
        }
        match (was_closed, self.state == State::Closed) {
            (true, false) => {
                turns.push(Turn::Tripped { reason: report.reason.clone().unwrap_or_default() });
            }
            (false, true) => turns.push(Turn::Recovered),
            _ => {}
        }
        if self.locked_out != report.is_shut() && (report.answered || report.is_shut()) {
            self.locked_out = report.is_shut();
            turns.push(if self.locked_out { Turn::LockedOut } else { Turn::LetIn });
        }
        if report.is_trouble() {
            self.reason = report.why().cloned();
        } else if report.answered && self.state == State::Closed {
            self.reason = None;
        }
        (self, turns)
    }

    fn hold(&mut self, report: &Report, now: DateTime<Utc>) {
        let asked = report.hold.map(|hold| now + TimeDelta::from_std(hold).unwrap_or(REST));
        let shut = report.is_shut().then(|| now + REST_FOR_PERSON);
        self.held_until = self.held_until.max(asked).max(shut);
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

    fn probe(report: Report) -> Report {
        Report { probe: true, ..report }
    }

    fn after(reports: &[(Report, i64)]) -> (Breaker, Vec<Vec<Turn>>) {
        let mut breaker = Breaker::default();
        let mut turns = vec![];
        for (report, seconds) in reports {
            let (next, turn) = breaker.after(report, at(*seconds));
            breaker = next;
            turns.push(turn);
        }
        (breaker, turns)
    }

    fn tripped() -> Vec<(Report, i64)> {
        (0..5).map(|n| (failed(), n)).collect()
    }

    #[test]
    fn five_failures_within_five_minutes_open_it_for_a_minute() {
        let failures: Vec<_> = (0..5).map(|n| (failed(), n * 60)).collect();
        let (breaker, turns) = after(&failures);
        assert_eq!((breaker.state, breaker.retry_at), (State::Open, Some(at(240 + 60))));
        assert_eq!(turns[3..], [vec![], vec![Turn::Tripped { reason: "503".into() }]]);
    }

    #[test]
    fn five_failures_over_a_longer_time_do_not() {
        let failures: Vec<_> = (0..9).map(|n| (failed(), n * 76)).collect();
        assert_eq!(after(&failures).0.state, State::Closed);
    }

    #[test]
    fn a_probe_that_goes_well_closes_it_and_forgets_and_one_that_fails_opens_it_again() {
        let mut reports = tripped();
        reports.push((probe(failed()), 70));
        let (breaker, turns) = after(&reports);
        assert_eq!((breaker.state, breaker.retry_at, &turns[5][..]), (State::Open, Some(at(130)), &[][..]));
        let (breaker, turns) = breaker.after(&probe(answered()), at(131));
        assert_eq!((breaker, turns), (Breaker::default(), vec![Turn::Recovered]));
    }

    #[test]
    fn what_was_begun_before_it_opened_neither_closes_it_nor_ends_a_probe() {
        let mut reports = tripped();
        reports.push((answered(), 6));
        let (breaker, _) = after(&reports);
        assert_eq!((breaker.state, breaker.retry_at), (State::Open, Some(at(64))));
        assert_eq!(breaker.reason.as_deref(), Some("503"), "why it is open is still known");
        let probing = Breaker { state: State::HalfOpen, retry_at: Some(at(90)), ..Breaker::default() };
        for late in [answered(), failed(), Report { hold: Some(Duration::from_secs(1)), ..Report::default() }]
        {
            let (breaker, _) = probing.clone().after(&late, at(60));
            assert_eq!((breaker.state, breaker.retry_at), (State::HalfOpen, Some(at(90))), "{late:?}");
        }
    }

    #[test]
    fn being_asked_to_wait_holds_and_does_not_open() {
        let wait = Report { hold: Some(Duration::from_secs(7)), ..Report::default() };
        let (breaker, turns) = after(&vec![(wait, 0); 20]);
        assert_eq!((breaker.state, breaker.held_until), (State::Closed, Some(at(7))));
        assert!(turns.iter().all(Vec::is_empty));
    }

    #[test]
    fn being_locked_out_holds_for_long_and_does_not_open_and_is_told_once() {
        let shut = || Report { needs_person: Some("401".into()), ..Report::default() };
        let (breaker, turns) = after(&[(shut(), 0), (shut(), 300)]);
        assert_eq!((breaker.state, breaker.held_until), (State::Closed, Some(at(600))));
        assert_eq!(turns, [vec![Turn::LockedOut], vec![]]);
        let (breaker, turns) = breaker.after(&answered(), at(601));
        assert_eq!((breaker.locked_out, breaker.reason, turns), (false, None, vec![Turn::LetIn]));
    }

    #[test]
    fn while_its_credentials_are_renewed_it_is_held_shortly_and_nobody_is_called_for() {
        let shut = || Report { needs_person: Some("401".into()), ..Report::default() };
        let (breaker, turns) = after(&[(shut().renewing(), 0)]);
        assert_eq!((breaker.state, breaker.held_until), (State::Closed, Some(at(15))));
        assert_eq!((breaker.locked_out, breaker.reason.as_deref()), (false, Some(RENEWING)));
        assert_eq!(turns, [vec![]]);
        let probing = Breaker { state: State::HalfOpen, retry_at: Some(at(90)), ..Breaker::default() };
        let (breaker, turns) = probing.after(&probe(shut()).renewing(), at(60));
        assert_eq!((breaker.state, breaker.held_until), (State::Closed, Some(at(75))), "it answers");
        assert_eq!(turns, [Turn::Recovered]);
    }

    #[test]
    fn why_it_is_locked_out_is_told_whatever_else_stood_in_the_way() {
        let mut report = Report::default();
        for error in [CallError::person("401"), CallError::failed("the answer makes no sense")] {
            report.of::<i64>(&Outcome::Failed(error));
        }
        let (breaker, _) = after(&[(report, 0)]);
        assert_eq!((breaker.locked_out, breaker.reason.as_deref()), (true, Some("401")));
    }

    #[test]
    fn a_single_thing_that_needs_a_person_leaves_the_account_alone() {
        let one = Report { answered: true, needs_person: Some("403".into()), ..Report::default() };
        let (breaker, turns) = after(&[(one, 0)]);
        assert_eq!((breaker.held_until, turns), (None, vec![vec![]]));
    }

    #[test]
    fn a_probe_that_was_not_made_is_made_anew() {
        let probing = Breaker { state: State::HalfOpen, retry_at: Some(at(90)), ..Breaker::default() };
        let (breaker, turns) = probing.after(&probe(Report::default()), at(60));
        assert_eq!((breaker.state, breaker.retry_at, turns), (State::Open, Some(at(60)), vec![]));
    }
}
