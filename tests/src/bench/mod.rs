//! The benchmark, in parts: the baseline, the server under load, the load, the report.

mod baseline;
mod convergence;
mod history;
mod load;
mod naive;
mod relay;
mod report;
mod states;
mod steal;
mod subject;
mod webhooks;

use std::process::ExitCode;

use clap::Parser;
use onhand_infrastructure::database::local::{LocalPostgres, LocalSettings};
use sqlx::Connection;
use tokio::runtime::Builder;

use self::report::{Report, Round};

/// HTTP reservations against the pgbench rate.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Rounds; in each, baseline and candidate take turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds a measurement lasts.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// What the server does besides: with `api,projector` its read models follow, on the same processors.
    #[arg(long, default_value = "api")]
    roles: String,
    /// Measure the naive way over HTTP, too: a transaction a request, and a row lock.
    #[arg(long)]
    naive: bool,
    /// Measure two processes on one hot variant, too.
    #[arg(long)]
    pair: bool,
    /// Measure something else: how a stream of a million entries loads, and what a million shelves take in memory.
    #[arg(long)]
    states: bool,
    /// Measure something else: signed webhooks through the front door, and what it costs to note how they fare.
    #[arg(long)]
    webhooks: bool,
    /// Run something else: ten thousand changes of five hundred listings on five platforms that fail.
    #[arg(long)]
    convergence: bool,
    /// Measure something else: how many pushes the relay settles a second.
    #[arg(long)]
    relay: bool,
    /// Measure something else: following, rebuilding, verifying and looking back at a long history.
    #[arg(long)]
    history: bool,
    /// How many entries that history has.
    #[arg(long, default_value_t = 1_000_000)]
    entries: i64,
    /// Leave the baseline out, to look at the candidate alone; there are no ratios then.
    #[arg(long)]
    candidate_only: bool,
    /// Where its own Postgres is kept.
    #[arg(long, default_value_os_t = std::env::temp_dir().join("onhand-bench"))]
    data_dir: std::path::PathBuf,
}

/// Runs it.
pub fn main() -> ExitCode {
    let options = Options::parse();
    // A load that is one thread takes less from the server: each answer wakes it, and nobody else.
    let mut runtime =
        if is_load(&options) { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    wait_in(&mut runtime, async { run(&options).await })
}

/// Runs the naive server that is measured beside ours.
pub fn serve_naively(url: &str) -> ExitCode {
    wait_for(naive::serve(url))
}

/// Measures the states of a history that another process has made.
pub fn measure_states(url: &str) -> ExitCode {
    wait_for(states::measure(url))
}

fn wait_for(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    wait_in(&mut Builder::new_multi_thread(), work)
}

fn wait_in(runtime: &mut Builder, work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = runtime.enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_load(options: &Options) -> bool {
    !(options.states || options.convergence || options.history || options.relay)
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let settings = LocalSettings {
        extra: vec![("shared_buffers".into(), "1GB".into()), ("min_wal_size".into(), "2GB".into())],
        ..LocalSettings::at(&options.data_dir)
    };
    let server = LocalPostgres::start(settings).await?;
    let info = server.info();
    println!(
        "PostgreSQL {}, fsync on, synchronous_commit on, shared_buffers 1GB; {} processors",
        info.version,
        cores()
    );
    if options.states {
        let outcome = states::run(&server).await;
        server.stop().await?;
        return outcome;
    }
    if options.convergence {
        let outcome = convergence::run(&server).await;
        server.stop().await?;
        return outcome;
    }
    if options.history {
        let outcome = history::run(options, &server).await;
        server.stop().await?;
        return outcome;
    }
    println!(
        "{} rounds of {} s a measurement; HTTP over {} connections; the server does: {}\n",
        options.rounds, options.seconds, options.connections, options.roles
    );
    if is_load(options) && !load::schedule("--other").await {
        println!("without `chrt` each answer interrupts the server\n");
    }
    run_in(&server).await?;
    if options.relay {
        let outcome = relay::run(options, &server).await;
        server.stop().await?;
        return outcome;
    }
    if options.webhooks {
        let outcome = webhooks::run(options, &server).await;
        server.stop().await?;
        return outcome;
    }
    let outcome = measure(options, &server).await;
    server.stop().await?;
    outcome?.print();
    Ok(())
}

async fn measure(options: &Options, server: &LocalPostgres) -> anyhow::Result<Report> {
    let baseline = baseline::Baseline::prepare(server).await?;
    let subject = subject::Subject::start(server, &options.roles).await?;
    let naive = match options.naive {
        true => Some(naive::Naive::start(server, &subject.cold).await?),
        false => None,
    };
    let target = subject.target();
    let mut report = Report::default();
    for number in 1..=options.rounds {
        quiet(server).await?;
        let pgbench = if options.candidate_only {
            steal::Watched { value: (0, f64::NAN), steal: 0.0 }
        } else {
            steal::watched(|| baseline.best_rate(options.seconds)).await?
        };
        quiet(server).await?;
        let cold = steal::watched(|| load::run(target, &subject.cold, options)).await?;
        quiet(server).await?;
        let hot = steal::watched(|| load::run(target, &subject.hot, options)).await?;
        let naive = match &naive {
            Some(naive) => {
                let target = load::Target { addresses: [&naive.address; 2], key: "none" };
                quiet(server).await?;
                let cold = steal::watched(|| load::run(target, &subject.cold, options)).await?;
                quiet(server).await?;
                Some((cold, steal::watched(|| load::run(target, &subject.hot, options)).await?))
            }
            None => None,
        };
        let pair = match options.pair {
            true => {
                quiet(server).await?;
                let second = subject.second(server, &options.roles).await?;
                let pair = subject.pair(&second);
                // Like the first process it has read the shelf before it is measured.
                load::run(pair, &subject.hot, &Options { seconds: 1, ..options.clone() }).await?;
                Some(steal::watched(|| load::run(pair, &subject.hot, options)).await?)
            }
            false => None,
        };
        let round = Round { number, pgbench, cold, hot, pair, naive };
        round.print();
        report.rounds.push(round);
    }
    subject.check().await?;
    subject.stop().await;
    if let Some(naive) = naive {
        naive.stop().await;
    }
    Ok(report)
}

/// Brings a server that has just been started to where it is after some time at work: all of its memory has been touched, and the
/// files of its log are there to be used again. Else a commit now and then pays for a page of memory, or fills a file of 16 MB.
async fn run_in(server: &LocalPostgres) -> anyhow::Result<()> {
    fresh_database(server, "bench_run_in").await?;
    let mut conn = sqlx::PgConnection::connect_with(&server.connect_options("bench_run_in")).await?;
    // Twice the memory the server has, in pages of one row each.
    let fill = "create table pages (filling text);
                alter table pages alter column filling set storage plain;
                insert into pages select repeat('x', 7900) from generate_series(1, 262144);
                checkpoint";
    for sql in fill.split(';') {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await?;
    }
    conn.close().await?;
    let mut admin = sqlx::PgConnection::connect_with(&server.connect_options("postgres")).await?;
    sqlx::raw_sql("drop database bench_run_in with (force)").execute(&mut admin).await?;
    Ok(())
}

/// Lets the database clean up what the measurement before has left: nobody pays for the traces of another.
async fn quiet(server: &LocalPostgres) -> anyhow::Result<()> {
    let mut admin = sqlx::PgConnection::connect_with(&server.connect_options("postgres")).await?;
    let databases: Vec<(String,)> =
        sqlx::query_as("select datname from pg_database where datname like 'bench_%' order by 1")
            .fetch_all(&mut admin)
            .await?;
    for (database,) in databases {
        let mut conn = sqlx::PgConnection::connect_with(&server.connect_options(&database)).await?;
        sqlx::raw_sql("vacuum (analyze)").execute(&mut conn).await?;
    }
    // What that has written is on the disk before anybody waits for a flush of the log: it would wait for all of it.
    let synced = tokio::process::Command::new("sync").status().await?;
    anyhow::ensure!(synced.success(), "`sync` has failed");
    Ok(())
}

/// An empty database of this name, whatever was there before.
async fn fresh_database(server: &LocalPostgres, name: &str) -> anyhow::Result<()> {
    let mut admin = sqlx::PgConnection::connect_with(&server.connect_options("postgres")).await?;
    for sql in [format!("drop database if exists {name} with (force)"), format!("create database {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await?;
    }
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
