//! `onhand db`: where the data lies, a prompt to look at it, and how to be rid of it.

use std::process::{self, ExitCode};

use anyhow::{Context, bail};
use onhand_infrastructure::{
    config::Config,
    database::{
        Server,
        local::{self, LocalSettings},
        server_facts,
    },
};
use sqlx::postgres::PgConnectOptions;

use super::session::DATABASE;

/// What can be done with the database.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Says which Postgres is used and where its data lies; starts nothing.
    Info,
    /// Opens psql on the database, starting our own Postgres for as long if it does not run.
    Psql {
        /// Handed to psql as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Stops our own Postgres, whoever uses it.
    Stop,
    /// Removes our own Postgres with all its data.
    Reset {
        /// That this is really meant.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let url = Config::from_env()?.database_url;
    match (command, url) {
        (Command::Info, Some(url)) => info_elsewhere(&url).await?,
        (Command::Info, None) => info().await?,
        (Command::Psql { args }, Some(url)) => return wait_for(psql_elsewhere(&url, &args)).await,
        (Command::Psql { args }, None) => return psql(&args).await,
        (Command::Stop | Command::Reset { .. }, Some(_)) => {
            bail!("DATABASE_URL names a server that is not ours to stop or remove")
        }
        (Command::Stop, None) => match local::stop(&LocalSettings::from_env()).await? {
            true => println!("Postgres is stopped."),
            false => println!("No Postgres of ours was running."),
        },
        (Command::Reset { yes }, None) => reset(yes).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn info() -> anyhow::Result<()> {
    let settings = LocalSettings::from_env();
    println!("data folder  {}", settings.root.display());
    let Some(info) = local::status(&settings).await? else {
        println!("server       not running; it is started when it is needed");
        return Ok(());
    };
    println!("server       PostgreSQL {}, process {}", info.version, info.pid);
    println!("cluster      {}", info.data_dir.display());
    match &info.socket_dir {
        Some(folder) => println!("socket       {}/.s.PGSQL.{}", folder.display(), info.port),
        None => println!("address      127.0.0.1:{}", info.port),
    }
    println!("binaries     {} ({})", info.bin_dir.display(), info.found);
    println!("database     {DATABASE}; look into it with `onhand db psql`");
    Ok(())
}

async fn info_elsewhere(url: &str) -> anyhow::Result<()> {
    let options: PgConnectOptions = url.parse().context("DATABASE_URL cannot be understood")?;
    println!("server       {}:{} (from DATABASE_URL)", options.get_host(), options.get_port());
    let facts = server_facts(&options).await.context("it cannot be reached")?;
    println!("version      PostgreSQL {}", facts.version);
    println!("durable      {}", if facts.durable { "yes" } else { "NO: fsync or synchronous_commit is off" });
    println!("database     {} as {}", facts.database, facts.account);
    Ok(())
}

async fn reset(yes: bool) -> anyhow::Result<()> {
    let settings = LocalSettings::from_env();
    if !yes {
        bail!("this removes every ledger in {}; say --yes if that is meant", settings.root.display());
    }
    let root = settings.root.display();
    match local::reset(&settings).await? {
        true => println!("The cluster in {root} is gone; the next start makes a new one."),
        false => println!("There is no cluster in {root}, so there was nothing to remove."),
    }
    Ok(())
}

async fn psql(args: &[String]) -> anyhow::Result<ExitCode> {
    // Our share in the server is held while psql runs, so that nobody who leaves stops it underneath.
    let server = Server::start(None, LocalSettings::from_env(), DATABASE).await?;
    let code = match local::psql(&LocalSettings::from_env(), DATABASE, args) {
        Ok(command) => wait_for(command).await,
        Err(error) => Err(error.into()),
    };
    server.stop().await?;
    code
}

/// Runs a program on our terminal and takes over its exit code.
async fn wait_for(command: process::Command) -> anyhow::Result<ExitCode> {
    let mut command = tokio::process::Command::from(command);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("{program} cannot be run; is it installed?"))?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let code = status?.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
            }
            // Ctrl-C cancels a query there; it is not for us.
            _ = tokio::signal::ctrl_c() => {}
        }
    }
}

/// A psql for the server at `url`, with the password where the list of processes does not show it.
fn psql_elsewhere(url: &str, args: &[String]) -> process::Command {
    let mut command = process::Command::new("psql");
    let (open, password) = without_password(url);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command.arg(open).args(args);
    command
}

fn without_password(url: &str) -> (String, Option<String>) {
    let whole = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return whole() };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let Some((account, _)) = authority.rsplit_once('@') else { return whole() };
    let Some((user, password)) = account.split_once(':') else { return whole() };
    (format!("{scheme}://{user}{}", &rest[account.len()..]), Some(decoded(password)))
}

/// Undoes the percent signs of a URL.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        (bytes, rest) = match escaped {
            Some(byte) => ([bytes, byte].concat(), &after[2..]),
            None => ([bytes, vec![*first]].concat(), after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_leaves_the_url_and_arrives_as_it_was() {
        let (url, password) =
            without_password("postgres://me:p%40ss%2F1%@db.example:5433/onhand?sslmode=require");
        assert_eq!(url, "postgres://me@db.example:5433/onhand?sslmode=require");
        assert_eq!(password.as_deref(), Some("p@ss/1%"));
    }

    #[test]
    fn a_url_without_a_password_stays_as_it_is() {
        for url in ["postgres://db/onhand", "postgres://me@db/onhand", "postgres:///onhand?user=me:you@x"] {
            assert_eq!(without_password(url), (url.to_owned(), None));
        }
    }
}
