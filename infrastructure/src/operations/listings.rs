//! Say by hand which of a platform's variants is which of ours, or that one is none of our business any more.

use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog,
    listing::{ListingCommand, Mapping},
    stream::Lookup,
    values::{ConnectionId, ExternalId, ListingId, Sku},
};
use serde_json::json;

use super::{Caller, Operations, directory::unknown_sku};
use crate::{
    ledger::{Attachments, Decision, FollowUp, LedgerError, Receipt},
    queries::listings::listings_of_inventories,
};

/// A platform's variant, and the SKU it is.
#[derive(Debug, Clone)]
pub struct ListingDraft {
    /// On which connection.
    pub connection: ConnectionId,
    /// Their product.
    pub external_product: ExternalId,
    /// Their variant.
    pub external_variant: ExternalId,
    /// Their handle on its stock, where that is another one.
    pub external_inventory: Option<ExternalId>,
    /// Our variant.
    pub sku: Sku,
}

impl Operations {
    /// Maps a listing. What platforms have said of it before is then looked at again.
    pub async fn map_listing(&self, caller: Caller, draft: ListingDraft) -> Result<Receipt, LedgerError> {
        let named = self.named(&caller, std::slice::from_ref(&draft.sku)).await?;
        let named = named.into_iter().next().ok_or_else(|| unknown_sku(&draft.sku))?;
        let id = ListingId::of(draft.connection, &draft.external_variant);
        let mapping = Mapping {
            connection: draft.connection,
            product: named.product,
            variant: named.variant,
            external_product: draft.external_product,
            external_variant: draft.external_variant,
            external_inventory: draft.external_inventory,
        };
        let (brand, correlation_id) = (caller.brand.clone(), caller.context.correlation_id.clone());
        let stock: Vec<&str> = mapping.external_inventory.iter().map(ExternalId::as_str).collect();
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        let sharing = listings_of_inventories(pool, tenant, mapping.connection, &stock).await?;
        let sharing: Vec<ListingId> = sharing.into_values().flatten().filter(|other| *other != id).collect();
        let mut reads = vec![StreamId::Listing(id), StreamId::Connection(mapping.connection)];
        reads.extend(sharing.iter().copied().map(StreamId::Listing));
        self.submit(caller, reads, move |lookup, now| {
            let connection = lookup.connection(&mapping.connection).details.as_ref();
            let own = connection.filter(|it| brand.as_ref().is_none_or(|brand| *brand == it.brand));
            let Some(own) = own else {
                let detail = format!("there is no connection {}", mapping.connection);
                return Err(Refusal::missing("connection.unknown", detail));
            };
            if !catalog::of_brand(lookup, mapping.product, &own.brand) {
                return Err(Refusal::forbidden(
                    "brand.forbidden",
                    "the SKU belongs to another brand than the connection",
                ));
            }
            if let Some(other) = sharing.iter().find(|other| is_another(other, &mapping, lookup)) {
                let detail =
                    format!("its external_inventory is that of listing {other}, which is another SKU");
                return Err(Refusal::conflict("listing.taken", detail));
            }
            let events = verdict(&id, lookup.listing(&id), ListingCommand::Map(mapping.clone()))?;
            let follow_ups = match events.is_empty() {
                true => vec![],
                false => vec![FollowUp::unmapped(correlation_id.clone(), now)],
            };
            Ok(Decision {
                changes: events.into_iter().map(|event| (StreamId::Listing(id), event.into())).collect(),
                answer: json!({ "id": id, "variant": mapping.variant }).into(),
                attachments: Attachments { follow_ups, ..Attachments::default() },
                ..Decision::default()
            })
        })
        .await
    }

    /// Takes a listing away here, with all that is still owed to it. Nothing changes on the platform. One that is gone already
    /// stays as it is.
    pub async fn remove_listing(&self, caller: Caller, id: ListingId) -> Result<Receipt, LedgerError> {
        let brand = caller.brand.clone();
        self.submit(caller, vec![StreamId::Listing(id)], move |lookup, now| {
            let listing = lookup.listing(&id);
            let is_own = listing.mapping.as_ref().is_some_and(|mapping| {
                let details = lookup.connection(&mapping.connection).details.as_ref();
                details.is_some_and(|it| brand.as_ref().is_none_or(|brand| *brand == it.brand))
            });
            if !is_own {
                return Err(unknown_listing(id));
            }
            // News of how it was before do not bring it back.
            let events = verdict(&id, listing, ListingCommand::Remove { at: Some(now) })?;
            Ok(Decision {
                changes: events.into_iter().map(|event| (StreamId::Listing(id), event.into())).collect(),
                answer: json!({ "id": id, "removed": true }).into(),
                ..Decision::default()
            })
        })
        .await
    }
}

/// Whether a listing shows another of our variants by the same stock: each figure would take the other's place.
fn is_another(listing: &ListingId, mapping: &Mapping, lookup: &Lookup<'_>) -> bool {
    lookup.listing(listing).listed().is_some_and(|it| {
        it.external_inventory == mapping.external_inventory && it.variant != mapping.variant
    })
}

pub(super) fn unknown_listing(id: ListingId) -> Refusal {
    Refusal::missing("listing.unknown", format!("there is no listing {id}"))
}
