//! The stage: what the chapters play on, and how it is taken down whatever happened on it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use onhand_domain::values::TenantId;
use onhand_infrastructure::{
    database::{DatabaseError, Server},
    ledger::Head,
    platforms::shopify::sandbox::SandboxShop,
    queries::{checkpoints, outbox},
};
use onhand_projector::{MODELS, registry::Growth};
use tokio::{task::JoinHandle, time::timeout};

use super::{print::Screen, rest::Rest};
use crate::{Onhand, serve::Running};

/// How long anything may take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What has to be taken down again, in the order it was put up.
#[derive(Default)]
pub(super) struct Props {
    /// A start that nobody has waited for to the end yet.
    pub(super) starting: Option<JoinHandle<Result<Server, DatabaseError>>>,
    pub(super) server: Option<Server>,
    pub(super) onhand: Option<Onhand>,
    pub(super) running: Option<Running>,
    pub(super) shops: Vec<SandboxShop>,
}

impl Props {
    pub(super) async fn take_down(self) -> anyhow::Result<()> {
        if let Some(running) = self.running {
            running.stop().await;
        }
        for shop in self.shops {
            shop.stop().await;
        }
        if let Some(onhand) = self.onhand {
            onhand.pool().close().await;
        }
        let started = match (self.server, self.starting) {
            (None, Some(starting)) => {
                timeout(PATIENCE, starting).await.context("Postgres is still being fetched or started")??.ok()
            }
            (server, _) => server,
        };
        if let Some(server) = started {
            server.stop().await?;
        }
        Ok(())
    }
}

/// A shop, under the name the audience knows it by.
#[derive(Clone)]
pub(super) struct Shop {
    pub(super) name: &'static str,
    pub(super) sandbox: SandboxShop,
}

/// Everything the chapters play with.
pub(super) struct Stage<'s> {
    pub(super) screen: &'s Screen,
    pub(super) onhand: Onhand,
    pub(super) url: String,
    pub(super) tenant: TenantId,
    pub(super) admin_key: String,
    pub(super) rest: Rest,
    pub(super) shops: [Shop; 2],
    /// What the price feed signs with.
    pub(super) feed_secret: String,
}

impl Stage<'_> {
    /// Where the ledger ends now.
    pub(super) async fn head(&self) -> anyhow::Result<Head> {
        let mut conn = self.onhand.pool().acquire().await?;
        Ok(Head::read(&mut conn, self.tenant).await?)
    }

    /// Waits until a condition holds for a shop, for both at once, and says when each came to it.
    pub(super) async fn until(
        &self,
        what: &str,
        begun: Instant,
        holds: impl Fn(&Shop) -> bool,
    ) -> anyhow::Result<()> {
        let mut waiting: Vec<&Shop> = self.shops.iter().collect();
        while !waiting.is_empty() {
            waiting.retain(|shop| {
                let done = holds(shop);
                if done {
                    self.screen.step(format_args!("{} shows {what}", shop.name), begun.elapsed());
                }
                !done
            });
            let late: Vec<&str> = waiting.iter().map(|shop| shop.name).collect();
            ensure!(
                begun.elapsed() < PATIENCE,
                "after {PATIENCE:?}, {} should show {what}",
                late.join(" and ")
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Waits until nothing is under way: no webhook, no push, no read model behind. Says how long that took.
    pub(super) async fn calm(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let waited = timeout(PATIENCE, async {
            let mut before = None;
            loop {
                for shop in &self.shops {
                    shop.sandbox.webhooks_idle().await;
                }
                let head = self.head().await?.position;
                let quiet =
                    outbox::open(self.onhand.pool(), self.tenant).await? == 0 && self.followed(head).await?;
                // A push makes a webhook and that an entry: only what stays the same over two looks is calm.
                if quiet && before == Some(head) {
                    return anyhow::Ok(());
                }
                before = quiet.then_some(head);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.context("webhooks, pushes or read models do not come to rest")??;
        Ok(begun.elapsed())
    }

    async fn followed(&self, head: i64) -> anyhow::Result<bool> {
        for model in MODELS.iter().filter(|model| matches!(model.growth, Growth::Follows { .. })) {
            if checkpoints::position(self.onhand.pool(), self.tenant, model.name).await? < head {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
