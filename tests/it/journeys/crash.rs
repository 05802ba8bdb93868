use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::join_all;
use onhand_infrastructure::{
    platforms::{outbound::http_client, shopify::sandbox::SandboxShop},
    queries,
};
use onhand_tests::{
    World,
    process::{Process, until},
    shop,
};
use serde_json::{Value, json};

const UNITS: i64 = 400;

/// A stand-in shop with one hot sneaker, connected to a world of its own.
async fn shop_and_world() -> (SandboxShop, World) {
    let sandbox = shop::open("HOT", &["42"]).await;
    let world = World::new().await;
    let connection = world.connect(Some(&sandbox.base_url()), json!({})).await;
    shop::introduce(&sandbox, &world.admin, &connection).await;
    let restock = json!({ "sku": "HOT-42", "quantity": UNITS });
    world.admin.post("/api/stock/restock", restock).await.expect(200);
    (sandbox, world)
}

/// Buyers who ask again, with the same key, until they have an answer. Answers by key.
struct Rush {
    acknowledged: Mutex<BTreeMap<String, Value>>,
    refused: Mutex<usize>,
    url: Mutex<String>,
    over: AtomicBool,
}

impl Rush {
    async fn buyer(&self, http: &reqwest::Client, key: &str, number: usize) {
        let mut purchase = 0;
        while !self.over.load(Ordering::Relaxed) {
            purchase += 1;
            let once = format!("buyer-{number}-{purchase}");
            let Some(answer) = self.ask(http, key, &once).await else { return };
            match answer {
                Ok(body) => {
                    self.acknowledged.lock().expect("nobody panics here").insert(once, body);
                }
                Err(()) => {
                    *self.refused.lock().expect("nobody panics here") += 1;
                    return;
                }
            }
        }
    }

    /// Asks until there is an answer; none if the rush is over before.
    async fn ask(&self, http: &reqwest::Client, key: &str, once: &str) -> Option<Result<Value, ()>> {
        loop {
            let url = self.url.lock().expect("nobody panics here").clone();
            let sent = http
                .post(format!("{url}/api/reservations"))
                .bearer_auth(key)
                .header("idempotency-key", once)
                .json(&json!({ "lines": [{ "sku": "HOT-42", "quantity": 1 }] }))
                .send()
                .await;
            if let Ok(response) = sent {
                let status = response.status().as_u16();
                match (status, response.json::<Value>().await) {
                    (201, Ok(body)) => return Some(Ok(body)),
                    (409, Ok(_)) => return Some(Err(())),
                    (503, _) | (201 | 409, Err(_)) => {}
                    (other, body) => panic!("a client saw {other}: {body:?}"),
                }
            }
            if self.over.load(Ordering::Relaxed) {
                return None;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_rush_every_acknowledged_reservation_is_there_once() {
    let (sandbox, world) = shop_and_world().await;
    let mut server = Process::serve(&world.database, "api,projector,relay").await;
    let rush = Arc::new(Rush {
        acknowledged: Mutex::default(),
        refused: Mutex::default(),
        url: Mutex::new(server.url.clone()),
        over: AtomicBool::new(false),
    });
    let http = http_client().expect("a client");
    let buyers: Vec<_> = (0..24)
        .map(|number| {
            let (rush, http, key) = (Arc::clone(&rush), http.clone(), world.key.clone());
            tokio::spawn(async move { rush.buyer(&http, &key, number).await })
        })
        .collect();
    for share in [4, 2] {
        let enough = UNITS as usize / share;
        until("part of the units are sold", || async {
            rush.acknowledged.lock().expect("nobody panics here").len() >= enough
        })
        .await;
        server.kill().await;
        world.end_leases().await;
        server = Process::serve(&world.database, "api,projector,relay").await;
        *rush.url.lock().expect("nobody panics here") = server.url.clone();
    }
    for buyer in join_all(buyers).await {
        buyer.expect("no buyer saw anything but yes, no or try again");
    }
    rush.over.store(true, Ordering::Relaxed);

    let acknowledged: Vec<String> = rush
        .acknowledged
        .lock()
        .expect("nobody panics here")
        .values()
        .map(|body| body["reservation"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(acknowledged.len() as i64, UNITS, "every unit went to somebody who was told so");
    let found: Vec<(String, i64)> = sqlx::query_as(
        "select payload::json->>'reservation', count(*) from events where name = 'stock.reserved' group by 1",
    )
    .fetch_all(world.onhand.pool())
    .await
    .expect("history can be read");
    let found: BTreeMap<_, _> = found.into_iter().collect();
    assert_eq!(found.len() as i64, UNITS);
    assert!(acknowledged.iter().all(|id| found.get(id) == Some(&1)), "each is in the ledger once");

    until("the shop shows what the ledger says", || async {
        let open =
            queries::outbox::open(world.onhand.pool(), world.tenant).await.expect("the outbox can be read");
        open == 0 && World::shows(&sandbox)["HOT-42"].0 == 0
    })
    .await;
    server.kill().await;
    assert_eq!(world.levels().await["HOT-42"], (UNITS, UNITS, 0));
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}
