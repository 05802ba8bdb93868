//! Ahead: while a batch is on its way into the database, the next one is decided already, on states that include
//! its effects, and grows until it is sent: once the first is committed. If that comes to nothing, both are decided again.

use std::{collections::HashSet, mem};

use futures_util::{FutureExt, poll};
use sqlx::{Postgres, pool::PoolConnection};
use uuid::Uuid;

use super::{
    super::{
        Head, Ticket,
        append::{self, KeptAnswer},
        tail,
    },
    BATCH_MAX, BATCH_MIN, Sequencer, Setback,
    commit::Plan,
    decide::Verdict,
};

/// What a sequencer turns to next.
pub(super) enum Work {
    /// Tickets nobody has looked at.
    Open(Vec<Ticket>),
    /// A batch that was decided ahead; nothing has been written since but what it stands on.
    Planned(Box<Plan>),
}

impl Work {
    /// How many commands it is about.
    pub(super) fn commands(&self) -> usize {
        match self {
            Self::Open(open) => open.len(),
            Self::Planned(plan) => plan.open.len(),
        }
    }
}

impl Sequencer {
    /// Decides and commits a batch, and answers its tickets. Gives the next batch, if it could be decided meanwhile; then those
    /// of this one are answered as soon as that is sent.
    pub(super) async fn work(&mut self, work: Work) -> Option<Plan> {
        // What a planned batch looks at was used just now: it survives this once, which is enough.
        let share = self.shared.share_bytes();
        self.states.make_room(share - tail::bytes_of(share));
        let planned = match work {
            Work::Planned(plan) => {
                if self.conn.is_none() {
                    self.publish_landed(); // Nobody whose answer is there waits for a connection.
                }
                match self.connection().await {
                    Ok(conn) => Ok((conn, *plan)),
                    Err(error) => Err(self.give_up(*plan, error.into())),
                }
            }
            Work::Open(mut open) => {
                self.answer_recent(&mut open);
                match self.head.clone() {
                    _ if open.is_empty() => return None,
                    Some(head) if !self.contended() => self.plan(open, head).await,
                    _ => {
                        self.settle(open).await;
                        return None;
                    }
                }
            }
        };
        let done = match planned {
            Ok((conn, plan)) if plan.batch.is_plain(&self.shared.state_tables) && !plan.batch.is_empty() => {
                self.commit_and_look_ahead(conn, plan).await
            }
            Ok((conn, plan)) => {
                self.publish_landed();
                self.commit(conn, plan).await.map(|()| None)
            }
            Err(failed) => Err(failed),
        };
        match done {
            Ok(ahead) => ahead,
            Err((mut open, setback)) => {
                self.cope(&mut open, setback).await;
                self.settle(open).await;
                None
            }
        }
    }

    /// Commits a plain batch; meanwhile, as soon as as many wait again, decides the next one, and with it whoever comes until then.
    async fn commit_and_look_ahead(
        &mut self,
        mut conn: PoolConnection<Postgres>,
        mut plan: Plan,
    ) -> Result<Option<Plan>, (Vec<Ticket>, Setback)> {
        let mut ahead: Option<Plan> = None;
        let outcome = {
            let mut commit = Box::pin(append::append(&mut conn, &plan.base, &plan.batch));
            // On its way before anything else is done.
            let mut outcome = poll!(commit.as_mut());
            self.publish_landed();
            plan.snapshots = self.seal(&plan.base, &plan.batch);
            // Of requests that are not committed yet.
            let mut keys: HashSet<Uuid> = keys_of(&plan.batch.answers).collect();
            let after = plan.head_after();
            loop {
                if let std::task::Poll::Ready(outcome) = outcome {
                    break outcome;
                }
                self.top_up();
                let enough = self.waiting.len() >= plan.open.len().clamp(BATCH_MIN, BATCH_MAX);
                let tried = ahead.is_some() || enough;
                ahead = match ahead {
                    Some(next) => self.take_along(next, &mut keys),
                    None if enough => self.plan_ahead(after.clone(), &mut keys),
                    None => None,
                };
                let full = ahead.as_ref().is_some_and(|next| next.open.len() >= BATCH_MAX);
                // Those who still wait have to wait for what is under way.
                if full || tried && !self.waiting.is_empty() {
                    break commit.await;
                }
                let room = BATCH_MAX - self.waiting.len();
                outcome = tokio::select! {
                    biased;
                    outcome = commit.as_mut() => std::task::Poll::Ready(outcome),
                    received = self.queue.recv_many(&mut self.waiting, room) => match received {
                        0 => break commit.await, // Nobody sends any more.
                        _ => std::task::Poll::Pending,
                    },
                };
            }
        };
        let committed = match outcome {
            Ok(true) => {
                self.conn = Some(conn);
                Ok(())
            }
            Ok(false) => {
                self.conn = Some(conn);
                Err(Setback::Moved)
            }
            Err(error) => {
                drop(conn);
                self.resolve(error, &plan.base.head, &plan.batch).await
            }
        };
        let Err(setback) = committed else {
            match ahead {
                Some(_) => self.landed = Some(plan),
                None => self.publish(plan),
            }
            return Ok(ahead);
        };
        let failed = match ahead {
            Some(ahead) => {
                let (open, _) = self.give_up(ahead, Setback::Moved);
                // Before those who wait since.
                self.waiting.splice(0..0, open);
                self.give_up(plan, setback)
            }
            None => self.give_up(plan, setback),
        };
        Err(failed)
    }

    /// Decides those waiting on what is in memory, as if the batch before were committed and had left the head here. None if that
    /// does not do: something has to be read first, or a request repeats one of that batch.
    fn plan_ahead(&mut self, head: Head, keys: &mut HashSet<Uuid>) -> Option<Plan> {
        let open = self.foreseen((BATCH_MIN, BATCH_MAX), keys)?;
        match self.decided_in_memory(open, head) {
            Ok(plan) => {
                keys.extend(keys_of(&plan.batch.answers));
                Some(plan)
            }
            Err(open) => {
                self.waiting.splice(0..0, open);
                None
            }
        }
    }

    /// Decides those waiting as well, behind those of a batch that was decided ahead, at the time it is now. If that does not do,
    /// they go on waiting; none if the batch has come to harm by it, and then all of them wait again.
    fn take_along(&mut self, mut plan: Plan, keys: &mut HashSet<Uuid>) -> Option<Plan> {
        if plan.batch.attachments.beyond_bodies() {
            // Such as an erasure, of all that was there when it was decided: keys and bodies from before it have the batch's time, which
            // must not be a later one.
            return Some(plan);
        }
        let room = BATCH_MAX - plan.open.len();
        let Some(open) = self.foreseen((1, room), keys) else { return Some(plan) };
        let supposed = self.states.suppose(open.iter().flat_map(|ticket| &ticket.submission.fresh));
        plan.base.at = self.shared.clock.now();
        plan.base.now = plan.base.at.max(plan.base.now);
        let (first, answered) = (plan.open.len(), plan.batch.answers.len());
        let decided = self.decide_each(None, &open, &plan.base, &mut plan.batch).now_or_never();
        plan.open.extend(open);
        match decided {
            Some(Ok(verdicts)) if supposed.iter().all(|id| plan.batch.streams.contains_key(id)) => {
                plan.verdicts.extend(verdicts.into_iter().map(|verdict| match verdict {
                    Verdict::SameAs(number) => Verdict::SameAs(first + number),
                    own => own,
                }));
                keys.extend(keys_of(&plan.batch.answers[answered..]));
                Some(plan)
            }
            _ => {
                self.states.forget(&supposed);
                self.states.forget(plan.batch.streams.keys());
                self.waiting.splice(0..0, plan.open);
                None
            }
        }
    }

    /// Those waiting, in order, up to a number, as far as all they look at is in memory and none repeats a request that is not
    /// committed yet; without those whose answers are known. None if they are so few that it is better to wait for all.
    fn foreseen(&mut self, (few, room): (usize, usize), keys: &HashSet<Uuid>) -> Option<Vec<Ticket>> {
        let is_foreseen = |ticket: &Ticket| {
            let submission = &ticket.submission;
            submission.idempotency.is_none_or(|asked| !keys.contains(&asked.key_digest))
                && self.states.has(&submission.reads)
        };
        let count = self.waiting.iter().take(room).take_while(|ticket| is_foreseen(ticket)).count();
        if count < few.min(self.waiting.len()) {
            return None;
        }
        let rest = self.waiting.split_off(count);
        let mut open = mem::replace(&mut self.waiting, rest);
        self.answer_recent(&mut open);
        (!open.is_empty()).then_some(open)
    }
}

/// The keys of requests whose answers are kept.
fn keys_of(answers: &[KeptAnswer]) -> impl Iterator<Item = Uuid> {
    answers.iter().map(|answer| answer.key_digest)
}
