//! A hundred thousand commands, drawn at random, against two processes and beside them a model that fits on
//! a page: each answer is what the model says, and in the end everything is.

use std::{collections::BTreeMap, ops::Range};

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
/// Commands in each.
const COMMANDS: usize = 2_550;
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
    Reserve(Vec<(Shelf, i64)>),
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
    prop_oneof![
        4 => (shelf(), 0_i64..9).prop_map(|(s, n)| Command::Restock(s, n)),
        2 => (shelf(), -6_i64..6).prop_map(|(s, n)| Command::Adjust(s, n)),
        1 => (shelf(), 0_i64..12).prop_map(|(s, n)| Command::Count(s, n)),
        1 => (shelf(), 0_i64..4).prop_map(|(s, n)| Command::Limit(s, n)),
        2 => (0..SKUS, 0..PLACES.len(), 0_i64..6).prop_map(|(s, from, n)| Command::Transfer(s, from, n)),
        8 => vec((shelf(), 1_i64..4), 1..4).prop_map(Command::Reserve),
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

#[derive(Default)]
struct Model {
    levels: BTreeMap<Shelf, Level>,
    /// Reservations made, with what is still held.
    held: Vec<(String, BTreeMap<Shelf, i64>)>,
}

impl Model {
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

    fn reserve(&mut self, lines: &[(Shelf, i64)]) -> Option<BTreeMap<Shelf, i64>> {
        let mut sums = BTreeMap::new();
        for (shelf, quantity) in lines {
            *sums.entry(*shelf).or_default() += quantity;
        }
        let fits = |(shelf, wanted): (&Shelf, &i64)| {
            let level = self.levels.get(shelf).cloned().unwrap_or_default();
            level.on_hand + level.limit - level.reserved >= *wanted
        };
        if !sums.iter().all(fits) {
            return None;
        }
        for (shelf, quantity) in &sums {
            self.level(*shelf).reserved += quantity;
        }
        Some(sums)
    }

    /// Takes from one reservation: the given part of its first line, or all of every line.
    fn end(&mut self, which: usize, part: Option<i64>, sold: bool) -> bool {
        let Some((_, held)) = self.held.get(which) else { return false };
        let taken: Vec<(Shelf, i64)> = match part {
            Some(part) => held.iter().take(1).map(|(shelf, _)| (*shelf, part)).collect(),
            None => held.iter().map(|(shelf, units)| (*shelf, *units)).collect(),
        };
        let whole = |(shelf, units): &(Shelf, i64)| {
            let there = !sold || self.levels.get(shelf).is_some_and(|level| *units <= level.on_hand);
            *units > 0 && *units <= held[shelf] && there
        };
        if taken.is_empty() || !taken.iter().all(whole) {
            return false;
        }
        for (shelf, units) in taken {
            let level = self.level(shelf);
            level.reserved -= units;
            level.on_hand -= if sold { units } else { 0 };
            let held = &mut self.held[which].1;
            *held.entry(shelf).or_default() -= units;
            held.retain(|_, units| *units > 0);
        }
        true
    }
}

fn sku(lane: usize, number: usize) -> String {
    format!("M-{lane}-{number}")
}

/// Runs one lane; gives what the model says in the end.
async fn run(lane: usize, worlds: &[&World; 2], commands: Vec<Command>) -> BTreeMap<Shelf, Level> {
    let mut model = Model::default();
    for (number, command) in commands.into_iter().enumerate() {
        let client = &worlds[(number * 7 + lane) % 2].admin;
        let at = |(s, place): Shelf| json!({ "sku": sku(lane, s), "location": PLACES[place] });
        let with = |shelf: Shelf, name: &str, value: i64| {
            let mut body = at(shelf);
            body[name] = value.into();
            body
        };
        let line = |shelf: Shelf, quantity: i64| with(shelf, "quantity", quantity);
        let which = |w: usize, model: &Model| if model.held.is_empty() { 0 } else { w % model.held.len() };
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
            Command::Reserve(lines) => {
                let body: Vec<Value> = lines.iter().map(|(shelf, n)| line(*shelf, *n)).collect();
                let answer = client.post("/api/reservations", json!({ "lines": body })).await;
                let held = model.reserve(lines);
                let expected = held.is_some();
                if let (Some(held), Some(id)) = (held, answer.body["reservation"].as_str()) {
                    model.held.push((id.to_owned(), held));
                }
                (expected, answer)
            }
            Command::Commit(w, part) | Command::Release(w, part) => {
                let which = which(*w, &model);
                let Some((id, held)) = model.held.get(which).cloned() else { continue };
                let (verb, sold) = if matches!(command, Command::Commit(..)) {
                    ("commit", true)
                } else {
                    ("release", false)
                };
                let first = held.keys().next().copied().unwrap_or_default();
                let body = part.map_or_else(|| json!({}), |n| json!({ "lines": [line(first, n)] }));
                let expected = model.end(which, *part, sold);
                (expected, client.post(&format!("/api/reservations/{id}/{verb}"), body).await)
            }
            Command::Extend(w) => {
                let Some((id, held)) = model.held.get(which(*w, &model)).cloned() else { continue };
                let body = json!({ "ttl_seconds": 1_800 });
                (!held.is_empty(), client.post(&format!("/api/reservations/{id}/extend"), body).await)
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
    model.levels
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_commands_at_two_processes_are_answered_as_a_model_on_a_page_would() {
    let one = World::new().await;
    let two = one.twin().await;
    let range: Range<usize> = 0..LANES;
    let skus: Vec<String> = range.clone().flat_map(|lane| (0..SKUS).map(move |n| sku(lane, n))).collect();
    one.stocked(&skus.iter().map(|sku| (sku.as_str(), 0)).collect::<Vec<_>>()).await;
    let mut runner = TestRunner::deterministic();
    let lanes: Vec<Vec<Command>> = range
        .map(|_| vec(command(), COMMANDS).new_tree(&mut runner).expect("commands can be drawn").current())
        .collect();
    let two = World { admin: two.admin.with_key(Some(&one.key)), ..two };
    let worlds = [&one, &two];
    let models = join_all(lanes.into_iter().enumerate().map(|(lane, c)| run(lane, &worlds, c))).await;

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
        for ((s, place), level) in model {
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
    let reserved: i64 = models.iter().flat_map(BTreeMap::values).map(|level| level.reserved).sum();
    assert_eq!(held, reserved, "active holds add up to what is reserved");
    one.expect_intact().await;
    one.expect_rebuilt_equals_live().await;
}
