//! The shelves of reservations, remembered so that a commit or a release costs no query.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use onhand_domain::values::{ReservationId, StockId, TenantId};

/// Reservations whose shelves are remembered, in each of two generations.
const INDEX_MAX: usize = 50_000;

/// The shelves of reservations, which never change once made.
#[derive(Default)]
pub(crate) struct ReservationIndex {
    generations: Mutex<(Shelves, Shelves)>,
}

type Shelves = HashMap<(TenantId, ReservationId), Arc<[StockId]>>;

impl ReservationIndex {
    pub(super) fn find(&self, tenant: TenantId, reservation: ReservationId) -> Option<Arc<[StockId]>> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant, reservation);
        generations.0.get(&key).or_else(|| generations.1.get(&key)).cloned()
    }

    pub(super) fn remember(&self, tenant: TenantId, reservation: ReservationId, shelves: Arc<[StockId]>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *generations;
        if young.len() >= INDEX_MAX {
            // Both keep their room.
            mem::swap(young, old);
            young.clear();
        }
        young.insert((tenant, reservation), shelves);
    }
}
