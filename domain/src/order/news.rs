//! News of orders: what an order takes, gives back and sells on its shelves once its platform says something of it.
//!
//! No platform promises to tell things in their order. A payment may be told before the order, a cancellation before both, and
//! what an order said first after what was made of it. What its units do to the shelves of a shop whose figures count is
//! the shelves' own business ([`Serving`]).

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Buyer, Order, OrderCommand, OrderLine, Sold};
use crate::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::Changes,
    reservation::{Events, Lines},
    stock::{Origin, Serving, Stock, StockCommand, StockEvent},
    values::{ConnectionId, ExternalId, OrderId, Quantity, StockId},
};

/// A line as it is told, with its shelf if it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldLine {
    /// What it is called in history.
    pub name: String,
    /// Which shelf it is taken from; none where nobody knows what it is.
    pub stock: Option<StockId>,
    /// Units sold; none where the buyer gets none of it any more.
    pub quantity: Quantity,
}

/// What a platform says of an order.
#[derive(Debug, Clone)]
pub struct News<'n> {
    /// Where.
    pub connection: ConnectionId,
    /// The platform's id.
    pub external_id: &'n ExternalId,
    /// All of its lines; none if they are not told, which is not the same as lines without a unit.
    pub lines: &'n [ToldLine],
    /// Whether it is paid.
    pub paid: bool,
    /// Who bought, if that is told.
    pub buyer: Option<Buyer>,
    /// When its units left what the platform shows for sale, by its clock: rather too early than too late, for a figure from
    /// then on is taken to have left them out, and if it did not, the figure that does is still to come.
    pub moved_at: DateTime<Utc>,
    /// Of when these lines are, by the platform's clock.
    pub told_at: DateTime<Utc>,
    /// Whether the platform may go on with an order that it has cancelled.
    pub reopens: bool,
    /// The present moment.
    pub now: DateTime<Utc>,
}

impl News<'_> {
    /// What a line of this shelf is called; the shelf itself where no line is told of it.
    fn called(&self, shelf: &StockId) -> String {
        let line = self.lines.iter().find(|line| line.stock.as_ref() == Some(shelf));
        line.map_or_else(|| shelf.to_string(), |line| line.name.clone())
    }
}

/// What follows from news of an order.
#[derive(Debug, Default)]
pub struct Heard {
    /// Events, each with the stream it belongs to.
    pub changes: Changes,
    /// What somebody has to know.
    pub notes: Vec<String>,
    /// Lines that are kept until somebody knows what they are, by their names.
    pub unknown: Vec<String>,
}

/// What an order is to have besides what it has.
#[derive(Default)]
struct Asked {
    take: Lines,
    give_back: Lines,
    /// All of its lines where they are others than before, each to hold what it does and what it takes.
    edited: Option<Lines>,
    /// Lines that are found now, by their names.
    found: Vec<String>,
    at: Option<DateTime<Utc>>,
    /// Whether what is told of its lines is no older than what is known of them, and changes none.
    confirmed: bool,
}

/// Takes news of an order in.
pub fn hear<'s>(
    news: &News<'_>,
    state: &Order,
    stock: impl Fn(&StockId) -> &'s Stock + Copy,
) -> Result<Heard, Refusal> {
    let id = OrderId::of(news.connection, news.external_id);
    let mut heard = Heard::default();
    if !state.cancelled {
        return take_in(news, state, stock, heard);
    }
    if news.reopens && !news.lines.is_empty() {
        let (connection, external_id, at) = (news.connection, news.external_id.clone(), news.told_at);
        heard.changes.extend(of_order(id, state, OrderCommand::Reopen { connection, external_id, at })?);
    }
    if heard.changes.is_empty() {
        heard.notes.push("the order is cancelled already".to_owned());
        return Ok(heard);
    }
    // Its units left again after they had come back, nobody says when. Who bought stands where it was placed before.
    let moved_at = state.cancelled_at.map_or(news.told_at, |at| at + TimeDelta::microseconds(1));
    let buyer = news.buyer.clone().filter(|_| state.lines.is_none());
    take_in(&News { moved_at, buyer, ..*news }, &Order::default(), stock, heard)
}

fn take_in<'s>(
    news: &News<'_>,
    state: &Order,
    stock: impl Fn(&StockId) -> &'s Stock + Copy,
    mut heard: Heard,
) -> Result<Heard, Refusal> {
    let id = OrderId::of(news.connection, news.external_id);
    if state.lines.is_none() && news.lines.is_empty() {
        heard.notes.push("the order has no lines yet".to_owned());
        return Ok(heard);
    }
    let asked = match &state.lines {
        None => {
            let told = Told::of(news.lines)?;
            heard.unknown = told.unknown;
            Asked { take: told.lines, at: Some(news.moved_at), ..Asked::default() }
        }
        Some(lines) => changed(news, (state, lines.as_slice()), |shelf| held(id, stock(shelf)), &mut heard)?,
    };
    // Where it may have been cancelled and taken up again meanwhile, an older payment is of a life that is over.
    let is_older = news.reopens && state.told_at.is_some_and(|known| news.told_at < known);
    let pays = news.paid && !state.paid && !is_older;
    let mut shelves: BTreeSet<&StockId> = asked.take.keys().chain(asked.give_back.keys()).collect();
    if pays {
        shelves.extend(state.lines.iter().flatten().map(|line| &line.stock));
    }
    let mut events = Events::new();
    for shelf in shelves {
        let serving = Serving {
            take: asked.take.get(shelf).copied().unwrap_or_default(),
            give_back: asked.give_back.get(shelf).copied().unwrap_or_default(),
            sell: pays || state.paid,
            ..nothing(id, news.external_id, (news.connection, asked.at.unwrap_or(news.moved_at)), news.now)
        };
        let served = verdict(shelf, stock(shelf), StockCommand::Serve(serving))?;
        events.extend(served.into_iter().map(|event| (shelf.clone(), event)));
    }
    let taken = taken(&asked.take, &events);
    heard.notes.extend(taken.iter().filter(|line| line.held < line.quantity).map(|line| {
        format!("sold {} of {}, but only {} were there", line.quantity, news.called(&line.stock), line.held)
    }));
    let (connection, external_id, sold) = (news.connection, news.external_id.clone(), sold(&events));
    let (sold_now, sold_by_payment) = if pays { (vec![], sold) } else { (sold, vec![]) };
    let (buyer, at) = (news.buyer.clone(), news.told_at);
    let unmapped = heard.unknown.clone();
    let command = match asked.edited {
        _ if state.lines.is_none() => {
            OrderCommand::Place { connection, external_id, lines: taken, unmapped, buyer, at }
        }
        Some(lines) => {
            let lines = lines_after(id, lines, &events, stock)?;
            OrderCommand::Edit { connection, external_id, lines, unmapped, at }
        }
        None => OrderCommand::FindLines {
            connection,
            external_id,
            lines: taken,
            found: asked.found,
            sold: sold_now,
        },
    };
    heard.changes.extend(of_order(id, state, command)?);
    if pays {
        let external_id = news.external_id.clone();
        let at = asked.confirmed.then_some(news.told_at);
        let command = OrderCommand::Pay { connection, external_id, sold: sold_by_payment, at };
        heard.changes.extend(of_order(id, state, command)?);
    } else if asked.confirmed && (!state.paid || news.reopens) {
        let (external_id, at) = (news.external_id.clone(), news.told_at);
        heard.changes.extend(of_order(id, state, OrderCommand::Confirm { connection, external_id, at })?);
    }
    heard.changes.extend(on_shelves(events));
    Ok(heard)
}

/// What news of a known order change. Lines that nobody knew before are found; the others may be others by now, until the
/// order is paid. What it said before what is known is nothing new.
fn changed(
    news: &News<'_>,
    (state, lines): (&Order, &[OrderLine]),
    held: impl Fn(&StockId) -> Quantity,
    heard: &mut Heard,
) -> Result<Asked, Refusal> {
    if news.lines.is_empty() {
        return Ok(Asked::default());
    }
    if state.told_at.is_some_and(|known| news.told_at < known) {
        heard.notes.push("its lines are older news than what is known of them".to_owned());
        return Ok(Asked::default());
    }
    let all = Told::of(news.lines)?;
    let open: Vec<ToldLine> =
        news.lines.iter().filter(|line| state.unmapped.contains(&line.name)).cloned().collect();
    let Told { lines: mut take, found, unknown } = Told::of(&open)?;
    let mut before = Lines::new();
    for line in lines {
        let sum = before.entry(line.stock.clone()).or_default();
        *sum = sum.plus(line.quantity)?;
    }
    let new = |name: &&String| !state.unmapped.contains(name);
    // A line that nobody knows may be one that was known when it was taken.
    let sure = !all.unknown.iter().any(|name| new(&name));
    if sure {
        // And one that is found now may be one that was known under another name: it is no line more.
        for (shelf, quantity) in &mut take {
            *quantity = (*quantity).min(units(&all.lines, shelf).minus(units(&before, shelf)));
        }
        take.retain(|_, quantity| !quantity.is_zero());
    }
    let mut expected = before.clone();
    for (shelf, quantity) in &take {
        let sum = expected.entry(shelf.clone()).or_default();
        *sum = sum.plus(*quantity)?;
    }
    let left: Vec<&String> = state.unmapped.iter().filter(|name| !found.contains(name)).collect();
    let as_before = all.lines == expected && same(&all.unknown, &left);
    if as_before || state.paid {
        if !as_before {
            heard.notes.extend(unlike(news, &all.lines, &expected, sure));
            let added = all.unknown.iter().filter(new);
            heard
                .notes
                .extend(added.map(|name| format!("the order has {name} by now, and was paid without")));
        }
        heard.unknown = unknown;
        return Ok(Asked { take, found, confirmed: true, ..Asked::default() });
    }
    let mut asked = Asked { at: Some(edited_at(news, state)), ..Asked::default() };
    let mut edited = Lines::new();
    let shelves: BTreeSet<&StockId> = before.keys().chain(all.lines.keys()).collect();
    for shelf in shelves {
        let (was, says) = (units(&before, shelf), units(&all.lines, shelf));
        // Of which nothing is bought any more by its own line, that is not bought under another name either.
        let is_out = says.is_zero() && news.lines.iter().any(|line| line.stock.as_ref() == Some(shelf));
        let wanted = if sure || is_out { says } else { says.max(was) };
        if wanted > was {
            asked.take.insert(shelf.clone(), wanted.minus(was));
        } else if wanted < was {
            asked.give_back.insert(shelf.clone(), held(shelf).minus(wanted));
        }
        if !wanted.is_zero() {
            edited.insert(shelf.clone(), wanted);
        }
    }
    asked.edited = Some(edited);
    heard.unknown = all.unknown;
    Ok(asked)
}

/// When an order became another there. Nobody says, and the news may be of something later: it was after what is known.
fn edited_at(news: &News<'_>, state: &Order) -> DateTime<Utc> {
    match state.told_at {
        // It is the same there, and known better here.
        Some(known) if known == news.told_at => news.moved_at,
        Some(known) => known + TimeDelta::microseconds(1),
        None => news.told_at,
    }
}

fn units(lines: &Lines, shelf: &StockId) -> Quantity {
    lines.get(shelf).copied().unwrap_or_default()
}

/// What a paid order says otherwise by now, for somebody to see.
fn unlike(news: &News<'_>, says: &Lines, had: &Lines, sure: bool) -> Vec<String> {
    let shelves: BTreeSet<&StockId> = says.keys().chain(had.keys()).collect();
    let both = shelves.into_iter().map(|shelf| (shelf, units(says, shelf), units(had, shelf)));
    both.filter(|(_, says, had)| says > had || (sure && says < had))
        .map(|(shelf, says, had)| {
            let name = news.called(shelf);
            format!("the order has {says} of {name} by now, and was paid with {had}; adjust if that is so")
        })
        .collect()
}

fn same(names: &[String], others: &[&String]) -> bool {
    let (mut names, mut others) = (names.iter().collect::<Vec<_>>(), others.to_vec());
    names.sort_unstable();
    others.sort_unstable();
    names == others
}

/// Some lines, added up.
#[derive(Default)]
struct Told {
    lines: Lines,
    found: Vec<String>,
    unknown: Vec<String>,
}

impl Told {
    fn of(lines: &[ToldLine]) -> Result<Self, Refusal> {
        let lines = || lines.iter().filter(|line| !line.quantity.is_zero());
        let unknown: BTreeSet<&String> =
            lines().filter(|line| line.stock.is_none()).map(|line| &line.name).collect();
        let mut told = Self::default();
        for line in lines() {
            // Of two lines under one name, one that is not found keeps both open: none must be taken twice.
            match line.stock.as_ref().filter(|_| !unknown.contains(&line.name)) {
                Some(shelf) => {
                    let sum = told.lines.entry(shelf.clone()).or_default();
                    *sum = sum.plus(line.quantity)?;
                    told.found.push(line.name.clone());
                }
                None => told.unknown.push(line.name.clone()),
            }
        }
        Ok(told)
    }
}

/// Takes in that an order was cancelled: it gives back what it holds, and what was sold to it comes back.
///
/// Where a platform may go on with an order that it has cancelled (`reopens`), older news do not end it.
pub fn cancel<'s>(
    (connection, external_id): (ConnectionId, &ExternalId),
    (state, reopens): (&Order, bool),
    (at, now): (DateTime<Utc>, DateTime<Utc>),
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Heard, Refusal> {
    let id = OrderId::of(connection, external_id);
    let mut heard = Heard::default();
    if reopens && state.told_at.is_some_and(|known| at < known) {
        heard.notes.push("that is older news than what is known of the order".to_owned());
        return Ok(heard);
    }
    let command = OrderCommand::Cancel { connection, external_id: external_id.clone(), at };
    heard.changes = of_order(id, state, command)?;
    if heard.changes.is_empty() || state.cancelled {
        return Ok(heard);
    }
    let held = state.lines.iter().flatten().map(|line| &line.stock);
    let shelves: BTreeSet<&StockId> = held.chain(state.sold.iter().map(|sold| &sold.stock)).collect();
    for shelf in shelves {
        let sold = state.sold.iter().filter(|sold| sold.stock == *shelf).map(|sold| sold.quantity.units());
        let serving = Serving {
            give_back: Quantity::MAX,
            take_back: Quantity::new(sold.sum())?,
            ..nothing(id, external_id, (connection, at), now)
        };
        let served = verdict(shelf, stock(shelf), StockCommand::Serve(serving))?;
        heard.changes.extend(on_shelves(served.into_iter().map(|event| (shelf.clone(), event)).collect()));
    }
    Ok(heard)
}

/// An order that asks for nothing yet.
fn nothing(
    id: OrderId,
    external_id: &ExternalId,
    (connection, at): (ConnectionId, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Serving {
    Serving {
        reservation: id.into(),
        take: Quantity::ZERO,
        give_back: Quantity::ZERO,
        sell: false,
        take_back: Quantity::ZERO,
        origin: Origin { connection, at },
        reference: format!("order {external_id}"),
        now,
    }
}

fn held(id: OrderId, stock: &Stock) -> Quantity {
    stock.held_for(&id.into()).map_or(Quantity::ZERO, |held| held.quantity)
}

/// What was to be taken, with what could be held.
fn taken(wanted: &Lines, events: &Events) -> Vec<OrderLine> {
    let lines = wanted.iter().map(|(stock, quantity)| {
        let held = events.iter().find_map(|(shelf, event)| match event {
            StockEvent::Reserved { quantity, .. } if shelf == stock => Some(*quantity),
            _ => None,
        });
        OrderLine { stock: stock.clone(), quantity: *quantity, held: held.unwrap_or_default() }
    });
    lines.collect()
}

/// The lines of an order that has become another, with what is held for each before it is sold.
fn lines_after<'s>(
    id: OrderId,
    lines: Lines,
    events: &Events,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Result<Vec<OrderLine>, Refusal> {
    let mut after = Vec::with_capacity(lines.len());
    for (shelf, quantity) in lines {
        let mut held = held(id, stock(&shelf));
        for (_, event) in events.iter().filter(|(moved, _)| *moved == shelf) {
            match event {
                StockEvent::Reserved { quantity, .. } => held = held.plus(*quantity)?,
                StockEvent::Released { quantity, .. } => held = held.minus(*quantity),
                _ => {}
            }
        }
        after.push(OrderLine { stock: shelf, quantity, held });
    }
    Ok(after)
}

/// What left the shelves with these events, shelf by shelf.
fn sold(events: &Events) -> Vec<Sold> {
    let committed = events.iter().filter_map(|(stock, event)| match event {
        StockEvent::Committed { quantity, .. } => Some(Sold { stock: stock.clone(), quantity: *quantity }),
        _ => None,
    });
    committed.collect()
}

fn of_order(id: OrderId, state: &Order, command: OrderCommand) -> Result<Changes, Refusal> {
    let events = verdict(&id, state, command)?;
    Ok(events.into_iter().map(|event| (StreamId::Order(id), event.into())).collect())
}

fn on_shelves(events: Events) -> impl Iterator<Item = (StreamId, crate::Event)> {
    events.into_iter().map(|(shelf, event)| (StreamId::Stock(shelf), event.into()))
}
