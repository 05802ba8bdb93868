//! `onhand status`: how each ledger and all that follows it stand, for whoever looks first when something seems wrong.

use std::{collections::BTreeMap, pin::pin, process::ExitCode};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use onhand_domain::values::TenantId;
use onhand_infrastructure::queries::{
    checkpoints,
    projections::{self, LedgerView, ProjectionView, Projections},
    standing::{self, ACCOUNTS_MAX, AccountAmiss, COUNTED_MAX, Standing, Volumes},
};
use onhand_projector::registry;
use serde::Serialize;

use super::{audit::document::shown, session::Session};

/// What `status` can be told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Of one tenant only.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Also what came and went within the last 24 hours: entries, deliveries, pushes.
    #[arg(long)]
    stats: bool,
    /// Only of tenants of which something needs a person.
    #[arg(long)]
    amiss: bool,
    /// One line of JSON a tenant.
    #[arg(long)]
    json: bool,
}

/// How everything of one tenant stands.
#[derive(Serialize)]
struct Status {
    tenant: TenantId,
    name: String,
    at: DateTime<Utc>,
    /// What a person has to see to.
    needs_person: Vec<&'static str>,
    ledger: Ledger,
    read_models: Vec<ProjectionView>,
    #[serde(flatten)]
    work: Standing,
    accounts: Vec<AccountAmiss>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_24h: Option<Volumes>,
}

/// Where a ledger ends.
#[derive(Serialize)]
struct Ledger {
    #[serde(flatten)]
    end: LedgerView,
    /// When its newest entry was recorded; none before the first.
    recorded_at: Option<DateTime<Utc>>,
    /// There are entries beyond its end.
    set_back: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let well = Session::reading(async |session| {
        let tenants = session.tenants(args.tenant.as_deref()).await?;
        if tenants.is_empty() {
            eprintln!("There is no tenant yet, so there is nothing that could stand still.");
        }
        let looks = tenants.iter().map(|(tenant, name)| async move {
            let looked = look(session, *tenant, name.clone(), args.stats).await;
            (name, looked)
        });
        // No more at a time than there are connections: nobody waits for one in vain.
        let abreast = session.config.database_connections as usize;
        let mut looks = pin!(stream::iter(looks).buffered(abreast));
        let mut amiss = vec![];
        while let Some((name, looked)) = looks.next().await {
            let is_well = looked.as_ref().is_ok_and(|status| status.needs_person.is_empty());
            if !is_well {
                amiss.push(shown(name));
            }
            match looked {
                Err(error) => eprintln!("error: {} could not be looked at: {error:#}", shown(name)),
                Ok(_) if is_well && args.amiss => {}
                Ok(status) if args.json => println!("{}", serde_json::to_string(&status)?),
                Ok(status) => tell(&status),
            }
        }
        if tenants.len() > 1 && !args.json {
            println!("{}", sum(&amiss, tenants.len()));
        }
        Ok(amiss.is_empty())
    })
    .await?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same, with what came and went.
pub(super) async fn stats(args: Args) -> anyhow::Result<ExitCode> {
    run(Args { stats: true, ..args }).await
}

/// Which of several tenants are to be looked after.
fn sum(amiss: &[String], tenants: usize) -> String {
    match amiss {
        [] => format!("{tenants} tenants, and none needs a person"),
        amiss => format!("{tenants} tenants, {} of them amiss: {}", amiss.len(), amiss.join(", ")),
    }
}

async fn look(session: &Session, tenant: TenantId, name: String, stats: bool) -> anyhow::Result<Status> {
    let pool = session.onhand.pool();
    let at = session.onhand.ledger().clock().now();
    let Projections { ledger: end, data: read_models } =
        projections::list(pool, tenant, &registry::listed(), at).await?;
    let recorded_at = checkpoints::recorded_at(pool, tenant, end.position).await?;
    let work = standing::of(pool, tenant, at).await?;
    let accounts = standing::accounts_amiss(pool, tenant, at).await?;
    let last_24h = match stats {
        true => Some(standing::volumes(pool, tenant, at - TimeDelta::hours(24), end.position).await?),
        false => None,
    };
    let ledger = Ledger { end, recorded_at, set_back: standing::is_set_back(pool, tenant).await? };
    let needs_person = needs(&ledger, &read_models, &work, &accounts);
    Ok(Status { tenant, name, at, needs_person, ledger, read_models, work, accounts, last_24h })
}

/// What does not come right by itself.
fn needs(
    ledger: &Ledger,
    read_models: &[ProjectionView],
    work: &Standing,
    accounts: &[AccountAmiss],
) -> Vec<&'static str> {
    let needs = [
        ("ledger", ledger.set_back),
        ("parked_read_models", read_models.iter().any(|model| model.state == "parked")),
        ("dead_pushes", work.outbox_dead > 0),
        ("dead_follow_ups", work.follow_ups_dead > 0),
        ("failed_deliveries", work.deliveries_failed > 0),
        ("conflicts", work.conflicts > 0),
        ("accounts", accounts.iter().any(|account| account.needs_person)),
    ];
    needs.into_iter().filter(|(_, is_so)| *is_so).map(|(what, _)| what).collect()
}

fn tell(status: &Status) {
    let Status { at, ledger, work, .. } = status;
    let needs = match status.needs_person.as_slice() {
        [] => "nothing needs a person".to_owned(),
        needs => format!("A PERSON IS NEEDED for {}", needs.join(", ").replace('_', " ")),
    };
    println!("{}: {needs}", shown(&status.name));
    let recorded = ledger.recorded_at.map(|at| format!(" of {}", time(at))).unwrap_or_default();
    let end = format!("ends at position {}{recorded}", ledger.end.position);
    let waiting = ledger.end.waiting.iter().map(|waiting| shown(&waiting.why));
    let set_back = "there are entries beyond that: its end was set back, nothing can be appended, and `onhand audit verify` says more";
    let set_back = ledger.set_back.then(|| set_back.to_owned());
    lines("ledger", std::iter::once(end).chain(set_back).chain(waiting));
    // What is written by each commit is not behind.
    let worth = |model: &&ProjectionView| model.kind == "follows" || model.state != "current";
    lines("read models", status.read_models.iter().filter(worth).map(|model| read_model(model, *at)));
    lines("outbox", [outbox(work, *at)]);
    let [due, dead] = [work.follow_ups_due, work.follow_ups_dead].map(counted);
    lines("follow-ups", [format!("{due} due, {dead} dead")]);
    lines("deliveries", [format!("{} failed and not replayed", counted(work.deliveries_failed))]);
    lines("conflicts", [format!("{} to be judged", counted(work.conflicts))]);
    lines("accounts", accounts(&status.accounts));
    if let Some(volumes) = &status.last_24h {
        lines("24 hours", came_and_went(volumes));
    }
}

/// Lines about one thing, whose name stands before the first.
fn lines(name: &str, lines: impl IntoIterator<Item = String>) {
    let mut name = name;
    for line in lines {
        println!("  {name:11}  {line}");
        name = "";
    }
}

fn read_model(model: &ProjectionView, at: DateTime<Utc>) -> String {
    let behind = match model.lag_entries {
        0 => String::new(),
        entries => {
            let since = at - TimeDelta::seconds(model.lag_seconds);
            format!("  {entries} behind {}", how_long(since, at))
        }
    };
    let why = model.why.as_ref().map(|why| format!("  {}", shown(why))).unwrap_or_default();
    format!("{:13} {:10}{behind}{why}", model.name, model.state).trim_end().to_owned()
}

fn outbox(work: &Standing, at: DateTime<Utc>) -> String {
    // Both are parts of one count.
    let is_cut = work.outbox_due + work.outbox_put_off >= COUNTED_MAX;
    let more = if is_cut { " (and perhaps more)" } else { "" };
    let oldest = work.outbox_due_since.map(|since| format!(", the oldest {}", how_long(since, at)));
    let [leased, dead] = [work.outbox_leased, work.outbox_dead].map(counted);
    format!(
        "{} due{}, {} put off{more}, {leased} in hand, {dead} dead",
        work.outbox_due,
        oldest.unwrap_or_default(),
        work.outbox_put_off
    )
}

fn accounts(amiss: &[AccountAmiss]) -> Vec<String> {
    let mut told: Vec<String> = amiss.iter().map(account).collect();
    if told.is_empty() {
        told.push("none is held, paused or left alone".to_owned());
    }
    if i64::try_from(amiss.len()).is_ok_and(|told| told >= ACCOUNTS_MAX) {
        told.push("… perhaps others".to_owned());
    }
    told
}

fn account(account: &AccountAmiss) -> String {
    let until = |at: Option<DateTime<Utc>>| at.map(|at| format!(" until {}", time(at))).unwrap_or_default();
    let why = [
        account.paused.then(|| "paused".to_owned()),
        (account.breaker != "closed")
            .then(|| format!("breaker {}{}", account.breaker, until(account.retry_at))),
        account.held_until.map(|at| format!("held{}", until(Some(at)))),
        (!account.alerts.is_empty()).then(|| format!("alerts {}", account.alerts.join(", "))),
        account.reason.as_deref().map(shown),
    ];
    let why: Vec<String> = why.into_iter().flatten().collect();
    let (name, brand) = (shown(&account.name), shown(&account.brand));
    format!("{} {name} ({}, {brand}): {}", account.id, account.platform, why.join("; "))
}

fn came_and_went(volumes: &Volumes) -> [String; 3] {
    let kinds = |kinds: &BTreeMap<String, i64>| {
        let each: Vec<String> = kinds.iter().map(|(kind, number)| format!("{kind} {number}")).collect();
        match each.as_slice() {
            [] => "none".to_owned(),
            each => each.join(", "),
        }
    };
    let is_cut = volumes.entries > COUNTED_MAX;
    let of = if is_cut { format!("; of the newest {COUNTED_MAX}") } else { String::new() };
    let more = |kinds: &BTreeMap<String, i64>| {
        if kinds.values().sum::<i64>() >= COUNTED_MAX { " (and perhaps more)" } else { "" }
    };
    let Volumes { entries, entries_by_kind, deliveries, pushes, .. } = volumes;
    [
        format!("{entries} entries{of}: {}", kinds(entries_by_kind)),
        format!("deliveries: {}{}", kinds(deliveries), more(deliveries)),
        format!("pushes: {}{}", kinds(pushes), more(pushes)),
    ]
}

/// A count that ends somewhere.
fn counted(count: i64) -> String {
    if count >= COUNTED_MAX { format!("{count} or more") } else { count.to_string() }
}

fn how_long(since: DateTime<Utc>, at: DateTime<Utc>) -> String {
    format!("for {} s (since {})", (at - since).num_seconds().max(0), time(since))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_in_part_is_told_to_be_a_part() {
        let of = |kind: &str, number| BTreeMap::from([(kind.to_owned(), number)]);
        let volumes = Volumes {
            since: DateTime::UNIX_EPOCH,
            entries: 250_000,
            entries_by_kind: of("stock", COUNTED_MAX),
            deliveries: of("failed", COUNTED_MAX),
            pushes: of("done", 7),
        };
        assert_eq!(
            came_and_went(&volumes),
            [
                "250000 entries; of the newest 100000: stock 100000",
                "deliveries: failed 100000 (and perhaps more)",
                "pushes: done 7",
            ]
        );
    }
}
