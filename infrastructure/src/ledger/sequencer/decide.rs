//! Decisions: every ticket of a batch in order, each on states that include the effects of the ones before.

use std::{cell::RefCell, collections::HashMap, mem, panic::AssertUnwindSafe};

use onhand_domain::{Event, Refusal, RefusalKind, State, StreamId, stock::Stock, stream::Lookup};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    super::{
        Context, LedgerError, Submission, Ticket,
        append::{Base, Batch, KeptAnswer},
        states,
        submission::{Decision, Outcome},
    },
    Sequencer,
    chain::{Chain, holds_nul, place_of_nul},
};

/// Times a decision may ask for streams it had not been expected to look at.
const LOOKS_MAX: usize = 8;

/// What was decided about one ticket.
pub(super) enum Verdict {
    /// For good, at this position.
    Decided { position: i64, outcome: Outcome },
    /// The same key, earlier in this batch.
    SameAs(usize),
    /// The same key with another request, earlier in this batch.
    KeyReused,
}

impl Sequencer {
    /// Decides every ticket in order; each sees the effects of the ones before.
    ///
    /// What is not in memory is read over `conn`; without one, it is an error.
    pub(super) async fn decide(
        &mut self,
        mut conn: Option<&mut PgConnection>,
        open: &[Ticket],
        base: &Base,
        batch: &mut Batch,
    ) -> Result<Vec<Verdict>, LedgerError> {
        // Unless one of them turned out not to be new a moment ago: then all of this batch is looked up.
        let fresh = open.iter().flat_map(|ticket| &ticket.submission.fresh);
        let supposed = if self.doubtful { vec![] } else { self.states.suppose(fresh) };
        let verdicts = self.decide_each(conn.as_deref_mut(), open, base, batch).await;
        let proven = supposed.iter().all(|id| batch.streams.contains_key(id));
        if verdicts.is_ok() && proven {
            return verdicts;
        }
        self.states.forget(supposed.iter().filter(|id| !batch.streams.contains_key(id)));
        verdicts?;
        // What got no entry is not put to the proof by the append, and an answer may rest on it: it is looked up after all.
        self.states.forget(batch.streams.keys());
        *batch = Batch::default();
        let doubtful = mem::replace(&mut self.doubtful, true);
        let verdicts = self.decide_each(conn, open, base, batch).await;
        self.doubtful = doubtful;
        verdicts
    }

    /// The same behind what the batch holds already, each stream as it is in memory.
    pub(super) async fn decide_each(
        &mut self,
        mut conn: Option<&mut PgConnection>,
        open: &[Ticket],
        base: &Base,
        batch: &mut Batch,
    ) -> Result<Vec<Verdict>, LedgerError> {
        let doubtful = self.doubtful;
        let reads = open.iter().map(|ticket| &ticket.submission).flat_map(|submission| {
            submission.reads.iter().chain(submission.fresh.iter().filter(move |_| doubtful))
        });
        let missing = self.states.missing(reads);
        if !missing.is_empty() {
            self.load(conn.as_deref_mut(), base, missing).await?;
        }
        let mut chain = Chain::behind(base, batch);
        let mut keys: HashMap<Uuid, usize> = HashMap::new();
        let mut verdicts = Vec::with_capacity(open.len());
        for (number, ticket) in open.iter().enumerate() {
            let submission = &ticket.submission;
            let digest = submission.idempotency.map(|idempotency| idempotency.key_digest);
            if let Some(first) = digest.and_then(|digest| keys.get(&digest).copied()) {
                let same = open[first].submission.idempotency == submission.idempotency;
                verdicts.push(if same { Verdict::SameAs(first) } else { Verdict::KeyReused });
                continue;
            }
            let outcome = match self.ask(conn.as_deref_mut(), submission, base).await? {
                Ok(decision) => {
                    let conn = conn.as_deref_mut();
                    self.accept(conn, submission, decision, base, &mut chain, batch).await?
                }
                Err(refusal) => Err(refusal),
            };
            if let Some(idempotency) = submission.idempotency.filter(|_| is_kept(&outcome)) {
                keys.insert(idempotency.key_digest, number);
                batch.answers.push(KeptAnswer {
                    key_digest: idempotency.key_digest,
                    fingerprint: idempotency.fingerprint,
                    position: chain.position,
                    outcome: outcome.clone(),
                });
            }
            verdicts.push(Verdict::Decided { position: chain.position, outcome });
        }
        Ok(verdicts)
    }

    /// Asks for a decision, loading whatever it looks at.
    async fn ask(
        &mut self,
        mut conn: Option<&mut PgConnection>,
        submission: &Submission,
        base: &Base,
    ) -> Result<Result<Decision, Refusal>, LedgerError> {
        for _ in 0..LOOKS_MAX {
            let (decided, missing) = self.look(submission, base);
            if missing.is_empty() {
                return Ok(decided);
            }
            let missing = self.states.missing(&missing);
            self.load(conn.as_deref_mut(), base, missing).await?;
        }
        Ok(Err(Refusal::invalid(
            "command.too_wide",
            "the command touches too many things that depend on each other",
        )))
    }

    async fn load(
        &mut self,
        conn: Option<&mut PgConnection>,
        base: &Base,
        missing: Vec<StreamId>,
    ) -> Result<(), LedgerError> {
        let conn = conn.ok_or(LedgerError::Busy)?;
        self.states.load(conn, self.tenant, base.head.position, missing).await
    }

    /// One attempt at a decision, with the streams it looked at in vain.
    fn look(&self, submission: &Submission, base: &Base) -> (Result<Decision, Refusal>, Vec<StreamId>) {
        let missing = RefCell::new(vec![]);
        let find = |id: &StreamId| {
            self.states.get(id).unwrap_or_else(|| {
                missing.borrow_mut().push(id.clone());
                states::stand_in(id)
            })
        };
        // A decision that panics is a defect of ours, but of one command only: the tenant's others go on.
        let decide =
            AssertUnwindSafe(|| (submission.decide)(&Lookup::new(&find).recorded_at(base.now), base.at));
        let decided = std::panic::catch_unwind(decide).unwrap_or_else(|_| {
            Err(Refusal::defect(
                "command.panicked",
                "the command cannot be decided; this is a defect of the program",
            ))
        });
        (decided, missing.into_inner())
    }

    /// Adds a decision to the batch and its effects to the states.
    async fn accept(
        &mut self,
        mut conn: Option<&mut PgConnection>,
        submission: &Submission,
        mut decision: Decision,
        base: &Base,
        chain: &mut Chain,
        batch: &mut Batch,
    ) -> Result<Outcome, LedgerError> {
        let mut stored = Vec::with_capacity(decision.changes.len());
        for (_, event) in &decision.changes {
            let event = event.stored();
            // Postgres has no place for U+0000 in a text; refused here, it harms nobody else in the batch.
            if holds_nul(&event.payload) {
                let place = place_of_nul(&event.payload);
                let detail = format!("texts must not contain U+0000, as the one in {place} does");
                return Ok(Err(Refusal::invalid("text.nul", detail)));
            }
            stored.push(event);
        }
        let context = &submission.context;
        let metadata = serde_json::to_string(context).unwrap_or_else(|_| "{}".to_owned());
        for ((stream, event), stored) in decision.changes.into_iter().zip(stored) {
            if self.states.get(&stream).is_none() {
                self.load(conn.as_deref_mut(), base, vec![stream.clone()]).await?;
            }
            let cause = match decision.follows_from.is_empty() {
                true => None,
                false => {
                    let figure = match &event {
                        Event::Listing(event) => event.figure(),
                        _ => None,
                    };
                    decision.follows_from.get(&(stream.clone(), figure))
                }
            };
            let correlation_id = cause.unwrap_or(&context.correlation_id);
            batch.touched.note(&stream, &event, (self.states.get(&stream), correlation_id));
            batch.streams.insert(stream.clone(), ());
            let version = self.states.evolve(&stream, event).unwrap_or(Err(LedgerError::Stopped))?;
            let metadata = match (self.states.get(&stream), cause) {
                (Some(State::Stock(shelf)), _) => with_level(&metadata, shelf),
                (_, Some(cause)) => {
                    let context = Context { correlation_id: cause.clone(), ..context.clone() };
                    serde_json::to_string(&context).unwrap_or_else(|_| metadata.clone())
                }
                _ => metadata.clone(),
            };
            batch.entries.push(chain.link(&stream, version, stored, metadata));
        }
        for owed in &mut decision.attachments.owed {
            owed.correlation_id.get_or_insert_with(|| context.correlation_id.clone());
        }
        batch.attachments.extend(decision.attachments);
        Ok(match decision.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(decision.answer),
        })
    }
}

/// Whether this is what a request came to, for good. One that makes no sense whatever the state is may be put right under the
/// same key; a defect of ours may be mended tomorrow.
pub(super) fn is_kept(outcome: &Outcome) -> bool {
    outcome
        .as_ref()
        .err()
        .is_none_or(|refusal| refusal.kind != RefusalKind::Invalid && !refusal.code.starts_with("command."))
}

/// Entries of a shelf carry what is on it after them, so that each number can be followed back without
/// adding up history.
fn with_level(metadata: &str, shelf: &Stock) -> String {
    let fields = metadata.strip_suffix('}').unwrap_or(metadata);
    format!("{fields},\"on_hand\":{},\"reserved\":{}}}", shelf.on_hand(), shelf.reserved())
}
