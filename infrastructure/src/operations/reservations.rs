//! Reserve, commit, release.

mod index;
mod parts;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    cart::{Cart, CartCommand},
    catalog::Changes,
    reservation::{self, LINES_MAX, Line},
    stock::{Stock, StockCommand, StockEvent},
    values::{CartId, LocationCode, Quantity, ReservationId, Sku, StockId, TenantId, VariantId},
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

pub(crate) use self::index::ReservationIndex;
use self::parts::{all_of, ends_at, is_in, parts_of, still_held, units_of};
use super::{Caller, Operations, stock::allocate};
use crate::{
    ledger::{Answer, Decision, LedgerError, Receipt, read},
    queries,
};

/// The longest a reservation may hold.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most shelves that are looked at for one reservation.
const SHELVES_MAX: usize = 2_000;

/// Times the shelves of a cart's reservation are looked up for one step before the caller is told to come back.
const ROUNDS_MAX: usize = 8;
/// The refusal of a step that does not know all shelves of its reservation. Those of commands are not kept under a key.
const OVERTAKEN: &str = "command.cart_changed";

/// The longest a hold may be kept for a payment that is under way.
pub const GRACE_MAX: Duration = Duration::from_secs(60 * 60);
/// How long a hold is kept for a payment if the caller does not say.
const GRACE: Duration = Duration::from_secs(10 * 60);

/// One line of what a buyer wants.
#[derive(Debug, Clone, Serialize)]
pub struct Wanted {
    /// What.
    pub sku: Sku,
    /// From where; from wherever there is some, if not given.
    pub location: Option<LocationCode>,
    /// How many.
    pub quantity: Quantity,
}

/// One line of what a buyer got.
#[derive(Serialize)]
struct HeldLine<'h> {
    sku: &'h Sku,
    location: &'h LocationCode,
    quantity: Quantity,
}

/// What a buyer is told.
#[derive(Serialize)]
struct Held<'h> {
    reservation: ReservationId,
    status: &'static str,
    expires_at: Option<DateTime<Utc>>,
    lines: Vec<HeldLine<'h>>,
}

/// What is to be reserved.
#[derive(Debug, Clone, Default)]
pub struct Reserve {
    /// What the buyer wants.
    pub lines: Vec<Wanted>,
    /// How long to hold it, if not as long as usual.
    pub ttl: Option<Duration>,
    /// A name for the buyer's cart. Asked again, the hold becomes what is asked then; his own units are not in
    /// his way.
    pub owner: Option<String>,
}

/// What is to become of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The units are sold.
    Commit {
        /// The shipment or payment; one that is known already sells nothing more.
        reference: Option<String>,
    },
    /// The units are given back.
    Release,
    /// The buyer needs more time.
    Extend {
        /// How long from now, if not as long as usual.
        ttl: Option<Duration>,
    },
    /// The buyer is paying; the hold must not run out meanwhile.
    StartPayment {
        /// How long from now, if not as long as usual.
        grace: Option<Duration>,
    },
}

impl Operations {
    /// Holds every line for one buyer, or none. Answers with the reservation.
    pub async fn reserve(&self, caller: Caller, ask: Reserve) -> Result<Receipt, LedgerError> {
        let ttl = bounded(ask.ttl, self.reservation_ttl, TTL_MAX, "ttl_seconds")?;
        let owner = ask.owner.map(|owner| cart_of(&caller, owner)).transpose()?;
        let (lines, locations, mut reads) = self.lines(&caller, &ask.lines).await?;
        let skus = skus_of(&lines, &ask.lines);
        reads.extend(owner.iter().map(|(cart, _)| StreamId::Cart(*cart)));
        // A cart's reservation may take other shelves later, an ordinary one never: the version tells them apart.
        let fresh = match &owner {
            Some((cart, _)) => ReservationId::of_cart(*cart, Uuid::new_v4()),
            None => ReservationId(Uuid::now_v7()),
        };
        self.submit(caller, reads, move |lookup, now| {
            let expires_at = now + ttl;
            let stock = |id: &StockId| lookup.stock(id);
            let (reservation, others) = match &owner {
                Some((cart, _)) => holding(lookup.cart(cart), stock).unwrap_or((fresh, &[])),
                None => (fresh, &[][..]),
            };
            let short = |refusal| with_skus(refusal, &skus);
            let lines = allocate(&lines, &locations, reservation, now, stock).map_err(short)?;
            let events = reservation::reserve(reservation, &lines, others, Some(expires_at), now, stock)
                .map_err(short)?;
            let held = lines.iter().filter_map(|(id, quantity)| {
                let sku = skus.get(&id.variant)?;
                Some(HeldLine { sku, location: &id.location, quantity: *quantity })
            });
            // Later than asked for, where a cart had more time already.
            let expires_at = lines.keys().filter_map(|id| ends_at(reservation, id, &events, stock(id))).min();
            let held = Held { reservation, status: "held", expires_at, lines: held.collect() };
            let mut changes = changes(events);
            if let Some((cart, owner)) = &owner {
                let shelves = lines.keys().cloned().collect();
                let command = CartCommand::Hold { owner: owner.clone(), reservation, shelves };
                let noted = verdict(cart, lookup.cart(cart), command)?;
                changes.extend(noted.into_iter().map(|event| (StreamId::Cart(*cart), event.into())));
            }
            Ok(Decision { answer: Answer::of(&held), changes, ..Decision::default() })
        })
        .await
    }

    /// Does something about all of a reservation that is still held, or about the given lines of it.
    pub async fn step_reservation(
        &self,
        caller: Caller,
        reservation: ReservationId,
        step: Step,
        lines: Option<Vec<Wanted>>,
    ) -> Result<Receipt, LedgerError> {
        let step = self.bounded_step(step)?;
        let carts = self.carts_of(&caller, reservation).await?;
        let mut rounds = 0;
        loop {
            rounds += 1;
            let (caller, step, carts) = (caller.clone(), step.clone(), carts.clone());
            let stepped = self.step_once(caller, reservation, step, lines.as_deref(), carts).await;
            let overtaken =
                matches!(&stepped, Err(LedgerError::Refused(refusal)) if refusal.code == OVERTAKEN);
            if !overtaken || rounds == ROUNDS_MAX {
                return stepped;
            }
        }
    }

    /// The same, unless its cart has got other shelves since they were looked up: then it is [`OVERTAKEN`].
    async fn step_once(
        &self,
        caller: Caller,
        reservation: ReservationId,
        step: Bounded,
        lines: Option<&[Wanted]>,
        carts: Vec<CartId>,
    ) -> Result<Receipt, LedgerError> {
        let shelves = self.shelves_of(&caller, reservation).await?;
        let mut skus = HashMap::new();
        let lines = match lines {
            Some(wanted) => {
                let lines = self.lines(&caller, wanted).await?.0;
                for (line, wanted) in lines.iter().zip(wanted) {
                    is_in(reservation, &shelves, line, &wanted.sku)?;
                }
                skus = skus_of(&lines, wanted);
                Some(lines)
            }
            None => None,
        };
        let mut reads = streams(&shelves);
        reads.extend(carts.iter().copied().map(StreamId::Cart));
        self.submit(caller, reads, move |lookup, now| {
            if carts.iter().any(|cart| has_others(lookup.cart(cart), reservation, &shelves)) {
                return Err(Refusal::conflict(OVERTAKEN, "the cart is just being asked for anew; try again"));
            }
            let stock = |id: &StockId| lookup.stock(id);
            let is_known =
                |reference: &str| shelves.iter().any(|id| stock(id).is_committed(&reservation, reference));
            let parts = match (&step, &lines) {
                // All that was committed under it was committed at once; whatever is held still is none of it.
                (Bounded::Commit { reference: Some(reference) }, _) if is_known(reference) => BTreeMap::new(),
                (_, Some(lines)) => parts_of(reservation, &shelves, lines, stock)
                    .map_err(|refusal| with_skus(refusal, &skus))?,
                (_, None) => all_of(reservation, &shelves, &step, stock)?,
            };
            let (events, refusal, mut answer) = match &step {
                Bounded::Commit { reference } => {
                    let (events, refusal) =
                        reservation::commit(reservation, &parts, reference.as_deref(), now, stock)?;
                    (events, refusal, json!({ "status": "committed" }))
                }
                Bounded::Release => {
                    let release = |quantity| StockCommand::Release { reservation, quantity, now };
                    let mut events = reservation::each(&parts, release, stock)?;
                    // Who lets it all go does not come back for what had run out of it.
                    let rest = shelves.iter().filter(|_| lines.is_none()).map(|id| (id.clone(), None));
                    let waive = |_| StockCommand::Waive { reservation };
                    events.extend(reservation::each(&rest.collect(), waive, stock)?);
                    (events, None, json!({ "status": "released" }))
                }
                Bounded::Extend { by, payment } => {
                    if shelves.iter().any(|id| stock(id).lapsed_for(&reservation).is_some()) {
                        return Err(Refusal::conflict(
                            "reservation.expired",
                            "part of the reservation has run out already; reserve again",
                        ));
                    }
                    let (expires_at, payment) = (now + *by, *payment);
                    let extend = |_| StockCommand::Extend { reservation, expires_at, payment };
                    let events = reservation::each(&parts, extend, stock)?;
                    let until = parts.keys().map(|id| ends_at(reservation, id, &events, stock(id))).min();
                    (events, None, json!({ "status": "held", "expires_at": until }))
                }
            };
            answer["reservation"] = json!(reservation);
            if !matches!(step, Bounded::Extend { .. }) {
                answer["units"] = events.iter().map(|(_, event)| units_of(event)).sum::<i64>().into();
                let held = still_held(reservation, &shelves, &events, stock);
                answer["held"] = held.into();
                if held > 0 {
                    answer["status"] = "held".into();
                }
            }
            Ok(Decision { changes: changes(events), answer: answer.into(), refusal, ..Decision::default() })
        })
        .await
    }

    fn bounded_step(&self, step: Step) -> Result<Bounded, Refusal> {
        Ok(match step {
            Step::Commit { reference } => Bounded::Commit { reference },
            Step::Release => Bounded::Release,
            Step::Extend { ttl } => {
                let by = bounded(ttl, self.reservation_ttl, TTL_MAX, "ttl_seconds")?;
                Bounded::Extend { by, payment: false }
            }
            Step::StartPayment { grace } => {
                let by = bounded(grace, GRACE, GRACE_MAX, "grace_seconds")?;
                Bounded::Extend { by, payment: true }
            }
        })
    }

    /// The variants some lines name, the locations to take from where they name none, and the shelves that
    /// will be looked at.
    pub(super) async fn lines(
        &self,
        caller: &Caller,
        wanted: &[Wanted],
    ) -> Result<(Vec<Line>, Arc<[LocationCode]>, Vec<StreamId>), LedgerError> {
        if wanted.is_empty() || wanted.len() > LINES_MAX {
            return Err(Refusal::invalid(
                "reservation.lines",
                format!("send 1 to {LINES_MAX} lines, not {}", wanted.len()),
            )
            .into());
        }
        let skus: Vec<Sku> = wanted.iter().map(|line| line.sku.clone()).collect();
        let named = self.named(caller, &skus).await?;
        let locations = self.selling_locations(caller.context.tenant).await?;
        let mut reads = Vec::with_capacity(wanted.len());
        let mut lines = Vec::with_capacity(wanted.len());
        for (wanted, named) in wanted.iter().zip(named) {
            let shelf = |location: &LocationCode| {
                StreamId::Stock(StockId { variant: named.variant, location: location.clone() })
            };
            match &wanted.location {
                Some(location) => reads.push(shelf(location)),
                None => reads.extend(locations.iter().map(shelf)),
            }
            if reads.len() > SHELVES_MAX {
                return Err(Refusal::invalid(
                    "reservation.too_wide",
                    format!("the lines may be taken from more than {SHELVES_MAX} shelves; name locations"),
                )
                .into());
            }
            let (location, quantity) = (wanted.location.clone(), wanted.quantity);
            lines.push(Line { variant: named.variant, location, quantity });
        }
        Ok((lines, locations, reads))
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
            None => self.shelves_in_history(caller, reservation).await?,
        };
        if shelves.is_empty() {
            return Err(unknown(reservation).into());
        }
        self.may_touch_shelves(caller, reservation, &shelves).await?;
        self.remember(tenant, reservation, &shelves);
        Ok(shelves)
    }

    async fn shelves_in_history(
        &self,
        caller: &Caller,
        reservation: ReservationId,
    ) -> Result<Arc<[StockId]>, LedgerError> {
        let mut conn = self.ledger().pool().acquire().await?;
        let streams = read::shelves_of_reservation(&mut conn, caller.context.tenant, reservation).await?;
        let shelves = streams.iter().filter_map(|stream| match stream.parse() {
            Ok(StreamId::Stock(id)) => Some(id),
            _ => None,
        });
        Ok(shelves.collect())
    }

    /// The cart whose reservation this is; more than one if their ids begin alike, none for other reservations.
    async fn carts_of(
        &self,
        caller: &Caller,
        reservation: ReservationId,
    ) -> Result<Vec<CartId>, LedgerError> {
        let Some(carts) = reservation.carts() else { return Ok(vec![]) };
        let [first, last] = [*carts.start(), *carts.end()].map(|cart| StreamId::Cart(cart).to_string());
        let mut conn = self.ledger().pool().acquire().await?;
        let streams = read::streams_between(&mut conn, caller.context.tenant, &first, &last).await?;
        let carts = streams.iter().filter_map(|stream| match stream.parse() {
            Ok(StreamId::Cart(cart)) => Some(cart),
            _ => None,
        });
        Ok(carts.collect())
    }

    async fn may_touch_shelves(
        &self,
        caller: &Caller,
        reservation: ReservationId,
        shelves: &[StockId],
    ) -> Result<(), LedgerError> {
        let Some(brand) = &caller.brand else { return Ok(()) };
        let variants: Vec<Uuid> = shelves.iter().map(|id| id.variant.0).collect();
        let pool = self.ledger().pool();
        if queries::products::all_of_brand(pool, caller.context.tenant, &variants, brand).await? {
            return Ok(());
        }
        Err(unknown(reservation).into())
    }

    /// Remembers shelves, unless the reservation is a cart's, which may take others any time.
    fn remember(&self, tenant: TenantId, reservation: ReservationId, shelves: &Arc<[StockId]>) {
        if reservation.0.get_version_num() == 7 {
            self.shelves.remember(tenant, reservation, Arc::clone(shelves));
        }
    }
}

/// A [`Step`] whose times are within their bounds.
#[derive(Clone)]
enum Bounded {
    Commit { reference: Option<String> },
    Release,
    Extend { by: TimeDelta, payment: bool },
}

fn bounded(
    asked: Option<Duration>,
    usual: Duration,
    most: Duration,
    name: &str,
) -> Result<TimeDelta, Refusal> {
    let time = asked.unwrap_or(usual);
    if time.is_zero() || time > most {
        let detail = format!("{name} must be from 1 to {}", most.as_secs());
        return Err(Refusal::invalid("reservation.ttl", detail));
    }
    Ok(TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX))
}

/// The cart a caller speaks of.
fn cart_of(caller: &Caller, owner: String) -> Result<(CartId, String), Refusal> {
    // A blank name would be one cart of all the buyers whose name is left empty.
    let is_blank = owner.trim().is_empty();
    if is_blank || owner.chars().count() > 200 || owner.chars().any(char::is_control) {
        let detail = "an owner has 1 to 200 printable characters, and not only blanks";
        return Err(Refusal::invalid("reservation.owner", detail));
    }
    Ok((CartId::of(caller.context.tenant, caller.brand.as_deref(), &owner), owner))
}

/// The reservation of a cart and its shelves, as long as anything is held there.
fn holding<'c, 's>(
    cart: &'c Cart,
    stock: impl Fn(&StockId) -> &'s Stock,
) -> Option<(ReservationId, &'c [StockId])> {
    let reservation = cart.reservation?;
    let held = cart.shelves.iter().any(|id| stock(id).held_for(&reservation).is_some());
    held.then_some((reservation, &cart.shelves))
}

/// Whether a cart holds this reservation on other shelves than these, too.
fn has_others(cart: &Cart, reservation: ReservationId, shelves: &[StockId]) -> bool {
    let known: HashSet<&StockId> = shelves.iter().collect();
    cart.reservation == Some(reservation) && cart.shelves.iter().any(|id| !known.contains(id))
}

fn unknown(reservation: ReservationId) -> Refusal {
    Refusal::missing("reservation.unknown", format!("there is no reservation {reservation}"))
}

fn streams(shelves: &[StockId]) -> Vec<StreamId> {
    shelves.iter().cloned().map(StreamId::Stock).collect()
}

fn changes(events: Vec<(StockId, StockEvent)>) -> Changes {
    events.into_iter().map(|(id, event)| (StreamId::Stock(id), event.into())).collect()
}

/// Which SKU names each variant, as some lines say it.
pub(super) fn skus_of(lines: &[Line], wanted: &[Wanted]) -> HashMap<VariantId, Sku> {
    lines.iter().zip(wanted).map(|(line, wanted)| (line.variant, wanted.sku.clone())).collect()
}

/// The refusal, with the SKU of each variant of which there is too little.
pub(super) fn with_skus(mut refusal: Refusal, skus: &HashMap<VariantId, Sku>) -> Refusal {
    let shortages = refusal.facts.as_mut().and_then(|facts| facts.get_mut("shortages")?.as_array_mut());
    for shortage in shortages.into_iter().flatten() {
        let variant = shortage["variant"].as_str().and_then(|id| id.parse::<Uuid>().ok());
        if let Some(sku) = variant.and_then(|id| skus.get(&VariantId(id))) {
            shortage["sku"] = json!(sku);
        }
    }
    refusal
}
