//! The load: closed loops over kept-alive connections, each request with an `Idempotency-Key` of its own.
//!
//! It writes and reads HTTP by hand: a client library would take from the server the processors they share.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use super::Options;

/// What a load saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Reservations acknowledged, a second.
    pub(super) rate: f64,
    /// Milliseconds, half of the answers were quicker.
    pub(super) p50_ms: f64,
    /// Milliseconds, 99 of 100 answers were quicker.
    pub(super) p99_ms: f64,
    /// Share of one processor the load itself took.
    pub(super) generator: f64,
}

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'t> {
    /// `127.0.0.1:port`; the connections take turns.
    pub(super) addresses: [&'t str; 2],
    /// What is shown as a key.
    pub(super) key: &'t str,
}

/// Reserves single units of `skus`, at random, for a while.
pub(super) async fn run(target: Target<'_>, skus: &[String], options: &Options) -> anyhow::Result<Seen> {
    schedule("--batch").await;
    let used = processor_seconds();
    let begun = Instant::now();
    let until = begun + Duration::from_secs(options.seconds);
    let loops = (0..options.connections).map(|n| buyer(target, skus, until, n as u64));
    let histograms = try_join_all(loops).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    schedule("--other").await;
    let mut all = Histogram::<u64>::new(3)?;
    for histogram in histograms {
        all.add(histogram)?;
    }
    Ok(Seen {
        rate: all.len() as f64 / elapsed,
        p50_ms: all.value_at_quantile(0.5) as f64 / 1_000.0,
        p99_ms: all.value_at_quantile(0.99) as f64 / 1_000.0,
        generator: (processor_seconds() - used) / elapsed,
    })
}

/// Has `chrt` schedule this thread, the load, as a batch process or as any other; what is started meanwhile is scheduled alike. An
/// answer that wakes a batch process does not interrupt the server in the midst of the next one: clients are on other
/// machines as a rule. False where that cannot be had.
pub(super) async fn schedule(policy: &str) -> bool {
    let thread = std::process::id().to_string(); // the first one has the number of its process
    let asked = tokio::process::Command::new("chrt").args([policy, "--pid", "0", &thread]).status();
    asked.await.is_ok_and(|status| status.success())
}

async fn buyer(
    target: Target<'_>,
    skus: &[String],
    until: Instant,
    seed: u64,
) -> anyhow::Result<Histogram<u64>> {
    let mut stream = TcpStream::connect(target.addresses[seed as usize % 2]).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Histogram::<u64>::new(3)?;
    let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut buffer = vec![0_u8; 4_096];
    while Instant::now() < until {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let sku = &skus[(dice % skus.len() as u64) as usize];
        let body = format!(r#"{{"lines":[{{"sku":"{sku}","quantity":1}}]}}"#);
        let request = format!(
            "POST /api/reservations HTTP/1.1\r\nhost: onhand\r\nauthorization: Bearer {}\r\nidempotency-key: \"{}\"\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            target.key,
            Uuid::now_v7(),
            body.len(),
        );
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer(&mut stream, &mut buffer, "201").await?;
        latencies.record(asked.elapsed().as_micros() as u64)?;
    }
    Ok(latencies)
}

/// Reads one answer; another status than this ends the run.
pub(super) async fn answer(stream: &mut TcpStream, buffer: &mut [u8], status: &str) -> anyhow::Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            bail!("the server hung up");
        }
        filled += read;
        let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end])?;
        if head.split(' ').nth(1) != Some(status) {
            bail!("{}", String::from_utf8_lossy(&buffer[..filled]));
        }
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .context("an answer has a length")?
            .parse()?;
        if filled >= end + 4 + length {
            return Ok(());
        }
    }
}

/// Processor time of this process so far, in seconds; 0 where that is not told.
pub(super) fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}
