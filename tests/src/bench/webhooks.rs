//! The front door under load: signed Shopify orders of 2 KB, each about another order, with every check on.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use onhand_infrastructure::{database::local::LocalPostgres, platforms::shopify::sandbox};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::sleep_until};

use super::{
    Options, baseline,
    load::{answer, processor_seconds, schedule},
    quiet, steal,
    subject::{Subject, product},
};
use crate::shop;

/// Bytes of a body.
const BODY_BYTES: usize = 2_048;
/// The order number in a [`Letter`], in whose place each order gets its own of as many digits.
const MARK: u64 = 10_000_000;
/// What is not measured: a process first reads what the one before it has written.
const WARM_UP: Duration = Duration::from_secs(2);

/// What a load saw; times in milliseconds.
struct Seen {
    rate: f64,
    p50: f64,
    p95: f64,
    p99: f64,
    generator: f64,
}

/// Measures the baseline, the door with and without the notes on how each webhook fares, and the door at half load.
pub(super) async fn run(options: &Options, server: &LocalPostgres) -> anyhow::Result<()> {
    let baseline = baseline::Baseline::prepare(server).await?;
    let subject = Subject::start(server, &options.roles).await?;
    let mut sent = 0;
    let mut ratios = vec![];
    let mut costs = vec![];
    for round in 1..=options.rounds {
        quiet(server).await?;
        let pgbench = steal::watched(|| baseline.best_rate(options.seconds)).await?;
        let (_, pgbench) = pgbench.value;
        println!("round {round}\n  pgbench rate      {pgbench:>8.0}/s");
        quiet(server).await?;
        let on = full(&subject, &subject.address, &mut sent, None, options).await?;
        println!("  webhooks          {}  {:.2} × pgbench", shown(&on), on.rate / pgbench);
        quiet(server).await?;
        // Only for as long as it is measured: what it has projected of what it has not written, it would first have to read.
        let (mut silent, address) = subject.without_traces(server, &options.roles).await?;
        let off = full(&subject, &address, &mut sent, None, options).await?;
        silent.kill().await?;
        println!("  traces off        {}", shown(&off));
        quiet(server).await?;
        let half = full(&subject, &subject.address, &mut sent, Some(on.rate / 2.0), options).await?;
        println!("  at half of that   {}", shown(&half));
        ratios.push(on.rate / pgbench);
        costs.push(1.0 - on.rate / off.rate);
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "\nmedian: {:.2} × pgbench; noting how each webhook fared costs {:.1} %",
        median(ratios),
        median(costs) * 100.0
    );
    subject.check_webhooks(sent).await?;
    subject.stop().await;
    Ok(())
}

fn shown(seen: &Seen) -> String {
    let Seen { rate, p50, p95, p99, generator } = seen;
    format!(
        "{rate:>8.0}/s  p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, load took {:.0} % of a processor",
        generator * 100.0
    )
}

/// One measurement over all connections; `pace` is the rate of an open loop, without one each answer brings the next
/// request.
async fn full(
    subject: &Subject,
    address: &str,
    sent: &mut u64,
    pace: Option<f64>,
    options: &Options,
) -> anyhow::Result<Seen> {
    let each = pace.map(|rate| Duration::from_secs_f64(options.connections as f64 / rate));
    let letters = letters()?;
    let door = (address, letters.as_slice());
    load(subject, door, sent, (WARM_UP, each), options).await?;
    let (used, begun) = (processor_seconds(), Instant::now());
    let all = load(subject, door, sent, (Duration::from_secs(options.seconds), each), options).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let at = |quantile| all.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(Seen {
        rate: all.len() as f64 / elapsed,
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        generator: (processor_seconds() - used) / elapsed,
    })
}

/// Sends for a while over all connections; gives the latencies in microseconds.
async fn load(
    subject: &Subject,
    door: (&str, &[Letter]),
    sent: &mut u64,
    (during, each): (Duration, Option<Duration>),
    options: &Options,
) -> anyhow::Result<Histogram<u64>> {
    schedule("--batch").await;
    let until = Instant::now() + during;
    let first = *sent;
    let loops = (0..options.connections as u64).map(|lane| {
        // Order ids of a lane are its own, and never used twice.
        let ids = (first + lane..).step_by(options.connections);
        // At a pace they come one after the other, and not all at once.
        let begin =
            Instant::now() + each.unwrap_or_default().mul_f64(lane as f64 / options.connections as f64);
        sender(subject, door, ids, (begin, until), each)
    });
    let histograms = try_join_all(loops).await?;
    schedule("--other").await;
    let mut all = Histogram::<u64>::new(3)?;
    let most = histograms.iter().map(Histogram::len).max().unwrap_or(0);
    for histogram in histograms {
        all.add(histogram)?;
    }
    *sent += most * options.connections as u64;
    subject.acknowledged.fetch_add(all.len(), std::sync::atomic::Ordering::Relaxed);
    Ok(all)
}

/// An order for one unit of a variant, written down but for its number: composing it is the shop's work, and not what is measured.
struct Letter {
    place: u64,
    before: String,
    between: String,
    after: String,
}

impl Letter {
    fn new(product: &Value, place: usize) -> anyhow::Result<Self> {
        let mut order = shop::order(MARK, product, &[(place, 1)]);
        let length = order.to_string().len() + r#","note":"""#.len();
        ensure!(length < BODY_BYTES, "an order has {length} bytes already");
        order["note"] = json!("x".repeat(BODY_BYTES - length));
        let text = order.to_string();
        let line = (MARK * 10 + place as u64).to_string();
        let (before, rest) = text.split_once(&MARK.to_string()).context("an order has a number")?;
        let (between, after) = rest.split_once(&line).context("its line has one")?;
        let [before, between, after] = [before, between, after].map(str::to_owned);
        Ok(Self { place: place as u64, before, between, after })
    }

    /// The body about this order.
    fn about(&self, order: u64) -> String {
        let Self { place, before, between, after } = self;
        format!("{before}{order}{between}{}{after}", order * 10 + place)
    }
}

/// One for each variant.
fn letters() -> anyhow::Result<Vec<Letter>> {
    let products: Vec<Value> = (0..10).map(product).collect();
    let of = |n: usize| Letter::new(&products[n % 10], n / 10);
    (0..1_000).map(of).collect()
}

async fn sender(
    subject: &Subject,
    (address, letters): (&str, &[Letter]),
    ids: impl Iterator<Item = u64>,
    (begin, until): (Instant, Instant),
    each: Option<Duration>,
) -> anyhow::Result<Histogram<u64>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Histogram::<u64>::new(3)?;
    let mut buffer = vec![0_u8; 4_096];
    let mut due = begin;
    for id in ids {
        if Instant::now() >= until {
            break;
        }
        let body = letters[id as usize % letters.len()].about(MARK + id);
        let head = format!(
            "POST /webhook/shopify/{} HTTP/1.1\r\nhost: onhand\r\nuser-agent: Shopify-Captain-Hook\r\n\
             content-type: application/json\r\nx-shopify-topic: orders/create\r\nx-shopify-webhook-id: bench-{id}\r\n\
             x-shopify-shop-domain: shop.example\r\nx-shopify-hmac-sha256: {}\r\ncontent-length: {}\r\n\r\n{body}",
            subject.connection,
            sandbox::sign(shop::SECRET, body.as_bytes()),
            body.len(),
        );
        if let Some(each) = each {
            due += each;
            sleep_until(due.into()).await;
        } else {
            due = Instant::now();
        }
        stream.write_all(head.as_bytes()).await?;
        answer(&mut stream, &mut buffer, "200").await?;
        latencies.record(due.elapsed().as_micros() as u64)?;
    }
    Ok(latencies)
}
