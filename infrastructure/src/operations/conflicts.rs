//! Say which of two figures counts: ours, the platform's, or a third.

use chrono::{DateTime, Utc};
use onhand_domain::{
    Event, Refusal, StreamId,
    aggregate::verdict,
    catalog::Changes,
    listing::{Figure, FigureKind, Listing, ListingCommand, Mapping, Resolution},
    product::ProductCommand,
    stock::StockCommand,
    stream::Lookup,
    values::{ConnectionId, ListingId, Money, Quantity, StockId},
};
use serde_json::json;

use super::{Caller, Operations};
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
            known.get(&listing).map(|target| target.connection).ok_or_else(|| unknown(listing))?;
        match self.own_connection(&caller, connection).await {
            Err(LedgerError::Refused(_)) => return Err(unknown(listing).into()),
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
            if let Some(figure) = figure(state, kind, (judgement, connection), lookup)? {
                let mapping = state.mapping.as_ref().ok_or_else(|| unknown(listing))?;
                changes.extend(adopted(figure, mapping, (lookup, now), &actor)?);
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

/// The figure that becomes the ledger's; none where the ledger's own stands.
fn figure(
    listing: &Listing,
    kind: FigureKind,
    (judgement, connection): (Judgement, ConnectionId),
    lookup: &Lookup<'_>,
) -> Result<Option<Figure>, Refusal> {
    Ok(match (judgement, kind) {
        (Judgement::UseMaster, _) => None,
        (Judgement::UsePlatform, _) => Some(listing.conflict(kind)?.shows),
        (Judgement::Manual(quantity), FigureKind::Quantity) => {
            Quantity::new(quantity)?;
            Some(Figure::Quantity { quantity })
        }
        (Judgement::Manual(minor), FigureKind::Price) => {
            let details = lookup.connection(&connection).details.as_ref();
            let currency = details.map(|details| details.currency).ok_or_else(|| {
                Refusal::missing("connection.unknown", format!("there is no connection {connection}"))
            })?;
            Some(Figure::Price { price: Money::new(minor, currency)? })
        }
    })
}

/// What the ledger has to say for the figure to be true there.
fn adopted(
    figure: Figure,
    mapping: &Mapping,
    (lookup, now): (&Lookup<'_>, DateTime<Utc>),
    actor: &str,
) -> Result<Vec<(StreamId, Event)>, Refusal> {
    let connection = lookup.connection(&mapping.connection);
    let details = connection.details.as_ref().ok_or_else(|| {
        Refusal::missing("connection.unknown", format!("there is no connection {}", mapping.connection))
    })?;
    match figure {
        Figure::Quantity { quantity } => {
            let shelf = StockId { variant: mapping.variant, location: details.location.clone() };
            let stock = lookup.stock(&shelf);
            let published = quantity.max(0).saturating_add(connection.rules.safety_buffer.units());
            let counted = Quantity::new(published)?.plus(stock.reserved())?;
            let reference = Some(format!("conflict:{}/{actor}", mapping.connection));
            let command = StockCommand::Count { counted, reference, occurred_at: now };
            let events = verdict(&shelf, stock, command)?;
            Ok(events.into_iter().map(|event| (StreamId::Stock(shelf.clone()), event.into())).collect())
        }
        Figure::Price { price } => {
            let (variant, market) = (mapping.variant, details.market.clone());
            let command = ProductCommand::Price { variant, market, price, at: None, counted_at: now };
            let events = verdict(&mapping.product, lookup.product(&mapping.product), command)?;
            let stream = StreamId::Product(mapping.product);
            Ok(events.into_iter().map(|event| (stream.clone(), event.into())).collect())
        }
    }
}

fn unknown(listing: ListingId) -> Refusal {
    Refusal::missing("listing.unknown", format!("there is no listing {listing}"))
}
