//! Say which of two figures counts: ours, the platform's, or a third.

use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::Changes,
    connection::ConnectionDetails,
    listing::{Conflict, Figure, FigureKind, Listing, ListingCommand, Mapping, Resolution},
    product::ProductCommand,
    sighting,
    stock::StockCommand,
    stream::Lookup,
    values::{ListingId, Money, Quantity, StockId},
};
use serde_json::json;

use super::{Caller, Operations, listings::unknown_listing};
use crate::{
    ledger::{Decision, LedgerError, Receipt},
    queries::listings::targets,
};

/// What somebody says about a figure in question.
#[derive(Debug, Clone, Copy)]
pub enum Judgement {
    /// Ours is shown there.
    UseMaster,
    /// Theirs becomes ours.
    UsePlatform,
    /// This one becomes both's: units for sale on that listing, or minor units of the connection's currency.
    Manual(i64),
}

impl Judgement {
    fn resolution(self) -> Resolution {
        match self {
            Self::UseMaster => Resolution::UseMaster,
            Self::UsePlatform => Resolution::UsePlatform,
            Self::Manual(_) => Resolution::Manual,
        }
    }
}

impl Operations {
    /// Ends a conflict. What follows for stock or price becomes true in the same transaction, and is pushed to all other
    /// listings; what is not in question is refused.
    pub async fn resolve_conflict(
        &self,
        caller: Caller,
        listing: ListingId,
        kind: FigureKind,
        judgement: Judgement,
    ) -> Result<Receipt, LedgerError> {
        let known = targets(self.ledger().pool(), caller.context.tenant, &[listing]).await?;
        let connection =
            known.get(&listing).map(|target| target.connection).ok_or_else(|| unknown_listing(listing))?;
        match self.own_connection(&caller, connection).await {
            Err(LedgerError::Refused(_)) => return Err(unknown_listing(listing).into()),
            found => found?,
        };
        let reads = vec![StreamId::Listing(listing), StreamId::Connection(connection)];
        let actor = caller.context.actor.clone();
        self.submit(caller, reads, move |lookup, now| {
            let state = lookup.listing(&listing);
            let command = ListingCommand::ResolveConflict { kind, resolution: judgement.resolution() };
            let ended = verdict(&listing, state, command)?;
            let mut changes: Changes =
                ended.into_iter().map(|event| (StreamId::Listing(listing), event.into())).collect();
            match (judgement, kind) {
                (Judgement::UseMaster, _) => {}
                (Judgement::UsePlatform, _) => {
                    let Conflict { shows, at } = *state.conflict(kind)?;
                    changes.extend(match shows {
                        Figure::Quantity { quantity } => {
                            sighting::adopt(listing, (quantity, at), lookup, now)?
                        }
                        Figure::Price { price } => priced(price, mapped(listing, state)?, lookup, now)?,
                    });
                }
                (Judgement::Manual(quantity), FigureKind::Quantity) => {
                    changes.extend(counted(quantity, mapped(listing, state)?, (lookup, now), &actor)?);
                }
                (Judgement::Manual(minor), FigureKind::Price) => {
                    let mapping = mapped(listing, state)?;
                    let price = Money::new(minor, details(mapping, lookup)?.currency)?;
                    changes.extend(priced(price, mapping, lookup, now)?);
                }
            }
            Ok(Decision {
                changes,
                answer: json!({ "listing": listing, "kind": kind, "resolution": judgement.resolution() })
                    .into(),
                ..Decision::default()
            })
        })
        .await
    }
}

fn mapped(id: ListingId, listing: &Listing) -> Result<&Mapping, Refusal> {
    listing.mapping.as_ref().ok_or_else(|| unknown_listing(id))
}

fn details<'s>(mapping: &Mapping, lookup: &Lookup<'s>) -> Result<&'s ConnectionDetails, Refusal> {
    let details = lookup.connection(&mapping.connection).details.as_ref();
    details.ok_or_else(|| {
        Refusal::missing("connection.unknown", format!("there is no connection {}", mapping.connection))
    })
}

/// So many are for sale on the listing now.
fn counted(
    quantity: i64,
    mapping: &Mapping,
    (lookup, now): (&Lookup<'_>, DateTime<Utc>),
    actor: &str,
) -> Result<Changes, Refusal> {
    let location = details(mapping, lookup)?.location.clone();
    let shelf = StockId { variant: mapping.variant, location };
    let stock = lookup.stock(&shelf);
    let buffer = lookup.connection(&mapping.connection).rules.safety_buffer;
    let counted = Quantity::new(quantity)?.plus(buffer)?.plus(stock.reserved())?;
    let reference = Some(format!("conflict:{}/{actor}", mapping.connection));
    let events = verdict(&shelf, stock, StockCommand::Count { counted, reference, occurred_at: now })?;
    Ok(events.into_iter().map(|event| (StreamId::Stock(shelf.clone()), event.into())).collect())
}

/// This is the price in the listing's market.
fn priced(
    price: Money,
    mapping: &Mapping,
    lookup: &Lookup<'_>,
    now: DateTime<Utc>,
) -> Result<Changes, Refusal> {
    let (variant, market) = (mapping.variant, details(mapping, lookup)?.market.clone());
    let command = ProductCommand::Price { variant, market, price, at: None, counted_at: now };
    let events = verdict(&mapping.product, lookup.product(&mapping.product), command)?;
    Ok(events.into_iter().map(|event| (StreamId::Product(mapping.product), event.into())).collect())
}
