//! A rush: ten thousand buyers, a hundred units, three processes, one of them killed twice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use onhand_infrastructure::platforms::outbound::http_client;
use onhand_tests::{
    World,
    process::{Process, until},
};
use serde_json::{Value, json};

const BUYERS: usize = 10_000;
const ABREAST: usize = 96;
const UNITS: usize = 100;

struct Rush {
    urls: Mutex<Vec<String>>,
    next: AtomicUsize,
    yes: Mutex<BTreeMap<usize, String>>,
    no: AtomicUsize,
}

impl Rush {
    /// Serves one buyer after the other until there are none left.
    async fn till(&self, http: &reqwest::Client, key: &str) {
        loop {
            let buyer = self.next.fetch_add(1, Ordering::Relaxed);
            if buyer >= BUYERS {
                return;
            }
            let mut attempt = 0;
            while !self.ask(http, key, buyer, attempt).await {
                attempt += 1;
            }
        }
    }

    /// True once the buyer has an answer. Whoever is not answered asks again, elsewhere, with the same key.
    async fn ask(&self, http: &reqwest::Client, key: &str, buyer: usize, attempt: usize) -> bool {
        let url = {
            let urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
            urls[(buyer + attempt) % urls.len()].clone()
        };
        let sent = http
            .post(format!("{url}/api/reservations"))
            .bearer_auth(key)
            .header("idempotency-key", format!("buyer-{buyer}"))
            .json(&json!({ "lines": [{ "sku": "HOT", "quantity": 1 }] }))
            .send()
            .await;
        let Ok(response) = sent else { return false };
        let status = response.status().as_u16();
        let Ok(body) = response.json::<Value>().await else { return false };
        match status {
            201 => {
                let id = body["reservation"].as_str().expect("an id").to_owned();
                self.yes.lock().unwrap_or_else(PoisonError::into_inner).insert(buyer, id);
                true
            }
            409 => {
                assert_eq!(body["code"], "stock.insufficient", "{body}");
                self.no.fetch_add(1, Ordering::Relaxed);
                true
            }
            503 => false,
            _ => panic!("a client saw {status}: {body}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_10_000_buyers_at_3_processes_of_which_one_dies_twice_exactly_100_get_a_unit() {
    let world = World::new().await;
    world.stocked(&[("HOT", UNITS as i64)]).await;
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::serve(&world.database, "api").await);
    }
    let rush = Arc::new(Rush {
        urls: Mutex::new(processes.iter().map(|process| process.url.clone()).collect()),
        next: AtomicUsize::new(0),
        yes: Mutex::default(),
        no: AtomicUsize::new(0),
    });
    let http = http_client().expect("a client");
    let tills: Vec<_> = (0..ABREAST)
        .map(|_| {
            let (rush, http, key) = (Arc::clone(&rush), http.clone(), world.key.clone());
            tokio::spawn(async move { rush.till(&http, &key).await })
        })
        .collect();
    for share in [50, 4] {
        until("some buyers have come", || async { rush.next.load(Ordering::Relaxed) >= BUYERS / share })
            .await;
        processes.remove(0).kill().await;
        let again = Process::serve(&world.database, "api").await;
        rush.urls.lock().unwrap_or_else(PoisonError::into_inner)[0].clone_from(&again.url);
        processes.insert(0, again);
    }
    for till in join_all(tills).await {
        till.expect("no buyer saw anything but yes, no or try again");
    }
    for process in processes {
        process.kill().await;
    }
    let yes = rush.yes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!((yes.len(), rush.no.load(Ordering::Relaxed)), (UNITS, BUYERS - UNITS));
    let found: Vec<(String,)> =
        sqlx::query_as("select payload::json->>'reservation' from events where name = 'stock.reserved'")
            .fetch_all(world.onhand.pool())
            .await
            .expect("history can be read");
    let mut found: Vec<String> = found.into_iter().map(|(id,)| id).collect();
    let mut told: Vec<String> = yes.into_values().collect();
    found.sort_unstable();
    told.sort_unstable();
    assert_eq!(found, told, "what buyers were told is what history says");
    assert_eq!(world.levels().await["HOT"], (UNITS as i64, UNITS as i64, 0));
    world.expect_intact().await;
}
