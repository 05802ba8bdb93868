//! Convergence: platforms that fail, one that is away, relays that die, and in the end every listing shows what the ledger
//! says, for little more than one attempt a change.
//!
//! A run has rounds. In each, stock and prices change through the API, at random and the same in each run; then the relay
//! takes some steps while the clock is turned. Webhooks are left out: nobody is told of what happens on the stand-ins, and
//! what comes in doubled or out of order is tested where webhooks are.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures_util::future::join_all;
use onhand_domain::connection::Platform;
use serde_json::{Value, json};

use crate::{
    Answer, World,
    channels::{self, Channel, Setup},
};

/// Who is told. The first keeps units back.
const PLATFORMS: [Platform; 5] =
    [Platform::Square, Platform::Clover, Platform::Shopee, Platform::TiktokShop, Platform::Woocommerce];
/// Units that the first does not show.
const BUFFER: i64 = 2;
/// Who is away for a third of the rounds.
const AWAY: Platform = Platform::Woocommerce;

/// Units of each SKU to begin with.
const UNITS: i64 = 60;
/// Changes that are asked for at the same time.
const ABREAST: usize = 25;
/// Changes before a relay is killed: what it has in hand is tried once more by another.
const IN_HAND: usize = 2;

/// Steps of the relay in a round, and how far the clock is turned after each: what waits in its backoff goes with what has
/// changed by the next round.
const STEPS: usize = 8;
const TURN: TimeDelta = TimeDelta::milliseconds(100);
/// How far the clock is turned between rounds.
const PAUSE: TimeDelta = TimeDelta::seconds(15);
/// After this the leases of a relay that died have run out.
const LEASED: TimeDelta = TimeDelta::seconds(61);
/// How often others are let go on until nothing is on its way any more.
const YIELDS: usize = 10_000;

/// Attempts that a change may cost on average, with one call in ten failing.
pub const ATTEMPTS_MAX: f64 = 1.2;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// On all platforms together.
    pub listings: usize,
    /// Of stock and prices, in all rounds together.
    pub changes: usize,
    /// In which they come.
    pub rounds: usize,
}

impl Size {
    /// For every run of the tests. With fewer rounds it is for the dice to say whether a tenth of the calls fails or a fifth:
    /// one call tells of all that a platform is owed.
    pub const SMALL: Self = Self { listings: 60, changes: 1_000, rounds: 30 };
    /// For those who have a minute.
    pub const FULL: Self = Self { listings: 500, changes: 10_000, rounds: 40 };
}

/// What a run took.
#[derive(Debug, Clone)]
pub struct Took {
    /// Calls to each platform.
    pub calls: Vec<(Platform, u64)>,
    /// Times that a listing's quantity or price was tried to be shown.
    pub attempts: i64,
    /// Figures of listings that had become others in a round in which their platform was there; those of one that was away
    /// count once for all of that time.
    pub changed: i64,
    /// From the first change until everything was shown.
    pub time: Duration,
}

impl Took {
    /// Attempts a change.
    pub fn ratio(&self) -> f64 {
        self.attempts as f64 / self.changed as f64
    }
}

/// Small, fast and repeatable; no secret depends on it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

/// A listing's figure: where, of what, and which.
type Figure = (Platform, String, &'static str);

struct Run<'w> {
    world: &'w World,
    channels: Vec<Channel>,
    skus: Vec<String>,
    dice: Dice,
    /// What each figure was to be when that was last counted.
    last: BTreeMap<Figure, i64>,
    changed: i64,
}

/// Runs it in a world with nothing in it.
///
/// # Panics
/// When anything is not as it has to be in the end.
pub async fn run(world: &World, size: Size) -> Took {
    let mut run = Run::prepare(world, size.listings / PLATFORMS.len()).await;
    let (before, begun) = (run.attempts().await, Instant::now());
    let calls: Vec<u64> = run.channels.iter().map(|channel| channel.calls().made).collect();
    for round in 0..size.rounds {
        let away = (size.rounds / 3..size.rounds * 2 / 3).contains(&round).then_some(AWAY);
        for channel in &run.channels {
            channel.faults().down(away == Some(channel.platform));
        }
        let mut left = size.changes * (round + 1) / size.rounds - size.changes * round / size.rounds;
        if [size.rounds / 4, size.rounds * 3 / 4].contains(&round) {
            run.change(IN_HAND, away).await;
            run.kill().await;
            run.relay().await;
            left -= IN_HAND;
        }
        run.change(left, away).await;
        run.relay().await;
    }
    run.channels.iter().for_each(|channel| channel.faults().clear());
    run.count(None).await;
    world.converge().await;
    let time = begun.elapsed();
    let calls = run.channels.iter().zip(calls).map(|(it, before)| (it.platform, it.calls().made - before));
    let calls = calls.collect();
    let took = Took { calls, attempts: run.attempts().await - before, changed: run.changed, time };
    run.check(&took).await;
    took
}

impl<'w> Run<'w> {
    /// Five platforms that show what the ledger says, and have begun to fail.
    async fn prepare(world: &'w World, skus: usize) -> Self {
        let skus: Vec<String> = (0..skus).map(|number| format!("RUN-{number:03}")).collect();
        channels::stock(world, &skus, UNITS, Some("100.00")).await;
        let mut run =
            Self { world, channels: vec![], skus, dice: Dice(20_261_126), last: BTreeMap::new(), changed: 0 };
        for platform in PLATFORMS {
            let rules = json!({ "rules": { "safetyBuffer": buffer(platform) } });
            let setup = Setup { more: rules, ..Setup::default() };
            let channel = Channel::open_with(world, platform, &run.skus, &setup).await;
            run.channels.push(channel);
        }
        world.converge().await;
        run.count(None).await;
        run.changed = 0;
        for (channel, seed) in run.channels.iter().zip(1..) {
            let faults = channel.faults();
            faults.seed(seed);
            faults.fail_rate(0.05);
            faults.drop_after_applying_rate(0.05);
        }
        run
    }

    /// Changes stock and prices, and counts which figures have become others.
    async fn change(&mut self, count: usize, away: Option<Platform>) {
        let mut left = count;
        while left > 0 {
            let drawn: Vec<_> = (0..left.min(ABREAST)).map(|_| self.draw()).collect();
            let answers = join_all(drawn.into_iter().map(|change| self.ask(change))).await;
            left -= answers.iter().filter(|answer| answer.status.is_success()).count();
        }
        self.count(away).await;
    }

    /// One change, as somebody would ask for it.
    fn draw(&mut self) -> (String, Value) {
        let sku = self.skus[self.dice.below(self.skus.len())].clone();
        let (sort, units) = (self.dice.below(20), 1 + self.dice.below(9));
        match sort {
            0..8 => {
                let lines = json!([{ "sku": sku, "quantity": units.min(3) }]);
                ("/api/reservations".to_owned(), json!({ "lines": lines, "ttl_seconds": 86_400 }))
            }
            8..13 => ("/api/stock/restock".to_owned(), json!({ "sku": sku, "quantity": units })),
            13..17 => {
                let delta = -(units.min(4) as i64);
                ("/api/stock/adjust".to_owned(), json!({ "sku": sku, "delta": delta, "reason": "broken" }))
            }
            _ => {
                let amount = format!("{}.{:02}", 50 + self.dice.below(150), self.dice.below(100));
                let path = format!("/api/variants/{sku}/prices/US");
                (path, json!({ "amount": amount, "currency": "USD" }))
            }
        }
    }

    async fn ask(&self, change: (String, Value)) -> Answer {
        let ((path, body), client) = (change, &self.world.admin);
        let answer = if path.starts_with("/api/variants/") {
            client.put(&path, body).await
        } else {
            client.post(&path, body).await
        };
        // What is not there any more cannot be had, which is no change.
        let fine = answer.status.is_success() || answer.status == 409;
        assert!(fine, "{path}: {} {}", answer.status, answer.body);
        answer
    }

    /// Counts the figures that are to be others than before. Those of a platform that is away wait until it is back.
    async fn count(&mut self, away: Option<Platform>) {
        for (figure, value) in self.owed().await {
            if Some(figure.0) != away && self.last.insert(figure, value) != Some(value) {
                self.changed += 1;
            }
        }
    }

    /// What each listing is to show.
    async fn owed(&self) -> BTreeMap<Figure, i64> {
        let (levels, prices) = (self.world.levels().await, self.prices().await);
        let mut owed = BTreeMap::new();
        for platform in PLATFORMS {
            for sku in &self.skus {
                let quantity = (levels[sku].2 - buffer(platform)).max(0);
                owed.insert((platform, sku.clone(), "quantity"), quantity);
                owed.insert((platform, sku.clone(), "price"), prices[sku]);
            }
        }
        owed
    }

    async fn prices(&self) -> BTreeMap<String, i64> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("select sku, (prices->'US'->>'minor')::bigint from variants where tenant_id = $1")
                .bind(self.world.tenant.0)
                .fetch_all(self.world.onhand.pool())
                .await
                .expect("prices can be read");
        rows.into_iter().collect()
    }

    async fn relay(&self) {
        for _ in 0..STEPS {
            self.world.project().await;
            self.world.onhand.relay.step().await.expect("the relay works");
            self.world.clock.advance(TURN);
        }
        self.world.clock.advance(PAUSE);
    }

    /// A relay dies while it waits for platforms that have done as they were told, and its leases run out.
    async fn kill(&self) {
        let silence = |calls| {
            self.channels.iter().for_each(|it| it.faults().time_out_after_applying_next(calls));
        };
        self.world.project().await;
        let before = self.calls();
        silence(1);
        self.world.kill_relay(|| self.calls() > before).await;
        // A lease is far longer than a call; here it is over as soon as the clock is turned. What the dead relay has sent is
        // let arrive first, as it would.
        let (mut quiet, mut calls) = (0, self.calls());
        while quiet < YIELDS {
            tokio::task::yield_now().await;
            let working = self.channels.iter().any(|channel| channel.sandbox.at_work() > 0);
            let still = !working && calls == self.calls();
            (quiet, calls) = (if still { quiet + 1 } else { 0 }, self.calls());
        }
        silence(0);
        // What was on its way arrives: the clock is not to be turned over it.
        let mut seen = before;
        while seen != self.calls() {
            seen = self.calls();
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
        }
        self.world.clock.advance(LEASED);
    }

    fn calls(&self) -> u64 {
        self.channels.iter().map(|channel| channel.calls().made).sum()
    }

    async fn attempts(&self) -> i64 {
        let (attempts,): (i64,) = sqlx::query_as("select coalesce(sum(attempts), 0)::bigint from outbox")
            .fetch_one(self.world.onhand.pool())
            .await
            .expect("the outbox can be read");
        attempts
    }

    async fn check(&self, took: &Took) {
        self.check_shown().await;
        self.check_order().await;
        let (unsettled,): (i64,) = sqlx::query_as(
            "select count(*) from outbox where status not in ('done', 'superseded')", // dead ones among them
        )
        .fetch_one(self.world.onhand.pool())
        .await
        .expect("the outbox can be read");
        assert_eq!(unsettled, 0, "nothing is dead, and nothing waits");
        for (sku, (on_hand, reserved, _)) in self.world.levels().await {
            assert!((0..=on_hand).contains(&reserved), "{sku}: {reserved} of {on_hand} are sold");
        }
        let history = self.world.history().await;
        for turn in ["connection.tripped", "connection.recovered"] {
            assert!(history.iter().any(|name| name == turn), "a platform that is away is left alone");
        }
        assert!(
            took.changed > 0 && took.ratio() <= ATTEMPTS_MAX,
            "{:.3} attempts a change: {took:?}",
            took.ratio()
        );
        self.world.expect_intact().await;
        self.world.expect_rebuilt_equals_live().await;
    }

    /// Each listing shows what it is to show.
    async fn check_shown(&self) {
        let owed = self.owed().await;
        for channel in &self.channels {
            let (platform, shows) = (channel.platform, channel.shows());
            for sku in &self.skus {
                let figure = |which| owed[&(platform, sku.clone(), which)];
                assert_eq!(shows[sku], (figure("quantity"), figure("price")), "{platform}, {sku}");
            }
        }
    }

    /// No listing was told something that was true before what it had been told.
    async fn check_order(&self) {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select stream, (payload::json->>'as_of')::bigint from events
             where tenant_id = $1 and name = 'listing.quantity_pushed' order by position",
        )
        .bind(self.world.tenant.0)
        .fetch_all(self.world.onhand.pool())
        .await
        .expect("history can be read");
        let mut known: BTreeMap<String, i64> = BTreeMap::new();
        for (listing, as_of) in rows {
            let before = known.insert(listing.clone(), as_of);
            assert!(before < Some(as_of), "{listing} went back from {before:?} to {as_of}");
        }
        assert_eq!(known.len(), self.skus.len() * PLATFORMS.len(), "each listing was told of its stock");
    }
}

fn buffer(platform: Platform) -> i64 {
    if platform == PLATFORMS[0] { BUFFER } else { 0 }
}
