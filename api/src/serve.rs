//! A running server: HTTP, projector, relay and expiry around the same parts, stopped in order.

use std::{collections::BTreeSet, net::SocketAddr, str::FromStr, time::Duration};

use onhand_infrastructure::operations::{
    alerts, follow_ups, maintenance, reconciliations, signed_checkpoints,
};
use onhand_projector::rebuild;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    App, Onhand,
    app::{health_router, router},
    http,
};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Answers HTTP.
    Api,
    /// Lets read models follow, and ends holds that are due.
    Projector,
    /// Tells platforms.
    Relay,
    /// Says how the process is, and answers nothing else. Part of [`Duty::Api`].
    Health,
}

impl FromStr for Duty {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "api" => Ok(Self::Api),
            "projector" => Ok(Self::Projector),
            "relay" => Ok(Self::Relay),
            _ => Err(format!("{name:?} is not api, projector or relay")),
        }
    }
}

/// All duties.
pub fn all_duties() -> BTreeSet<Duty> {
    BTreeSet::from([Duty::Api, Duty::Projector, Duty::Relay])
}

/// A server that is running.
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    http: Option<JoinHandle<()>>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    onhand: Onhand,
}

impl Running {
    /// Begins to work. `listener` is where HTTP is answered, if a duty asks for that.
    pub fn start(app: App, listener: TcpListener, duties: &BTreeSet<Duty>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let onhand = app.onhand.clone();
        let mut tasks = Vec::new();
        if duties.contains(&Duty::Projector) {
            tasks.push(("projector", on_its_own(onhand.projector.clone().run(stopped.clone()))));
            let rebuilt = rebuild::run(onhand.operations.clone(), stopped.clone());
            tasks.push(("rebuilds", on_its_own(rebuilt)));
            tasks.push(("expiry", tokio::spawn(expire(onhand.clone(), stopped.clone()))));
            let maintained = maintenance::run(onhand.operations.clone(), onhand.retention, stopped.clone());
            tasks.push(("maintenance", tokio::spawn(maintained)));
            let signed = signed_checkpoints::run(onhand.operations.clone(), stopped.clone());
            tasks.push(("signed checkpoints", tokio::spawn(signed)));
        }
        if duties.contains(&Duty::Relay) {
            tasks.push(("relay", tokio::spawn(onhand.relay.clone().run(stopped.clone()))));
            let followed = follow_ups::run(onhand.operations.clone(), stopped.clone());
            tasks.push(("follow-ups", tokio::spawn(followed)));
            tasks.push(("alerts", tokio::spawn(alerts::run(onhand.operations.clone(), stopped.clone()))));
            let how = (onhand.reconcile_every, app.public_url.clone());
            let reconciled = reconciliations::run(onhand.operations.clone(), how, stopped.clone());
            tasks.push(("reconciliations", tokio::spawn(reconciled)));
        }
        // An application is served once.
        let _ = app.at_work.set(tasks.iter().map(|(name, task)| (*name, task.abort_handle())).collect());
        let answered = match (duties.contains(&Duty::Api), duties.contains(&Duty::Health)) {
            (true, _) => Some(router(app)),
            (false, true) => Some(health_router(app)),
            (false, false) => None,
        };
        let http = answered.map(|routes| tokio::spawn(http::serve(listener, routes, stopped)));
        Ok(Self { address, stop, http, tasks, onhand })
    }

    /// Where HTTP is answered.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://address`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests, answers those accepted, lets calls under way end, and returns.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Some(http) = self.http {
            // Connections that stay open without a request are not waited for.
            let _ = tokio::time::timeout(Duration::from_secs(10), http).await;
        }
        for (_, task) in self.tasks {
            let _ = tokio::time::timeout(Duration::from_secs(15), task).await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(15), self.onhand.ledger().drain()).await;
    }
}

/// Lets work that takes a processor for milliseconds on end have a thread of its own: one thread may answer all requests, and they
/// would wait for it.
fn on_its_own(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work))
}

/// Ends holds that are due, until told to stop.
async fn expire(onhand: Onhand, mut stop: watch::Receiver<bool>) {
    const LOOK_EVERY: Duration = Duration::from_millis(250);
    // What was just ended is still in the read model for a moment; then comes what is due beyond one step.
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    while !*stop.borrow() {
        let pause = match onhand.operations.expire_due().await {
            Ok(found) if found > 0 => LOOK_AGAIN,
            Ok(_) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "holds that are due could not be ended for the moment");
                LOOK_EVERY
            }
        };
        tokio::select! {
            _ = stop.changed() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
