//! Given, when, then: a rule of an aggregate as a sentence.

use std::fmt::Debug;

use crate::{
    Refusal,
    aggregate::{Aggregate, verdict},
};

/// An aggregate with a history, about to be asked something.
pub struct Given<A: Aggregate> {
    id: A::Id,
    state: A,
}

/// The answer to what was asked.
pub struct Then<A: Aggregate> {
    id: A::Id,
    state: A,
    answer: Result<Vec<A::Event>, Refusal>,
}

/// An aggregate to which `history` has happened.
///
/// # Panics
/// When the aggregate refuses its own history.
pub fn given<A>(id: A::Id, history: impl IntoIterator<Item = A::Event>) -> Given<A>
where
    A: Aggregate<State = A, Error = Refusal> + Default,
{
    let state =
        history.into_iter().try_fold(A::default(), A::apply).expect("an aggregate takes its own history");
    Given { id, state }
}

impl<A> Given<A>
where
    A: Aggregate<State = A, Error = Refusal> + Default + Clone,
    A::Event: Clone + PartialEq + Debug,
{
    /// Asks.
    #[must_use]
    pub fn when(self, command: A::Command) -> Then<A> {
        let answer = verdict(&self.id, &self.state, command);
        Then { id: self.id, state: self.state, answer }
    }
}

impl<A> Then<A>
where
    A: Aggregate<State = A, Error = Refusal> + Default + Clone,
    A::Event: Clone + PartialEq + Debug,
{
    /// Expects these events, in this order, and goes on with their effect.
    ///
    /// # Panics
    /// When the answer is another one.
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(self.answer.as_ref(), Ok(&expected));
        let state = expected.into_iter().try_fold(self.state.clone(), A::apply);
        Self { state: state.expect("an aggregate takes its own events"), ..self }
    }

    /// Expects a refusal with this code.
    ///
    /// # Panics
    /// When the answer is another one.
    pub fn then_refused(self, code: &str) -> Self {
        assert_eq!(self.answer.as_ref().map_err(|refusal| &*refusal.code), Err(code));
        self
    }

    /// Asks the next thing.
    #[must_use]
    pub fn when(self, command: A::Command) -> Self {
        let answer = verdict(&self.id, &self.state, command);
        Self { answer, ..self }
    }

    /// Looks at the state after the answer.
    pub fn then_state(self, look: impl FnOnce(&A)) -> Self {
        look(&self.state);
        self
    }
}
