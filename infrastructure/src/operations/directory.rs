//! The directory: which variant a SKU names, remembered for a moment so that a sale costs no query.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use onhand_domain::{
    Refusal,
    values::{ProductId, Sku, TenantId, VariantId},
};

use super::{Caller, Operations};
use crate::{ledger::LedgerError, queries};

/// How long a SKU is believed to name the same variant. Renaming is rare; other processes rename too.
const BELIEVED: Duration = Duration::from_secs(3);
const ENTRIES_MAX: usize = 50_000;

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
    entries: Mutex<HashMap<(TenantId, Sku), (Instant, Named)>>,
}

impl Directory {
    fn find(&self, tenant: TenantId, sku: &Sku) -> Option<Named> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, named) = entries.get(&(tenant, sku.clone()))?;
        (since.elapsed() < BELIEVED).then(|| named.clone())
    }

    fn remember(&self, tenant: TenantId, sku: Sku, named: Named) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert((tenant, sku), (Instant::now(), named));
    }

    /// Forgets everything: products have changed.
    pub(crate) fn forget(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        let mut known: HashMap<&Sku, Named> = HashMap::with_capacity(skus.len());
        for sku in skus {
            if let Some(named) = self.directory.find(tenant, sku) {
                known.insert(sku, named);
            }
        }
        let unknown: HashMap<&str, &Sku> =
            skus.iter().filter(|sku| !known.contains_key(sku)).map(|sku| (sku.as_str(), sku)).collect();
        if !unknown.is_empty() {
            let asked: Vec<&str> = unknown.keys().copied().collect();
            for found in queries::products::of_skus(self.ledger().pool(), tenant, &asked).await? {
                let (sku, named) =
                    (found.sku, Named { product: found.product, variant: found.variant, brand: found.brand });
                if let Some(place) = unknown.get(sku.as_str()) {
                    self.directory.remember(tenant, (*place).clone(), named.clone());
                    known.insert(place, named);
                }
            }
        }
        let visible = |sku| known.get(sku).filter(|named| caller.may_touch(named.brand.as_deref())).cloned();
        Ok(skus.iter().map(visible).collect())
    }
}

pub(crate) fn unknown_sku(sku: &Sku) -> Refusal {
    Refusal::missing("sku.unknown", format!("no variant has the SKU {sku}; create the product first"))
}
