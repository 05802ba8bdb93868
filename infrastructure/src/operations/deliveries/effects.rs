//! What follows from what a platform told us: facts in, changes out, decided on the newest states.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::{self, Changes, ObservedProduct},
    delivery::Outcome,
    listing::{Listing, ListingCommand},
    order::{self, OrderCommand},
    product::ProductCommand,
    stock::StockCommand,
    stream::Lookup,
    values::{
        ConnectionId, ExternalId, ListingId, Market, Money, OrderId, ProductId, Quantity, StockId, VariantId,
    },
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    platforms::{Fact, SoldLine},
    queries::{
        connections::Connected,
        listings::{listings_of_inventory, listings_of_product},
        products::variants_of_style,
    },
};

/// The facts of one delivery, with the look-ups made that need a query.
pub(super) struct Effects {
    connection: ConnectionId,
    steps: Vec<Step>,
    /// No topic of ours.
    ignored: bool,
}

enum Step {
    Product {
        observed: ObservedProduct,
        fresh: ProductId,
    },
    Removed {
        listings: Vec<ListingId>,
    },
    Stock {
        listings: Vec<ListingId>,
        available: i64,
        at: DateTime<Utc>,
    },
    Placed {
        external: ExternalId,
        lines: Vec<SoldLine>,
    },
    Cancelled {
        external: ExternalId,
    },
    Price {
        targets: Vec<(ProductId, VariantId)>,
        market: Market,
        price: Money,
    },
    /// Nothing to do, and why.
    Nothing(String),
}

/// What a delivery adds up to so far.
struct Tally {
    changes: Changes,
    notes: Vec<String>,
    echoes: usize,
    unmapped: usize,
}

impl Effects {
    /// Makes the look-ups that need a query: one for each kind of fact, not one for each fact.
    pub(super) async fn prepare(
        pool: &PgPool,
        connection: &Connected,
        facts: Option<Vec<Fact>>,
    ) -> Result<Self, sqlx::Error> {
        let ignored = facts.is_none();
        let facts = facts.unwrap_or_default();
        let styles: Vec<String> = facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::PriceObserved { style_code, .. } => Some(style_code.clone()),
                _ => None,
            })
            .collect();
        let priced = if styles.is_empty() {
            HashMap::new()
        } else {
            variants_of_style(pool, connection.tenant, &connection.details.brand, &styles).await?
        };
        let mut steps = Vec::with_capacity(facts.len());
        for fact in last_prices(facts) {
            steps.push(step(pool, connection, fact, &priced).await?);
        }
        Ok(Self { connection: connection.id, steps, ignored })
    }

    /// The streams that will be looked at, as far as can be told.
    pub(super) fn reads(&self) -> Vec<StreamId> {
        let id = self.connection;
        let mut reads = vec![StreamId::Connection(id)];
        for step in &self.steps {
            match step {
                Step::Product { observed, .. } => reads.extend(catalog::streams(id, observed)),
                Step::Removed { listings } | Step::Stock { listings, .. } => {
                    reads.extend(listings.iter().copied().map(StreamId::Listing));
                }
                Step::Placed { external, lines } => {
                    reads.push(StreamId::Order(OrderId::of(id, external)));
                    let variants = lines.iter().filter_map(|line| line.external_variant.as_ref());
                    reads.extend(variants.map(|variant| StreamId::Listing(ListingId::of(id, variant))));
                }
                Step::Cancelled { external } => reads.push(StreamId::Order(OrderId::of(id, external))),
                Step::Price { targets, .. } => {
                    reads.extend(targets.iter().map(|(product, _)| StreamId::Product(*product)));
                }
                Step::Nothing(_) => {}
            }
        }
        reads
    }

    /// What the facts lead to, on these states.
    pub(super) fn decide(
        &self,
        lookup: &Lookup<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Changes, Outcome, Vec<String>), Refusal> {
        let mut tally = Tally { changes: vec![], notes: vec![], echoes: 0, unmapped: 0 };
        for step in &self.steps {
            self.take(step, lookup, now, &mut tally)?;
        }
        let outcome = match () {
            () if self.ignored => Outcome::Ignored,
            () if tally.unmapped > 0 => Outcome::Unmapped,
            () if tally.echoes > 0 => Outcome::Echo,
            () if tally.changes.is_empty() => Outcome::Unchanged,
            () => Outcome::Applied,
        };
        Ok((tally.changes, outcome, tally.notes))
    }

    fn take(
        &self,
        step: &Step,
        lookup: &Lookup<'_>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        match step {
            Step::Product { observed, fresh } => {
                tally.changes.extend(catalog::observe(self.connection, observed, *fresh, lookup)?);
            }
            Step::Removed { listings } => {
                for id in listings {
                    list(tally, *id, lookup.listing(id), ListingCommand::Remove)?;
                }
            }
            Step::Stock { listings, available, at } => {
                for id in listings {
                    self.observe_stock(*id, (*available, *at), lookup, now, tally)?;
                }
            }
            Step::Placed { external, lines } => self.place(external, lines, lookup, now, tally)?,
            Step::Cancelled { external } => self.cancel(external, lookup, tally)?,
            Step::Price { targets, market, price } => {
                for (product, variant) in targets {
                    let command =
                        ProductCommand::Price { variant: *variant, market: market.clone(), price: *price };
                    for event in verdict(product, lookup.product(product), command)? {
                        tally.changes.push((StreamId::Product(*product), event.into()));
                    }
                }
            }
            Step::Nothing(note) => {
                tally.unmapped += 1;
                tally.notes.push(note.clone());
            }
        }
        Ok(())
    }

    /// A platform's stock figure: our own echo, an order of the ledger where the rules allow it, or a stray.
    fn observe_stock(
        &self,
        id: ListingId,
        (available, at): (i64, DateTime<Utc>),
        lookup: &Lookup<'_>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let connection = lookup.connection(&self.connection);
        let listing = lookup.listing(&id);
        let (Some(mapping), Some(details)) = (&listing.mapping, &connection.details) else { return Ok(()) };
        let shelf = StockId { variant: mapping.variant, location: details.location.clone() };
        let stock = lookup.stock(&shelf);
        let buffer = connection.rules.safety_buffer;
        let owed = Some(stock.available().minus(buffer).units());
        let before = tally.changes.len();
        let events =
            list(tally, id, listing, ListingCommand::ObserveQuantity { quantity: available, owed, at })?;
        let echo = tally.changes[before..].iter().any(|(_, event)| {
            matches!(
                event,
                onhand_domain::Event::Listing(onhand_domain::listing::ListingEvent::QuantityObserved {
                    echo: true,
                    ..
                })
            )
        });
        if events == 0 {
            tally.notes.push(format!("{available} is older news than what is known"));
            return Ok(());
        }
        if echo {
            tally.echoes += 1;
            return Ok(());
        }
        if !connection.rules.accept_inventory {
            tally.notes.push(format!("the platform shows {available}; the rules do not let it change stock"));
            return Ok(());
        }
        let published = available + buffer.units();
        let counted = Quantity::new(published.max(0))?.plus(stock.reserved())?;
        let stream = StreamId::Stock(shelf.clone());
        // Two listings of one variant say the same of one shelf.
        let said = tally.changes.iter().any(|(changed, _)| *changed == stream);
        if counted != stock.on_hand() && !said {
            let reference = Some(format!("connection:{}", self.connection));
            let command = StockCommand::Count { counted, reference, occurred_at: at.min(now) };
            for event in verdict(&shelf, stock, command)? {
                tally.changes.push((stream.clone(), event.into()));
            }
        }
        Ok(())
    }

    /// An order: each line finds its shelf by the platform's variant or by SKU, and takes what is there.
    fn place(
        &self,
        external: &ExternalId,
        lines: &[SoldLine],
        lookup: &Lookup<'_>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let id = OrderId::of(self.connection, external);
        let order = lookup.order(&id);
        if order.lines.is_some() || order.cancelled {
            tally.notes.push("the order is known already".to_owned());
            return Ok(());
        }
        let location = match &lookup.connection(&self.connection).details {
            Some(details) => details.location.clone(),
            None => return Ok(()),
        };
        let mut wanted: BTreeMap<StockId, Quantity> = BTreeMap::new();
        let mut unmapped = Vec::new();
        for line in lines {
            match self.variant_of(line, lookup) {
                Some(variant) => {
                    let sum = wanted.entry(StockId { variant, location: location.clone() }).or_default();
                    *sum = sum.plus(line.quantity)?;
                }
                None => unmapped.push(line_name(line)),
            }
        }
        let (held, events) = order::hold(id, wanted, now, |shelf| lookup.stock(shelf))?;
        for line in held.iter().filter(|line| line.held < line.quantity) {
            tally
                .notes
                .push(format!("sold {} of {}, but only {} were there", line.quantity, line.stock, line.held));
        }
        tally.unmapped += unmapped.len();
        tally.notes.extend(unmapped.iter().map(|name| format!("nothing here is {name}")));
        let command = OrderCommand::Place {
            connection: self.connection,
            external_id: external.clone(),
            lines: held,
            unmapped,
        };
        for event in verdict(&id, order, command)? {
            tally.changes.push((StreamId::Order(id), event.into()));
        }
        tally.changes.extend(events.into_iter().map(|(shelf, event)| (StreamId::Stock(shelf), event.into())));
        Ok(())
    }

    fn variant_of(&self, line: &SoldLine, lookup: &Lookup<'_>) -> Option<VariantId> {
        let listed = line.external_variant.as_ref().and_then(|external| {
            let listing = lookup.listing(&ListingId::of(self.connection, external));
            listing.mapping.as_ref().map(|mapping| mapping.variant)
        });
        let brand =
            lookup.connection(&self.connection).details.as_ref().map(|details| details.brand.as_str());
        listed.or_else(|| {
            let (product, variant) = lookup.sku(line.sku.as_ref()?).names?;
            catalog::of_brand(lookup, product, brand?).then_some(variant)
        })
    }

    fn cancel(&self, external: &ExternalId, lookup: &Lookup<'_>, tally: &mut Tally) -> Result<(), Refusal> {
        let id = OrderId::of(self.connection, external);
        let order = lookup.order(&id);
        let command = OrderCommand::Cancel { connection: self.connection, external_id: external.clone() };
        for event in verdict(&id, order, command)? {
            tally.changes.push((StreamId::Order(id), event.into()));
            let lines = order.lines.as_deref().unwrap_or_default();
            let back = order::give_back(id, lines, |shelf| lookup.stock(shelf))?;
            tally
                .changes
                .extend(back.into_iter().map(|(shelf, event)| (StreamId::Stock(shelf), event.into())));
        }
        Ok(())
    }
}

/// Of several prices for one size in one market, the last.
fn last_prices(facts: Vec<Fact>) -> Vec<Fact> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Fact> = facts
        .into_iter()
        .rev()
        .filter(|fact| match fact {
            Fact::PriceObserved { style_code, size, market, .. } => {
                seen.insert((style_code.clone(), size.clone(), market.clone()))
            }
            _ => true,
        })
        .collect();
    kept.reverse();
    kept
}

async fn step(
    pool: &PgPool,
    connection: &Connected,
    fact: Fact,
    priced: &HashMap<String, Vec<crate::queries::products::StyledVariant>>,
) -> Result<Step, sqlx::Error> {
    Ok(match fact {
        Fact::Product(observed) => Step::Product { observed, fresh: ProductId(Uuid::now_v7()) },
        Fact::ProductRemoved { external } => Step::Removed {
            listings: listings_of_product(pool, connection.tenant, connection.id, &external).await?,
        },
        Fact::StockObserved { inventory, platform_location, available, at } => {
            if connection.details.platform_location.as_ref() != Some(&platform_location) {
                return Ok(Step::Nothing(format!("location {platform_location} is not this connection's")));
            }
            let Some(available) = available else {
                return Ok(Step::Nothing(format!("the platform does not track inventory item {inventory}")));
            };
            let listings = listings_of_inventory(pool, connection.tenant, connection.id, &inventory).await?;
            if listings.is_empty() {
                return Ok(Step::Nothing(format!("no listing has inventory item {inventory}")));
            }
            Step::Stock { listings, available, at }
        }
        Fact::OrderPlaced { external, lines } => Step::Placed { external, lines },
        Fact::OrderCancelled { external } => Step::Cancelled { external },
        Fact::PriceObserved { style_code, size, market, price, .. } => {
            let targets: Vec<_> = priced
                .get(&style_code)
                .into_iter()
                .flatten()
                .filter(|variant| variant.is(&style_code, size.as_deref()))
                .map(|variant| (variant.product, variant.variant))
                .collect();
            if targets.is_empty() {
                let size = size.unwrap_or_else(|| "any size".to_owned());
                return Ok(Step::Nothing(format!("nothing here is {style_code} in {size}")));
            }
            Step::Price { targets, market, price }
        }
    })
}

fn list(
    tally: &mut Tally,
    id: ListingId,
    listing: &Listing,
    command: ListingCommand,
) -> Result<usize, Refusal> {
    let events = verdict(&id, listing, command)?;
    let count = events.len();
    tally.changes.extend(events.into_iter().map(|event| (StreamId::Listing(id), event.into())));
    Ok(count)
}

fn line_name(line: &SoldLine) -> String {
    match (&line.sku, &line.external_variant) {
        (Some(sku), _) => sku.to_string(),
        (None, Some(variant)) => format!("variant {variant}"),
        (None, None) => line.title.clone(),
    }
}
