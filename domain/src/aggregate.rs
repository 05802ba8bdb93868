//! How an aggregate meets the `eventually` vocabulary: `decide` answers commands, `evolve` takes facts.
//!
//! The trait's `handle` is asynchronous; ours never wait, and [`verdict`] relies on it.

pub use eventually::Aggregate;
use futures_util::FutureExt;

/// Implements [`Aggregate`] for a type with `decide(&self, Command)` and `evolve(self, Event)`.
macro_rules! aggregate {
    ($state:ty, $id:ty, $event:ty, $command:ty, $refusal:ty) => {
        impl $crate::aggregate::Aggregate for $state {
            type Id = $id;
            type State = Self;
            type Event = $event;
            type Command = $command;
            type Error = $refusal;

            fn apply(state: Self, event: $event) -> Result<Self, $refusal> {
                Ok(state.evolve(event))
            }

            fn handle<'a, 's: 'a>(
                &'a self,
                _: &'s $id,
                state: &'s Self,
                command: $command,
            ) -> futures_util::future::BoxFuture<'a, Result<Option<Vec<$event>>, $refusal>> {
                Box::pin(std::future::ready(state.decide(command).map(Some)))
            }
        }
    };
}
pub(crate) use aggregate;

/// Asks a decider for its verdict: the events that would follow from `command`, none if nothing changes.
///
/// Deciders never wait, so neither does this.
pub fn verdict<A>(id: &A::Id, state: &A, command: A::Command) -> Result<Vec<A::Event>, A::Error>
where
    A: Aggregate<State = A> + Default,
{
    A::default()
        .handle(id, state, command)
        .now_or_never()
        .expect("a decider answers without waiting")
        .map(Option::unwrap_or_default)
}
