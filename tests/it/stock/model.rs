//! A hundred thousand commands, drawn at random, against two processes and beside them a model that fits on
//! a page: each answer is what the model says, and in the end everything is. Between the rounds hours go by, holds
//! run out, and what is paid for late is sold if it is still there.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_tests::World;
use proptest::{
    collection::vec,
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

/// Sequences of commands that run side by side, each on variants of its own.
const LANES: usize = 40;
/// Rounds, with some hours between them.
const ROUNDS: usize = 4;
const HOURS_BETWEEN: i64 = 6;
/// Commands of a lane in a round.
const COMMANDS: usize = 640;
/// How long a hold lasts: not into the next round, into the next round only if it is extended meanwhile, or to the end.
const SHORT_HOURS: i64 = 2;
const EXTENDED_HOURS: i64 = 10;
const LONG_HOURS: i64 = 24;
const CARTS: usize = 2;
const SKUS: usize = 2;
const PLACES: [&str; 2] = ["main", "berlin"];

type Shelf = (usize, usize);

#[derive(Debug, Clone)]
enum Command {
    Restock(Shelf, i64),
    Adjust(Shelf, i64),
    Count(Shelf, i64),
    Limit(Shelf, i64),
    Transfer(usize, usize, i64),
    Reserve(Vec<(Shelf, i64)>, i64),
    Cart(usize, Vec<(Shelf, i64)>),
    Commit(usize, Option<i64>),
    Release(usize, Option<i64>),
    Extend(usize),
}

fn shelf() -> impl Strategy<Value = Shelf> {
    (0..SKUS, 0..PLACES.len())
}

fn command() -> impl Strategy<Value = Command> {
    let part = || prop::option::of(0_i64..4);
    let which = || 0_usize..1_000;
    let lines = || vec((shelf(), 1_i64..4), 1..4);
    prop_oneof![
        4 => (shelf(), 0_i64..9).prop_map(|(s, n)| Command::Restock(s, n)),
        2 => (shelf(), -6_i64..6).prop_map(|(s, n)| Command::Adjust(s, n)),
        1 => (shelf(), 0_i64..12).prop_map(|(s, n)| Command::Count(s, n)),
        1 => (shelf(), 0_i64..4).prop_map(|(s, n)| Command::Limit(s, n)),
        2 => (0..SKUS, 0..PLACES.len(), 0_i64..6).prop_map(|(s, from, n)| Command::Transfer(s, from, n)),
        7 => (lines(), prop::sample::select(vec![SHORT_HOURS, LONG_HOURS]))
            .prop_map(|(lines, hours)| Command::Reserve(lines, hours)),
        2 => (0..CARTS, lines()).prop_map(|(cart, lines)| Command::Cart(cart, lines)),
        5 => (which(), part()).prop_map(|(w, n)| Command::Commit(w, n)),
        4 => (which(), part()).prop_map(|(w, n)| Command::Release(w, n)),
        1 => which().prop_map(Command::Extend),
    ]
}

#[derive(Debug, Default, Clone)]
struct Level {
    on_hand: i64,
    reserved: i64,
    limit: i64,
}

/// A reservation, with what is still held; once it has lapsed, with what could still be had late.
#[derive(Debug, Default, Clone)]
struct Hold {
    id: String,
    units: BTreeMap<Shelf, i64>,
    due: i64,
    lapsed: bool,
    refund: BTreeSet<Shelf>,
}

#[derive(Default)]
struct Model {
    /// Hours since the beginning.
    now: i64,
    levels: BTreeMap<Shelf, Level>,
    holds: Vec<Hold>,
    /// Where in `holds` a cart's last reservation is.
    carts: [Option<usize>; CARTS],
}

impl Model {
    /// Lets hours go by: holds whose time has come give their units back.
    fn wait(&mut self, hours: i64) {
        self.now += hours;
        let now = self.now;
        let due = self.holds.iter_mut().filter(|hold| !hold.lapsed && hold.due <= now);
        for hold in due {
            hold.lapsed = true;
            for (shelf, units) in &hold.units {
                self.levels.entry(*shelf).or_default().reserved -= units;
            }
        }
    }

    fn level(&mut self, shelf: Shelf) -> &mut Level {
        self.levels.entry(shelf).or_default()
    }

    /// Whether the shelf may have this much on hand.
    fn may_have(&mut self, shelf: Shelf, on_hand: i64) -> bool {
        let Level { reserved, limit, .. } = *self.level(shelf);
        on_hand >= 0 && reserved <= on_hand + limit
    }

    fn set(&mut self, shelf: Shelf, on_hand: i64) -> bool {
        let may = self.may_have(shelf, on_hand);
        if may {
            self.level(shelf).on_hand = on_hand;
        }
        may
    }

    /// Holds the lines, beside or instead of what `own` held, if they fit.
    fn reserve(
        &mut self,
        lines: &[(Shelf, i64)],
        own: &BTreeMap<Shelf, i64>,
    ) -> Option<BTreeMap<Shelf, i64>> {
        let mut sums = BTreeMap::new();
        for (shelf, quantity) in lines {
            *sums.entry(*shelf).or_default() += quantity;
        }
        let fits = |(shelf, wanted): (&Shelf, &i64)| {
            let level = self.levels.get(shelf).cloned().unwrap_or_default();
            let own = own.get(shelf).copied().unwrap_or_default();
            level.on_hand + level.limit - level.reserved + own >= *wanted
        };
        if !sums.iter().all(fits) {
            return None;
        }
        own.iter().for_each(|(shelf, units)| self.level(*shelf).reserved -= units);
        sums.iter().for_each(|(shelf, units)| self.level(*shelf).reserved += units);
        Some(sums)
    }

    /// What a cart holds, and which of the holds that is; nothing once it has ended.
    fn of_cart(&self, cart: usize) -> Option<(usize, BTreeMap<Shelf, i64>)> {
        let which = self.carts[cart]?;
        let hold = self.holds.get(which).filter(|hold| !hold.lapsed && !hold.units.is_empty())?;
        Some((which, hold.units.clone()))
    }

    /// Notes the reservation an answer tells of, a cart's in the place of what the cart held before.
    fn hold(&mut self, cart: Option<usize>, lines: &[(Shelf, i64)], hours: i64, answer: &Value) -> bool {
        let own = cart.and_then(|cart| self.of_cart(cart));
        let held = self.reserve(lines, own.as_ref().map_or(&BTreeMap::new(), |(_, units)| units));
        let Some(units) = held else { return false };
        let id = answer["reservation"].as_str().unwrap_or_default().to_owned();
        let hold = Hold { id, units, due: self.now + hours, ..Hold::default() };
        match own {
            Some((which, _)) => {
                assert_eq!(self.holds[which].id, hold.id, "a cart's hold becomes what is asked for");
                self.holds[which] = hold;
            }
            None => {
                cart.into_iter().for_each(|cart| self.carts[cart] = Some(self.holds.len()));
                self.holds.push(hold);
            }
        }
        true
    }

    /// What is asked for of a reservation: the given part of its first line, or all of every line; none if it is
    /// not there.
    fn part(&self, which: usize, part: Option<i64>) -> Option<Vec<(Shelf, i64)>> {
        let units = &self.holds[which].units;
        let taken: Vec<(Shelf, i64)> = match part {
            Some(part) => units.iter().take(1).map(|(shelf, _)| (*shelf, part)).collect(),
            None => units.iter().map(|(shelf, units)| (*shelf, *units)).collect(),
        };
        let whole = |(shelf, taken): &(Shelf, i64)| *taken > 0 && *taken <= units[shelf];
        (!taken.is_empty() && taken.iter().all(whole)).then_some(taken)
    }

    fn release(&mut self, which: usize, part: Option<i64>) -> bool {
        let Some(taken) = self.part(which, part).filter(|_| !self.holds[which].lapsed) else { return false };
        taken.iter().for_each(|(shelf, units)| self.level(*shelf).reserved -= units);
        self.take(which, taken);
        true
    }

    /// Sells; what has lapsed if nobody else has it, and if not, its money has to go back for ever.
    fn commit(&mut self, which: usize, part: Option<i64>) -> bool {
        let Some(taken) = self.part(which, part) else { return false };
        let lapsed = self.holds[which].lapsed;
        for (shelf, units) in &taken {
            let Level { on_hand, reserved, limit } = *self.level(*shelf);
            let gone = self.holds[which].refund.contains(shelf) || *units > on_hand + limit - reserved;
            if lapsed && gone {
                self.holds[which].refund.extend(taken.iter().map(|(shelf, _)| *shelf));
                return false;
            }
            if *units > on_hand {
                return false;
            }
        }
        for (shelf, units) in &taken {
            let level = self.level(*shelf);
            level.on_hand -= units;
            level.reserved -= if lapsed { 0 } else { *units };
        }
        self.take(which, taken);
        true
    }

    fn take(&mut self, which: usize, taken: Vec<(Shelf, i64)>) {
        let held = &mut self.holds[which].units;
        for (shelf, units) in taken {
            *held.entry(shelf).or_default() -= units;
        }
        held.retain(|_, units| *units > 0);
    }

    fn extend(&mut self, which: usize) -> bool {
        let due = self.now + EXTENDED_HOURS;
        let hold = &mut self.holds[which];
        let may = !hold.lapsed && !hold.units.is_empty();
        if may {
            hold.due = hold.due.max(due);
        }
        may
    }
}

fn sku(lane: usize, number: usize) -> String {
    format!("M-{lane}-{number}")
}

/// Runs one round of a lane; gives what the model says then.
async fn run(lane: usize, worlds: &[&World; 2], mut model: Model, commands: Vec<Command>) -> Model {
    for (number, command) in commands.into_iter().enumerate() {
        let client = &worlds[(number * 7 + lane) % 2].admin;
        let at = |(s, place): Shelf| json!({ "sku": sku(lane, s), "location": PLACES[place] });
        let with = |shelf: Shelf, name: &str, value: i64| {
            let mut body = at(shelf);
            body[name] = value.into();
            body
        };
        let line = |shelf: Shelf, quantity: i64| with(shelf, "quantity", quantity);
        let which = |w: usize, model: &Model| (!model.holds.is_empty()).then(|| w % model.holds.len());
        let (expected, answer) = match &command {
            Command::Restock(shelf, n) => {
                let on_hand = model.level(*shelf).on_hand + n;
                (
                    *n > 0 && {
                        model.level(*shelf).on_hand = on_hand;
                        true
                    },
                    client.post("/api/stock/restock", line(*shelf, *n)).await,
                )
            }
            Command::Adjust(shelf, n) => {
                let on_hand = model.level(*shelf).on_hand + n;
                let mut body = with(*shelf, "delta", *n);
                body["reason"] = "found".into();
                (*n != 0 && model.set(*shelf, on_hand), client.post("/api/stock/adjust", body).await)
            }
            Command::Count(shelf, n) => {
                (model.set(*shelf, *n), client.post("/api/stock/count", with(*shelf, "counted", *n)).await)
            }
            Command::Limit(shelf, n) => {
                let Level { on_hand, reserved, .. } = *model.level(*shelf);
                let may = reserved <= on_hand + n;
                if may {
                    model.level(*shelf).limit = *n;
                }
                let body = json!({ "location": PLACES[shelf.1], "backorder_limit": n });
                (may, client.put(&format!("/api/variants/{}/policy", sku(lane, shelf.0)), body).await)
            }
            Command::Transfer(s, from, n) => {
                let to = 1 - from;
                let source = model.level((*s, *from)).clone();
                let may = *n > 0 && source.on_hand - source.reserved >= *n;
                if may {
                    model.level((*s, *from)).on_hand -= n;
                    model.level((*s, to)).on_hand += n;
                }
                let body =
                    json!({ "sku": sku(lane, *s), "from": PLACES[*from], "to": PLACES[to], "quantity": n });
                (may, client.post("/api/stock/transfer", body).await)
            }
            Command::Reserve(lines, hours) => {
                let body: Vec<Value> = lines.iter().map(|(shelf, n)| line(*shelf, *n)).collect();
                let body = json!({ "lines": body, "ttl_seconds": hours * 3_600 });
                let answer = client.post("/api/reservations", body).await;
                (model.hold(None, lines, *hours, &answer.body), answer)
            }
            Command::Cart(cart, lines) => {
                let body: Vec<Value> = lines.iter().map(|(shelf, n)| line(*shelf, *n)).collect();
                let owner = format!("cart-{lane}-{cart}");
                let body = json!({ "lines": body, "owner": owner, "ttl_seconds": LONG_HOURS * 3_600 });
                let answer = client.post("/api/reservations", body).await;
                (model.hold(Some(*cart), lines, LONG_HOURS, &answer.body), answer)
            }
            Command::Commit(w, part) | Command::Release(w, part) => {
                let Some(which) = which(*w, &model) else { continue };
                let Hold { id, units, .. } = model.holds[which].clone();
                let first = units.keys().next().copied().unwrap_or_default();
                let body = part.map_or_else(|| json!({}), |n| json!({ "lines": [line(first, n)] }));
                let (verb, expected) = if matches!(command, Command::Commit(..)) {
                    ("commit", model.commit(which, *part))
                } else {
                    ("release", model.release(which, *part))
                };
                (expected, client.post(&format!("/api/reservations/{id}/{verb}"), body).await)
            }
            Command::Extend(w) => {
                let Some(which) = which(*w, &model) else { continue };
                let id = model.holds[which].id.clone();
                let body = json!({ "ttl_seconds": EXTENDED_HOURS * 3_600 });
                (model.extend(which), client.post(&format!("/api/reservations/{id}/extend"), body).await)
            }
        };
        assert_eq!(
            answer.status.is_success(),
            expected,
            "lane {lane}, command {number}, {command:?}: {} {}",
            answer.status,
            answer.body
        );
        assert!(answer.status.as_u16() < 500, "{}", answer.body);
    }
    model
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_commands_at_two_processes_are_answered_as_a_model_on_a_page_would() {
    let one = World::new().await;
    let two = one.twin().await;
    let range: Range<usize> = 0..LANES;
    let skus: Vec<String> = range.clone().flat_map(|lane| (0..SKUS).map(move |n| sku(lane, n))).collect();
    one.stocked(&skus.iter().map(|sku| (sku.as_str(), 0)).collect::<Vec<_>>()).await;
    let two = World { admin: two.admin.with_key(Some(&one.key)), ..two };
    let worlds = [&one, &two];
    let mut runner = TestRunner::deterministic();
    let mut models: Vec<Model> = range.clone().map(|_| Model::default()).collect();
    for round in 0..ROUNDS {
        if round > 0 {
            one.clock.advance(TimeDelta::hours(HOURS_BETWEEN));
            one.project().await;
            while one.onhand.operations.expire_due().await.expect("holds that are due are ended") > 0 {
                one.project().await;
            }
            models.iter_mut().for_each(|model| model.wait(HOURS_BETWEEN));
        }
        let lanes = models.into_iter().enumerate().map(|(lane, model)| {
            let commands = vec(command(), COMMANDS).new_tree(&mut runner).expect("commands can be drawn");
            run(lane, &worlds, model, commands.current())
        });
        models = join_all(lanes).await;
    }
    let late = models.iter().flat_map(|model| &model.holds).filter(|hold| hold.lapsed);
    let (lapsed, sold) =
        late.fold((0, 0), |(all, sold), hold| (all + 1, sold + i32::from(hold.units.is_empty())));
    assert!(lapsed > 500 && sold > 50, "of {lapsed} that had run out {sold} were sold late");

    one.project().await;
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select v.sku, s.location, s.on_hand, s.reserved from stock_levels s
         join variants v on v.tenant_id = s.tenant_id and v.id = s.variant_id",
    )
    .fetch_all(one.onhand.pool())
    .await
    .expect("levels can be read");
    let shown: BTreeMap<_, _> = rows.into_iter().map(|(sku, at, n, r)| ((sku, at), (n, r))).collect();
    for (lane, model) in models.iter().enumerate() {
        for ((s, place), level) in &model.levels {
            let key = (sku(lane, *s), PLACES[*place].to_owned());
            let expected = (level.on_hand, level.reserved);
            assert_eq!(shown.get(&key).copied().unwrap_or_default(), expected, "{key:?}");
        }
    }
    let (held,): (i64,) = sqlx::query_as(
        "select coalesce(sum(reserved - committed - released - expired), 0)::bigint from reservations",
    )
    .fetch_one(one.onhand.pool())
    .await
    .expect("reservations can be read");
    let reserved: i64 =
        models.iter().flat_map(|model| model.levels.values()).map(|level| level.reserved).sum();
    assert_eq!(held, reserved, "active holds add up to what is reserved");
    one.expect_intact().await;
    one.expect_rebuilt_equals_live().await;
}
