//! Finding out whose fault it is that a call for several things was refused.
//!
//! Where Square names the places it minds, the rest is sent again without them; where it does not, the call is halved until
//! the fault is in one that is alone. One bad thing among a hundred costs a dozen calls, and none of the others.

use std::collections::{BTreeMap, VecDeque};

use super::{super::super::outbound::CallError, errors::Problem};

/// Things that are still to be sent, as many together as may go well together.
pub(super) struct Open<T>(VecDeque<Vec<T>>);

impl<T> Open<T> {
    /// All of them together, to begin with.
    pub(super) fn new(things: Vec<T>) -> Self {
        Self(VecDeque::from([things]))
    }

    /// Those of the next call.
    pub(super) fn next(&mut self) -> Option<Vec<T>> {
        self.0.retain(|things| !things.is_empty());
        self.0.pop_front()
    }

    /// Takes back what was refused, each with its place in the call. Gives those that are over, with what stood in their
    /// way; `otherwise` is that where Square says nothing.
    pub(super) fn refused(
        &mut self,
        things: Vec<(usize, T)>,
        problems: &[Problem],
        otherwise: &CallError,
    ) -> Vec<(T, CallError)> {
        let Some(first) = problems.first() else { return all(things, otherwise) };
        if let Some(problem) = problems.iter().find(|problem| problem.is_about_all()) {
            return all(things, &problem.meaning());
        }
        let blamed: BTreeMap<usize, &Problem> =
            problems.iter().filter_map(|problem| Some((problem.place()?, problem))).collect();
        let (over, mut rest): (Vec<_>, Vec<_>) =
            things.into_iter().partition(|(place, _)| blamed.contains_key(place));
        if over.is_empty() && rest.len() < 2 {
            return all(rest, &first.meaning());
        }
        if over.is_empty() {
            let half = rest.split_off(rest.len() / 2);
            self.0.push_back(alone(half));
        }
        self.0.push_back(alone(rest));
        let meaning = |place: usize| blamed.get(&place).map_or_else(|| first.meaning(), |it| it.meaning());
        over.into_iter().map(|(place, thing)| (thing, meaning(place))).collect()
    }
}

fn all<T>(things: Vec<(usize, T)>, error: &CallError) -> Vec<(T, CallError)> {
    things.into_iter().map(|(_, thing)| (thing, error.clone())).collect()
}

fn alone<T>(things: Vec<(usize, T)>) -> Vec<T> {
    things.into_iter().map(|(_, thing)| thing).collect()
}
