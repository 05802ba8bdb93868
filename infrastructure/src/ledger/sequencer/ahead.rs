//! Ahead: while a batch is on its way into the database, the next one is decided already, on states that include
//! its effects. It is sent once the first is committed; if that comes to nothing, both are decided again.

use std::collections::HashSet;

use futures_util::poll;
use sqlx::{Postgres, pool::PoolConnection};

use super::{
    super::{Ticket, append, tail},
    BATCH_MAX, BATCH_MIN, Sequencer, Setback,
    commit::Plan,
    share,
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
    /// Decides and commits a batch, and answers its tickets. Gives the next batch, if it could be decided meanwhile.
    pub(super) async fn work(&mut self, work: Work) -> Option<Plan> {
        // What a planned batch looks at was used just now: it survives this once, which is enough.
        let share = self.shared.share_bytes();
        self.states.make_room(share - tail::bytes_of(share));
        let planned = match work {
            Work::Planned(plan) => match self.connection().await {
                Ok(conn) => Ok((conn, *plan)),
                Err(error) => Err(self.give_up(*plan, error.into())),
            },
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
            Ok((conn, plan)) => self.commit(conn, plan).await.map(|()| None),
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

    /// Commits a plain batch; meanwhile, as soon as as many wait again, decides the next one.
    async fn commit_and_look_ahead(
        &mut self,
        mut conn: PoolConnection<Postgres>,
        plan: Plan,
    ) -> Result<Option<Plan>, (Vec<Ticket>, Setback)> {
        let mut ahead = None;
        let outcome = {
            let mut commit = Box::pin(append::append(&mut conn, &plan.base, &plan.batch));
            // Sent before anything else is done.
            let mut outcome = poll!(commit.as_mut());
            loop {
                if let std::task::Poll::Ready(outcome) = outcome {
                    break outcome;
                }
                self.top_up();
                if self.waiting.len() >= plan.open.len().clamp(BATCH_MIN, BATCH_MAX) {
                    ahead = self.plan_ahead(&plan);
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
            self.publish(plan);
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

    /// Decides some of those waiting on what is in memory, as if the batch before were committed. None if that does not
    /// do: something has to be read first, or a request repeats one of that batch.
    fn plan_ahead(&mut self, before: &Plan) -> Option<Plan> {
        let mut open = share(&mut self.waiting, before.open.len());
        let keys: HashSet<_> = before.batch.answers.iter().map(|answer| answer.key_digest).collect();
        let mut asked = open.iter().filter_map(|ticket| ticket.submission.idempotency);
        let repeats = asked.any(|idempotency| keys.contains(&idempotency.key_digest));
        let mut reads = open.iter().flat_map(|ticket| &ticket.submission.reads);
        if repeats || !reads.all(|id| self.states.get(id).is_some()) {
            self.waiting.splice(0..0, open);
            return None;
        }
        self.answer_recent(&mut open);
        if open.is_empty() {
            return None;
        }
        match self.decided_in_memory(open, before.head_after()) {
            Ok(plan) => Some(plan),
            Err(open) => {
                self.waiting.splice(0..0, open);
                None
            }
        }
    }
}
