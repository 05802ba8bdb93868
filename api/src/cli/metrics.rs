//! What `/metrics` tells: what each figure means, and zero for what has not happened yet, so that the first time it does is seen.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use onhand_domain::connection::Platform;

/// How often the samples of histograms are folded, so that they do not pile up unread.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How webhooks are answered.
const RESULTS: [&str; 9] = [
    "processed",
    "duplicate",
    "dead_letter",
    "greeted",
    "failed",
    "rejected",
    "limited",
    "unknown_connection",
    "unavailable",
];

/// Installs the recorder that `/metrics` shows, and keeps it tidy.
pub(super) fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    let commands = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
    let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    let handle = PrometheusBuilder::new()
        .set_buckets(&seconds)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".into()), &commands)?
        .install_recorder()?;
    describe();
    begin_at_zero();
    let folded = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            folded.run_upkeep();
        }
    });
    Ok(handle)
}

fn describe() {
    describe_counter!("onhand_webhooks_total", "webhooks by their answer");
    describe_histogram!("onhand_webhook_seconds", Unit::Seconds, "from a webhook's arrival to its answer");
    describe_counter!("onhand_webhook_traces_dropped_total", "traces of webhooks that were not written");
    describe_counter!(
        "onhand_webhooks_failed_total",
        "deliveries that could not be acted on, repeats included"
    );
    describe_counter!("onhand_pushes_total", "commands to platforms by what became of an attempt");
    describe_counter!("onhand_events_appended_total", "entries committed by this process");
    describe_histogram!("onhand_ledger_batch_commands", "commands a sequencer found waiting, a batch");
    describe_gauge!("onhand_projection_lag_entries", "entries that a projection has not applied");
    describe_gauge!("onhand_projection_lag_seconds", Unit::Seconds, "the age of the first entry not applied");
    describe_gauge!("onhand_projection_parked", "tenants for which a projection is parked");
    describe_gauge!("onhand_outbox_pending", "commands to platforms that no relay has in hand");
    describe_gauge!("onhand_outbox_oldest_seconds", Unit::Seconds, "how long the first of them has been due");
    describe_gauge!(
        "onhand_dead_letters",
        "pushes and follow-ups given up, and deliveries that wait for a replay"
    );
    describe_gauge!("onhand_conflicts_open", "listings with a figure that somebody has to judge");
    describe_gauge!("onhand_database_up", "1 if the database answers, else 0");
    describe_gauge!("onhand_pool_connections", "connections to the database that this process has open");
}

fn begin_at_zero() {
    for platform in Platform::ALL {
        for result in RESULTS {
            counter!("onhand_webhooks_total", "platform" => platform.name(), "result" => result).absolute(0);
        }
    }
    for why in ["full", "failed"] {
        counter!("onhand_webhook_traces_dropped_total", "why" => why).absolute(0);
    }
    for outcome in ["done", "again", "dead"] {
        counter!("onhand_pushes_total", "outcome" => outcome).absolute(0);
    }
    counter!("onhand_webhooks_failed_total").absolute(0);
    counter!("onhand_events_appended_total").absolute(0);
}
