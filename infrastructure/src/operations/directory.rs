//! The directory: which variant a SKU names, remembered for a moment so that a sale costs no query.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use onhand_domain::{
    Refusal,
    values::{ProductId, Sku, TenantId, VariantId},
};

use super::{Caller, Operations};
use crate::{believed::Turns, ledger::LedgerError, queries};

/// How long a SKU is believed to name the same variant. Renaming is rare; other processes rename too.
const BELIEVED: Duration = Duration::from_secs(3);
const ENTRIES_MAX: usize = 50_000;
/// SKUs that are asked again along with one that has to be asked anyway.
const ASKED_ALONG_MAX: usize = 500;

/// What a SKU names.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) product: ProductId,
    pub(crate) variant: VariantId,
    brand: Option<String>,
}

/// SKUs looked up lately.
#[derive(Default)]
pub(crate) struct Directory {
    known: Mutex<Tenants>,
    turns: Turns,
}

#[derive(Default)]
struct Tenants {
    each: HashMap<TenantId, Known>,
    /// Of all of them together.
    entries: usize,
}

#[derive(Default)]
struct Known {
    entries: HashMap<Sku, Entry>,
    /// Every entry, the oldest first; those that were replaced since are passed over.
    ageing: VecDeque<(Instant, Sku)>,
}

struct Entry {
    since: Instant,
    used: bool,
    named: Named,
}

impl Directory {
    fn find_each<'a>(&self, tenant: TenantId, skus: &'a [Sku]) -> HashMap<&'a Sku, Named> {
        skus.iter().filter_map(|sku| Some((sku, self.find(tenant, sku)?))).collect()
    }

    fn find(&self, tenant: TenantId, sku: &Sku) -> Option<Named> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.each.get_mut(&tenant)?.entries.get_mut(sku)?;
        entry.used = true;
        (entry.since.elapsed() < BELIEVED).then(|| entry.named.clone())
    }

    /// Takes out what is no longer believed. What was in use should be asked again in the same breath: a busy shop's
    /// SKUs then cost a query every few hundred, not one each. Others believe it meanwhile: of thousands who want a hot
    /// SKU, one asks.
    fn take_aged(&self, tenant: TenantId) -> Vec<Sku> {
        let mut tenants = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut aged = vec![];
        let Some(known) = tenants.each.get_mut(&tenant) else { return aged };
        let mut looked_at = 0;
        let now = Instant::now();
        while looked_at < ASKED_ALONG_MAX
            && known.ageing.front().is_some_and(|(since, _)| since.elapsed() >= BELIEVED)
            && let Some((since, sku)) = known.ageing.pop_front()
        {
            looked_at += 1;
            match known.entries.get_mut(&sku) {
                Some(entry) if entry.since == since && entry.used => {
                    *entry = Entry { since: now, used: false, named: entry.named.clone() };
                    aged.push(sku);
                }
                Some(entry) if entry.since == since => drop(known.entries.remove(&sku)),
                _ => {}
            }
        }
        for sku in &aged {
            known.ageing.push_back((now, sku.clone()));
        }
        tenants.entries -= looked_at - aged.len();
        aged
    }

    fn remember(&self, tenant: TenantId, sku: Sku, named: Named) {
        let mut tenants = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.entries >= ENTRIES_MAX {
            *tenants = Tenants::default();
        }
        tenants.entries += 1;
        let since = Instant::now();
        let known = tenants.each.entry(tenant).or_default();
        known.ageing.push_back((since, sku.clone()));
        known.entries.insert(sku, Entry { since, used: false, named });
    }

    fn remove(&self, tenant: TenantId, sku: &Sku) {
        let mut tenants = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.each.get_mut(&tenant) {
            known.entries.remove(sku);
        }
    }

    /// Forgets everything: products have changed.
    pub(crate) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Tenants::default();
    }
}

impl Operations {
    /// What each SKU names, in the given order; one query for those not remembered.
    ///
    /// A SKU that names nothing, or nothing this caller may see, is refused.
    pub(crate) async fn named(&self, caller: &Caller, skus: &[Sku]) -> Result<Vec<Named>, LedgerError> {
        let named = self.named_each(caller, skus).await?;
        skus.iter().zip(named).map(|(sku, named)| named.ok_or_else(|| unknown_sku(sku).into())).collect()
    }

    /// The same; none where a SKU names nothing this caller may see.
    pub(crate) async fn named_each(
        &self,
        caller: &Caller,
        skus: &[Sku],
    ) -> Result<Vec<Option<Named>>, LedgerError> {
        let tenant = caller.context.tenant;
        let mut known = self.directory.find_each(tenant, skus);
        if skus.iter().any(|sku| !known.contains_key(sku)) {
            let _turn = self.directory.turns.take(self.ledger().pool()).await?;
            known = self.directory.find_each(tenant, skus);
            let unknown: Vec<&Sku> = skus.iter().filter(|sku| !known.contains_key(sku)).collect();
            if !unknown.is_empty() {
                let mut answers = self.ask_for(tenant, &unknown).await?;
                known.extend(unknown.into_iter().filter_map(|sku| Some((sku, answers.remove(sku)?))));
            }
        }
        let visible = |sku| known.get(sku).filter(|named| caller.may_touch(named.brand.as_deref())).cloned();
        Ok(skus.iter().map(visible).collect())
    }

    /// Asks the database what these SKUs name, and in the same breath those that have aged.
    async fn ask_for(&self, tenant: TenantId, unknown: &[&Sku]) -> Result<HashMap<Sku, Named>, LedgerError> {
        let aged = self.directory.take_aged(tenant);
        let asked: HashMap<&str, &Sku> =
            aged.iter().chain(unknown.iter().copied()).map(|sku| (sku.as_str(), sku)).collect();
        let names: Vec<&str> = asked.keys().copied().collect();
        let pool = self.ledger().pool();
        let answer = match queries::products::of_skus(pool, tenant, &names).await {
            Ok(answer) => answer,
            Err(error) => {
                self.directory.forget();
                return Err(self.directory.turns.told(pool, error.into()).await);
            }
        };
        let gone = |sku: &&Sku| !answer.iter().any(|found| found.sku == sku.as_str());
        aged.iter().filter(gone).for_each(|sku| self.directory.remove(tenant, sku));
        let mut known = HashMap::with_capacity(answer.len());
        for found in answer {
            let Some(sku) = asked.get(found.sku.as_str()).copied() else { continue };
            let named = Named { product: found.product, variant: found.variant, brand: found.brand };
            self.directory.remember(tenant, sku.clone(), named.clone());
            known.insert(sku.clone(), named);
        }
        Ok(known)
    }
}

pub(crate) fn unknown_sku(sku: &Sku) -> Refusal {
    Refusal::missing("sku.unknown", format!("no variant has the SKU {sku}; create the product first"))
}
