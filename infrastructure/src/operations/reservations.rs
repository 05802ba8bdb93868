//! Reserve, commit, release.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Refusal, StreamId,
    catalog::Changes,
    reservation::{self, Line},
    stock::{StockCommand, StockEvent},
    values::{LocationCode, Quantity, ReservationId, Sku, StockId, TenantId},
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{Caller, Operations};
use crate::{
    ledger::{Answer, Decision, LedgerError, Receipt, read},
    queries,
};

/// The longest a reservation may hold.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Reservations whose shelves are remembered, in each of two generations.
const INDEX_MAX: usize = 50_000;

/// One line of what a buyer wants.
#[derive(Debug, Clone, Serialize)]
pub struct Wanted {
    /// What.
    pub sku: Sku,
    /// From where.
    pub location: LocationCode,
    /// How many.
    pub quantity: Quantity,
}

/// What a buyer is told.
#[derive(Serialize)]
struct Held<'w> {
    reservation: ReservationId,
    status: &'static str,
    expires_at: DateTime<Utc>,
    lines: &'w [Wanted],
}

/// How a reservation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The units are sold.
    Commit,
    /// The units are given back.
    Release,
}

/// The shelves of reservations, which never change once made.
#[derive(Default)]
pub(crate) struct ReservationIndex {
    generations: Mutex<(Shelves, Shelves)>,
}

type Shelves = HashMap<(TenantId, ReservationId), Arc<[StockId]>>;

impl ReservationIndex {
    fn find(&self, tenant: TenantId, reservation: ReservationId) -> Option<Arc<[StockId]>> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant, reservation);
        generations.0.get(&key).or_else(|| generations.1.get(&key)).cloned()
    }

    fn remember(&self, tenant: TenantId, reservation: ReservationId, shelves: Arc<[StockId]>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *generations;
        if young.len() >= INDEX_MAX {
            // Both keep their room.
            std::mem::swap(young, old);
            young.clear();
        }
        young.insert((tenant, reservation), shelves);
    }
}

impl Operations {
    /// Holds every line for one buyer, or none. Answers with the reservation.
    pub async fn reserve(
        &self,
        caller: Caller,
        wanted: Vec<Wanted>,
        ttl: Option<Duration>,
    ) -> Result<Receipt, LedgerError> {
        let ttl = ttl.unwrap_or(self.reservation_ttl);
        if ttl.is_zero() || ttl > TTL_MAX {
            return Err(Refusal::invalid(
                "reservation.ttl",
                format!("ttl_seconds must be from 1 to {}", TTL_MAX.as_secs()),
            )
            .into());
        }
        let skus: Vec<Sku> = wanted.iter().map(|line| line.sku.clone()).collect();
        let named = self.named(&caller, &skus).await?;
        let lines: Vec<Line> = wanted
            .iter()
            .zip(named)
            .map(|(line, named)| Line {
                stock: StockId { variant: named.variant, location: line.location.clone() },
                quantity: line.quantity,
            })
            .collect();
        let lines = reservation::merge(&lines)?;
        let shelves: Arc<[StockId]> = lines.keys().cloned().collect();
        let reservation = ReservationId(Uuid::now_v7());
        let ttl = TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX);
        let tenant = caller.context.tenant;

        let receipt = self
            .submit(caller, streams(&shelves), move |lookup, now| {
                let expires_at = now + ttl;
                let events =
                    reservation::reserve(reservation, &lines, Some(expires_at), now, |id| lookup.stock(id))?;
                Ok(Decision {
                    changes: changes(events),
                    answer: Answer::of(&Held { reservation, status: "held", expires_at, lines: &wanted }),
                    ..Decision::default()
                })
            })
            .await?;
        if !receipt.replayed {
            self.shelves.remember(tenant, reservation, shelves);
        }
        Ok(receipt)
    }

    /// Ends a reservation: all that is still held, or the given lines. Answers with what was ended.
    pub async fn end_reservation(
        &self,
        caller: Caller,
        reservation: ReservationId,
        end: End,
        part: Option<Vec<Wanted>>,
    ) -> Result<Receipt, LedgerError> {
        let shelves = self.shelves_of(&caller, reservation).await?;
        let part = match part {
            None => None,
            Some(lines) => Some(self.part(&caller, &lines).await?),
        };
        self.submit(caller, streams(&shelves), move |lookup, _| {
            let lines: BTreeMap<StockId, Option<Quantity>> = match &part {
                Some(part) => part.iter().map(|(id, quantity)| (id.clone(), Some(*quantity))).collect(),
                None => shelves
                    .iter()
                    .filter(|id| lookup.stock(id).held_for(&reservation).is_some())
                    .map(|id| (id.clone(), None))
                    .collect(),
            };
            if lines.is_empty() {
                return Err(Refusal::conflict(
                    "reservation.ended",
                    format!("nothing is held for reservation {reservation} any more"),
                ));
            }
            let command = |quantity| match end {
                End::Commit => StockCommand::Commit { reservation, quantity },
                End::Release => StockCommand::Release { reservation, quantity },
            };
            let events = reservation::end(&lines, command, |id| lookup.stock(id))?;
            let units: i64 = events.iter().map(|(_, event)| units_of(event)).sum();
            let status = if end == End::Commit { "committed" } else { "released" };
            Ok(Decision {
                changes: changes(events),
                answer: json!({ "reservation": reservation, "status": status, "units": units }).into(),
                ..Decision::default()
            })
        })
        .await
    }

    async fn part(
        &self,
        caller: &Caller,
        lines: &[Wanted],
    ) -> Result<BTreeMap<StockId, Quantity>, LedgerError> {
        let skus: Vec<Sku> = lines.iter().map(|line| line.sku.clone()).collect();
        let named = self.named(caller, &skus).await?;
        let lines: Vec<Line> = lines
            .iter()
            .zip(named)
            .map(|(line, named)| Line {
                stock: StockId { variant: named.variant, location: line.location.clone() },
                quantity: line.quantity,
            })
            .collect();
        Ok(reservation::merge(&lines)?)
    }

    /// The shelves a reservation holds units of. A reservation that was acknowledged is always found:
    /// what the read model has not seen yet is looked up in history itself.
    async fn shelves_of(
        &self,
        caller: &Caller,
        reservation: ReservationId,
    ) -> Result<Arc<[StockId]>, LedgerError> {
        let tenant = caller.context.tenant;
        let shelves = match self.shelves.find(tenant, reservation) {
            Some(shelves) => shelves,
            None => {
                let mut conn = self.ledger().pool().acquire().await?;
                let streams = read::shelves_of_reservation(&mut conn, tenant, reservation).await?;
                let shelves = streams.iter().filter_map(|stream| match stream.parse() {
                    Ok(StreamId::Stock(id)) => Some(id),
                    _ => None,
                });
                shelves.collect()
            }
        };
        let unknown =
            || Refusal::missing("reservation.unknown", format!("there is no reservation {reservation}"));
        if shelves.is_empty() {
            return Err(unknown().into());
        }
        if let Some(brand) = &caller.brand {
            let variants: Vec<Uuid> = shelves.iter().map(|id| id.variant.0).collect();
            if !queries::products::all_of_brand(self.ledger().pool(), tenant, &variants, brand).await? {
                return Err(unknown().into());
            }
        }
        self.shelves.remember(tenant, reservation, Arc::clone(&shelves));
        Ok(shelves)
    }
}

fn streams(shelves: &[StockId]) -> Vec<StreamId> {
    shelves.iter().cloned().map(StreamId::Stock).collect()
}

fn changes(events: Vec<(StockId, StockEvent)>) -> Changes {
    events.into_iter().map(|(id, event)| (StreamId::Stock(id), event.into())).collect()
}

fn units_of(event: &StockEvent) -> i64 {
    match event {
        StockEvent::Committed { quantity, .. } | StockEvent::Released { quantity, .. } => quantity.units(),
        _ => 0,
    }
}
