//! The answers given under an idempotency key, so that a repeated request is answered and not applied again.
//! A key is claimed before its request runs: a second request in between learns that the first is under way.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

/// How many answers are remembered before the oldest is forgotten.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Answers {
    by_key: HashMap<String, (String, Option<Value>)>,
    oldest_first: VecDeque<String>,
}

/// What holds for a key at the moment of asking.
pub(super) enum Claim {
    /// Nobody used it; it is now taken and awaits [`Answers::store`].
    New,
    /// The same request was answered before, with this.
    Answered(Value),
    /// The same request is being worked on.
    UnderWay,
    /// Another request used it.
    Mismatch,
}

impl Answers {
    pub(super) fn claim(&mut self, key: &str, request: &str) -> Claim {
        match self.by_key.get(key) {
            Some((known, _)) if known != request => Claim::Mismatch,
            Some((_, Some(answer))) => Claim::Answered(answer.clone()),
            Some((_, None)) => Claim::UnderWay,
            None => {
                if self.oldest_first.len() >= REMEMBERED_MAX
                    && let Some(oldest) = self.oldest_first.pop_front()
                {
                    self.by_key.remove(&oldest);
                }
                self.oldest_first.push_back(key.to_owned());
                self.by_key.insert(key.to_owned(), (request.to_owned(), None));
                Claim::New
            }
        }
    }

    pub(super) fn store(&mut self, key: &str, answer: Value) {
        if let Some(entry) = self.by_key.get_mut(key) {
            entry.1 = Some(answer);
        }
    }
}
