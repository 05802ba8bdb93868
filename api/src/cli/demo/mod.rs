//! `onhand demo`: the whole product at work in under a minute, on a stage of its own that is taken down again.

mod farewell;
mod goods;
mod opening;
mod print;
mod proof;
mod rest;
mod rush;
mod shelves;
mod stage;
mod trading;

use std::{pin::pin, process::ExitCode, time::Instant};

use onhand_infrastructure::config::Config;

use self::{
    print::{Ink, Screen, short},
    stage::Props,
};
use super::signals::told_to_stop;

/// What `demo` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Ends after the last check instead of leaving the server up; with code 1 if a check failed.
    #[arg(long)]
    exit: bool,
    /// Where the server listens on 127.0.0.1; by default 7070 or, if that is taken, any free port.
    #[arg(long)]
    port: Option<u16>,
}

/// The exit code of a program that was interrupted.
const INTERRUPTED: u8 = 130;

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::from_env()?;
    let screen = Screen::new();
    let mut props = Props::default();
    let mut stop = pin!(told_to_stop());
    let played = tokio::select! {
        played = play(&args, &config, &screen, &mut props) => played.map(|()| true),
        () = &mut stop => Ok(false),
    };
    if matches!(played, Ok(true)) && !args.exit {
        stop.await;
    }
    screen.gap();
    let begun = Instant::now();
    let taken_down = props.take_down().await;
    if taken_down.is_ok() {
        screen.step("everything that was started is stopped", begun.elapsed());
    }
    let played = played?;
    taken_down?;
    Ok(match (played, screen.failures()) {
        (false, _) => ExitCode::from(INTERRUPTED),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::FAILURE,
    })
}

async fn play(args: &Args, config: &Config, screen: &Screen, props: &mut Props) -> anyhow::Result<()> {
    let begun = Instant::now();
    screen.gap();
    screen.say(screen.ink(Ink::Bold, "Onhand: one stock ledger, many shops, and never a unit sold twice"));
    screen.say(screen.ink(Ink::Dim, "This takes a few seconds; Ctrl-C ends it at any time and tidies up."));
    let options = opening::postgres(screen, config, props).await?;
    opening::server(screen, config, args, &options, props).await?;
    let stage = opening::connections(screen, config, props).await?;
    trading::products(&stage).await?;
    trading::restock(&stage).await?;
    trading::prices(&stage).await?;
    trading::orders(&stage).await?;
    rush::rush(&stage).await?;
    proof::proof(&stage).await?;
    screen.gap();
    let took = short(begun.elapsed());
    match screen.failures() {
        0 => {
            screen.say(screen.ink(Ink::Good, format_args!("Every check holds; the whole story took {took}.")))
        }
        failed => screen
            .say(screen.ink(Ink::Bad, format_args!("{failed} checks FAILED; the whole story took {took}."))),
    }
    if !args.exit {
        farewell::farewell(&stage, props.server.as_ref()).await?;
    }
    Ok(())
}
