//! Looking back: lists and single things as they were at random positions, beside the same question about the present, and
//! beside a long stream that is replayed from its beginning.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use onhand_domain::{State, StreamId};
use onhand_infrastructure::ledger::{position_at, read};
use uuid::Uuid;

use super::{Chance, Stage};
use crate::Client;

/// Questions of each kind.
const PROBES: usize = 1_000;
/// Times a long stream is replayed.
const REPLAYS: usize = 20;
/// Entries that are read together then.
const READ: i64 = 5_000;

/// A question, without the moment it is about.
struct Probe {
    path: String,
    at: i64,
}

impl Probe {
    fn new(path: String, at: i64) -> Self {
        Self { path, at }
    }

    fn past(&self) -> String {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{mark}at={}", self.path, self.at)
    }
}

/// Asks everything once, and prints how long it took. The same seed asks the same.
pub(super) async fn measure(stage: &Stage<'_>, seed: u64) -> anyhow::Result<()> {
    // Nobody is to wait for the entries that the rebuilds have left.
    while stage.onhand.projector.step().await? > 0 {}
    let head = stage.head().await?.position;
    stage.settle().await?;
    let mut chance = Chance(seed);
    let at = |chance: &mut Chance| stage.begin + 1 + chance.below(head - stage.begin);
    let stock_of = |sku: &str| format!("/api/stock?sku={sku}");
    let hot = stock_of(&stage.shelves[0].0);

    let any: Vec<Probe> =
        (0..PROBES).map(|_| Probe::new(stock_of(&chance.of(&stage.shelves).0), at(&mut chance))).collect();
    let hottest: Vec<Probe> = (0..PROBES).map(|_| Probe::new(hot.clone(), at(&mut chance))).collect();
    let pages: Vec<Probe> =
        (0..PROBES).map(|_| Probe::new("/api/stock?limit=50".to_owned(), at(&mut chance))).collect();
    let (open, later) = reservations(stage, head, &mut chance).await?;
    for (what, probes) in [
        ("stock of a SKU", any),
        ("stock of the hot SKU", hottest),
        ("50 shelves", pages),
        ("a reservation while it is open", open),
        ("a reservation at any time since", later),
    ] {
        let past = ask(&stage.admin, probes.iter().map(Probe::past)).await?;
        let present = ask(&stage.admin, probes.iter().map(|probe| probe.path.clone())).await?;
        println!(
            "  ?at= {what:<32} {}; without ?at= {}; p95 {:.1} ×",
            shown(&past),
            shown(&present),
            milliseconds(&past, 0.95) / milliseconds(&present, 0.95)
        );
    }
    replay(stage, &hot, (0..REPLAYS).map(|_| at(&mut chance)).collect()).await
}

/// Reservations at moments at which they were open, and at any time since they were made.
async fn reservations(
    stage: &Stage<'_>,
    head: i64,
    chance: &mut Chance,
) -> anyhow::Result<(Vec<Probe>, Vec<Probe>)> {
    let mut conn = stage.owner().await?;
    let some: Vec<(Uuid, DateTime<Utc>, i64)> = sqlx::query_as(
        "select reservation_id, min(reserved_at), max(position) from reservations where tenant_id = $1
         group by reservation_id order by md5(reservation_id::text) limit $2",
    )
    .bind(stage.tenant.0)
    .bind(PROBES as i64)
    .fetch_all(&mut conn)
    .await?;
    let path = |id: &Uuid| format!("/api/reservations/{id}");
    let mut open = Vec::with_capacity(some.len());
    let mut later = Vec::with_capacity(some.len());
    for (id, made_at, ended) in &some {
        let since = position_at(&mut conn, stage.tenant, *made_at).await?.min(*ended);
        open.push(Probe::new(path(id), since + chance.below(ended - since)));
        later.push(Probe::new(path(id), since + chance.below(head + 1 - since)));
    }
    Ok((open, later))
}

/// Replays the hot stream up to some positions, and sees to it that a look back at them says the same.
async fn replay(stage: &Stage<'_>, path: &str, positions: Vec<i64>) -> anyhow::Result<()> {
    let mut times = times()?;
    for position in positions {
        let begun = Instant::now();
        let state = state_at(stage, position).await?;
        record(&mut times, begun.elapsed())?;
        let State::Stock(shelf) = state else { continue };
        let answer = stage.admin.get(&format!("{path}&at={position}")).await;
        let told = |name: &str| answer.body["data"][0][name].as_i64().context(answer.text.clone());
        let (on_hand, reserved) = (told("on_hand")?, told("reserved")?);
        ensure!(
            (on_hand, reserved) == (shelf.on_hand().units(), shelf.reserved().units()),
            "a look back at {position} says something else than its entries: {}",
            answer.text
        );
    }
    println!("  the hot stream from its beginning, {REPLAYS} times: {}", shown(&times));
    Ok(())
}

async fn state_at(stage: &Stage<'_>, position: i64) -> anyhow::Result<State> {
    let id: StreamId = stage.hot();
    let (stream, mut state, mut version) = (id.to_string(), State::initial(&id), 0);
    let mut conn = stage.onhand.pool().acquire().await?;
    loop {
        let entries = read::stream(&mut conn, stage.tenant, &stream, version, READ).await?;
        for entry in &entries {
            if entry.position > position {
                return Ok(state);
            }
            state.evolve(entry.event()?)?;
            version = entry.version;
        }
        if (entries.len() as i64) < READ {
            return Ok(state);
        }
    }
}

async fn ask(client: &Client, paths: impl Iterator<Item = String>) -> anyhow::Result<Histogram<u64>> {
    let mut times = times()?;
    for path in paths {
        let begun = Instant::now();
        let answer = client.get(&path).await;
        record(&mut times, begun.elapsed())?;
        ensure!(answer.status.is_success(), "{path}: {}", answer.text);
    }
    Ok(times)
}

/// In microseconds.
fn times() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

fn record(times: &mut Histogram<u64>, time: Duration) -> anyhow::Result<()> {
    Ok(times.record(time.as_micros() as u64)?)
}

fn milliseconds(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1_000.0
}

fn shown(times: &Histogram<u64>) -> String {
    format!("p50 {:.2} ms, p95 {:.2} ms", milliseconds(times, 0.5), milliseconds(times, 0.95))
}
