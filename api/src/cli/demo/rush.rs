//! Chapter 8: more buyers than units, all at once, and not one unit promised twice.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    goods::HOT,
    print::{number, short},
    rest::Rest,
    shelves::{available, comparison, shelves, shown},
    stage::{Shop, Stage},
};
use crate::cli::bars;

const BUYERS: usize = 1_000;
const UNITS: i64 = 100;
const CONNECTIONS: usize = 64;
/// Every so many buyers one loses the answer and asks again.
const FORGETFUL: usize = 8;
const COMMITTED: usize = 60;
const RELEASED: usize = 25;

/// What became of some of the buyers.
struct Tally {
    held: BTreeSet<String>,
    refused: usize,
    repeated: usize,
    /// Answers to repeated requests that were not the first answer again.
    forgotten: usize,
    unexpected: Vec<String>,
    micros: Histogram<u64>,
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        let (held, unexpected) = (BTreeSet::new(), Vec::new());
        Ok(Self { held, refused: 0, repeated: 0, forgotten: 0, unexpected, micros: Histogram::new(3)? })
    }

    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.held.extend(other.held);
        self.refused += other.refused;
        self.repeated += other.repeated;
        self.forgotten += other.forgotten;
        self.unexpected.extend(other.unexpected);
        Ok(self.micros.add(other.micros)?)
    }

    /// One buyer wants one unit; a forgetful one asks again with the same key, as if the answer had been lost.
    async fn buy(&mut self, rest: &Rest, buyer: usize) -> anyhow::Result<()> {
        let wanted = json!({ "lines": [{ "sku": HOT, "quantity": 1 }] });
        let key = format!("rush/{buyer}");
        let mut first: Option<Value> = None;
        for _ in 0..=usize::from(buyer.is_multiple_of(FORGETFUL)) {
            let begun = Instant::now();
            let answer = rest.post_once("/api/reservations", &key, &wanted).await?;
            self.micros.record(begun.elapsed().as_micros() as u64)?;
            let reservation = answer.body["reservation"].clone();
            if let Some(first) = &first {
                self.repeated += 1;
                let same = *first == reservation && (reservation.is_null() || answer.replayed);
                self.forgotten += usize::from(!same);
                continue;
            }
            match answer.status {
                201 => drop(self.held.insert(reservation.as_str().unwrap_or_default().to_owned())),
                409 => self.refused += 1,
                status => self.unexpected.push(format!("{status} {}", answer.body["detail"])),
            }
            first = Some(reservation);
        }
        Ok(())
    }
}

/// Chapter 8.
pub(super) async fn rush(stage: &Stage<'_>) -> anyhow::Result<()> {
    let screen = stage.screen;
    let sentence = format!(
        "One size, {UNITS} units, {} buyers over {CONNECTIONS} connections; some ask twice.",
        number(BUYERS)
    );
    screen.chapter(8, "The rush", &sentence);
    let there = available(&shelves(stage).await?).get(HOT).copied().unwrap_or_default();
    let missing = json!({ "sku": HOT, "quantity": UNITS - there, "reference": "PO-1002" });
    stage.rest.post("/api/stock/restock", &missing).await?;

    let begun = Instant::now();
    let tally = all_at_once(&stage.rest).await?;
    let took = begun.elapsed();
    report(stage, &tally, took);
    let held: Vec<String> = tally.held.into_iter().collect();
    end(stage, held).await
}

async fn all_at_once(rest: &Rest) -> anyhow::Result<Tally> {
    let next = Arc::new(AtomicUsize::new(0));
    let bar = bars::bar("buyers".to_owned());
    let mut lines = JoinSet::new();
    for _ in 0..CONNECTIONS {
        // Clones share a pool, which opens a connection whenever none is idle: one for each of these lines.
        let (rest, next, bar) = (rest.clone(), Arc::clone(&next), bar.clone());
        lines.spawn(async move {
            let mut tally = Tally::new()?;
            loop {
                let buyer = next.fetch_add(1, Ordering::Relaxed);
                if buyer >= BUYERS {
                    return anyhow::Ok(tally);
                }
                tally.buy(&rest, buyer).await?;
                bars::set(&bar, buyer as i64, BUYERS as i64);
            }
        });
    }
    let mut tally = Tally::new()?;
    while let Some(done) = lines.join_next().await {
        tally.add(done??)?;
    }
    bar.finish_and_clear();
    Ok(tally)
}

fn report(stage: &Stage<'_>, tally: &Tally, took: Duration) {
    let screen = stage.screen;
    let requests = BUYERS + tally.repeated;
    screen.step(format_args!("{} requests answered", number(requests)), took);
    let at = |quantile| short(Duration::from_micros(tally.micros.value_at_quantile(quantile)));
    let rate = number((requests as f64 / took.as_secs_f64()) as u64);
    screen.say(format_args!(
        "{rate} requests a second, half of them answered within {}, 99 % within {}{}",
        at(0.5),
        at(0.99),
        if cfg!(debug_assertions) { " (an unoptimised build)" } else { "" }
    ));
    screen.gap();
    screen.check(
        tally.held.len() as i64 == UNITS,
        format_args!("{} of {UNITS} units were promised, each to one buyer", tally.held.len()),
    );
    screen.check(
        tally.refused == BUYERS - UNITS as usize && tally.unexpected.is_empty(),
        format_args!(
            "{} buyers were told that nothing is left{}",
            tally.refused,
            surprises(&tally.unexpected)
        ),
    );
    screen.check(
        tally.forgotten == 0,
        format_args!(
            "{} buyers asked again with their key; each got the same answer, none a second unit",
            tally.repeated
        ),
    );
}

fn surprises(unexpected: &[String]) -> String {
    match unexpected {
        [] => String::new(),
        [first, rest @ ..] => format!("; UNEXPECTED: {first} (and {} more)", rest.len()),
    }
}

/// Some pay, some walk away, the others think about it.
async fn end(stage: &Stage<'_>, held: Vec<String>) -> anyhow::Result<()> {
    let screen = stage.screen;
    ensure!(held.len() >= COMMITTED + RELEASED, "too few reservations were made to go on");
    for (verb, part) in [("commit", &held[..COMMITTED]), ("release", &held[COMMITTED..COMMITTED + RELEASED])]
    {
        let begun = Instant::now();
        let nothing = json!({});
        let paths = part.iter().map(|id| format!("/api/reservations/{id}/{verb}"));
        let asked = paths.map(|path| {
            let nothing = &nothing;
            async move { stage.rest.post(&path, nothing).await }
        });
        stream::iter(asked).buffer_unordered(CONNECTIONS).try_for_each(|_| async { Ok(()) }).await?;
        let what = if verb == "commit" { "buyers paid" } else { "buyers let theirs go" };
        screen.step(format_args!("{} {what}", part.len()), begun.elapsed());
    }
    let (left, open) = (UNITS - COMMITTED as i64, UNITS - (COMMITTED + RELEASED) as i64);
    let begun = Instant::now();
    let all = |shop: &Shop| shown(shop).get(HOT).is_some_and(|shown| shown.available == left - open);
    stage.until("what is left", begun, all).await?;
    stage.calm().await?;
    screen.step("all is quiet again", begun.elapsed());
    let shelves = shelves(stage).await?;
    let hot = shelves.iter().find(|shelf| shelf.sku == HOT).context("the hot variant exists")?;
    screen.table(&comparison(stage, [hot]));
    screen.check(
        (hot.on_hand, hot.reserved) == (left, open) && hot.agrees(),
        format_args!("{left} units are left, {open} of them still held for buyers who have not decided"),
    );
    Ok(())
}
