//! The command line: one file a command. It is the only place where errors lose their types and become a text.

// Before the others: they say things with its macros.
#[macro_use]
mod out;

mod archive;
mod audit;
mod bars;
mod database;
mod demo;
mod health;
mod import;
mod keys;
mod logs;
mod maintenance;
mod metrics;
mod privacy;
mod projections;
mod rebuild;
mod replay;
mod sandbox;
mod secrets;
mod serve;
mod session;
mod signals;
mod status;
mod sync;
mod webhook;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use self::audit::document::shown;

/// The stock ledger that keeps every sales channel honest.
#[derive(Parser)]
#[command(name = "onhand", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers HTTP, lets read models follow and tells platforms, until it is told to stop.
    Serve(serve::Args),
    /// Tells platforms and does what else follows: `serve --roles relay`.
    Relay(serve::Place),
    /// Shows everything at work in a minute: two shops, a price feed, a rush, and the proof that all agree.
    Demo(demo::Args),
    /// Shows how ledgers and all that follows them stand; ends with code 1 if something needs a person: dead letters, a parked
    /// read model, a conflict, or an account that somebody has to see to.
    Status(status::Args),
    /// Shows the same as `status --stats`: also what came and went within the last 24 hours.
    Stats(status::Args),
    /// Gives or withdraws access.
    #[command(subcommand)]
    Key(keys::Command),
    /// Brings in what a spreadsheet says of products and stock.
    Import(import::Args),
    /// Grows read models again from history and says where the live ones differed.
    Rebuild(rebuild::Args),
    /// Shows how far read models are and why one is behind; lets one stand still or go on.
    Projections(projections::Args),
    /// Tells again what has happened to one thing, step by step, or how it differs between two moments.
    Replay(replay::Args),
    /// Proves that history was not altered.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Tells listings once more what they are to show, and reads back what they show.
    #[command(subcommand)]
    Sync(sync::Command),
    /// Copies history into files, checks them, and puts back what was lost.
    #[command(subcommand)]
    Archive(archive::Command),
    /// Removes what is only kept for a while and has been kept long enough.
    Maintenance(maintenance::Args),
    /// Shows what is held about a person, and destroys it.
    #[command(subcommand)]
    Privacy(privacy::Command),
    /// Looks after credentials.
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Looks after the database.
    #[command(subcommand)]
    Db(database::Command),
    /// Asks a running server whether it is ready.
    Health(health::Args),
    /// Makes up deliveries and sends them, as a platform would.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Runs a stand-in Shopify shop to try things out with.
    Sandbox(sandbox::Args),
}

/// How long work that has a thread of its own may take to notice that everything else has ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the program with the arguments it was given.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(matches!(cli.command, Command::Serve(_) | Command::Relay(_)));
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    // On the heap: what `demo` holds across its awaits is large.
    let ended = runtime.block_on(Box::pin(run(cli.command)));
    // What has a thread of its own cannot be dropped. Whatever it still waits for errs from here on.
    runtime.shutdown_timeout(PATIENCE);
    out::unsaid(&ended).unwrap_or_else(|| ended.unwrap_or_else(|error| failed(&error)))
}

/// One processor is left to Postgres, which usually runs on the same machine and is busy whenever we are.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.saturating_sub(1).max(1))
        .enable_all()
        .build()
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Relay(place) => serve::relay(place).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Key(command) => keys::run(command).await,
        Command::Import(args) => import::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Stats(args) => status::stats(args).await,
        Command::Projections(args) => projections::run(args).await,
        Command::Rebuild(args) => rebuild::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Sync(command) => sync::run(command).await,
        Command::Archive(command) => archive::run(command).await,
        Command::Maintenance(args) => maintenance::run(args).await,
        Command::Privacy(command) => privacy::run(command).await,
        Command::Secrets(command) => secrets::run(command).await,
        Command::Db(command) => database::run(command).await,
        Command::Health(args) => health::run(args).await,
        Command::Webhook(command) => webhook::run(command).await,
        Command::Sandbox(args) => sandbox::run(args).await,
    }
}

/// What this program was called by, for commands that people may copy.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "onhand".to_owned())
}

/// One readable line and the causes below it. Many of our errors tell their cause already; none is told twice. They may quote
/// whatever was in a file or an answer: no line of that looks like one of ours.
fn failed(error: &anyhow::Error) -> ExitCode {
    let lines = |text: &str| text.lines().map(shown).collect::<Vec<_>>().join("\n    ");
    let mut told = error.to_string();
    eprintln!("error: {}", lines(&told));
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            eprintln!("  because: {}", lines(&cause));
            told = cause;
        }
    }
    ExitCode::FAILURE
}
