//! Relays that are processes of their own: one is killed, one stands still and goes on too late, two share one allowance.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::HOST},
    response::{IntoResponse, Response},
};
use onhand_domain::connection::Platform;
use onhand_infrastructure::{
    outbox::breakers,
    platforms::outbound::{CALLS_AT_ONCE, http_client},
};
use onhand_tests::{
    World,
    channels::{self, Channel, Setup},
    process::{Process, until},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

use super::{all_is_done, newest, restock, statuses, step, times};

/// The way from relays to a stand-in. It notes what is to be changed there, and keeps back answers if asked to: the stand-in
/// has done as it was told then, and nobody has heard of it.
struct Line {
    http: reqwest::Client,
    /// Where it leads.
    end: OnceLock<String>,
    noted: Mutex<Noted>,
    /// A permit for each answer that is let go.
    gate: Semaphore,
}

#[derive(Default)]
struct Noted {
    writes: Vec<Write>,
    /// So many answers to writes are still to be kept back.
    to_keep: usize,
    /// So many were.
    kept: usize,
}

/// Something that was to be changed.
#[derive(Debug, Clone, PartialEq)]
struct Write {
    /// The key it came under; empty where the platform knows none.
    key: String,
    words: Value,
}

impl Line {
    /// Opens one that leads nowhere yet. Gives its address, too.
    async fn open() -> (Arc<Self>, String) {
        let line = Arc::new(Self {
            http: http_client().expect("a client"),
            end: OnceLock::new(),
            noted: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("what listens has an address");
        let routes = Router::new().fallback(pass_on).with_state(Arc::clone(&line));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (line, format!("http://{address}"))
    }

    /// What was to be changed so far, in order.
    fn writes(&self) -> Vec<Write> {
        self.noted().writes.clone()
    }

    /// The answers to the next so many writes are kept back.
    fn keep_back(&self, count: usize) {
        self.noted().to_keep = count;
    }

    /// How many answers were kept back so far.
    fn kept_back(&self) -> usize {
        self.noted().kept
    }

    /// Lets go so many of the answers that are kept back.
    fn let_go(&self, count: usize) {
        self.gate.add_permits(count);
    }

    /// Whether the answer at hand is to be kept back.
    fn keeps_back(&self) -> bool {
        let mut noted = self.noted();
        let keeps = noted.to_keep > 0;
        if keeps {
            noted.to_keep -= 1;
            noted.kept += 1;
        }
        keeps
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the stand-in in the very words that came.
    async fn ask(&self, method: Method, uri: &Uri, mut headers: HeaderMap, body: Bytes) -> Response {
        headers.remove(HOST); // It is ours.
        let end = self.end.get().expect("a line leads somewhere before it is used");
        let sent = self.http.request(method, format!("{end}{uri}")).headers(headers).body(body).send().await;
        let Ok(answer) = sent else { return StatusCode::BAD_GATEWAY.into_response() };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let Ok(body) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

async fn pass_on(
    State(line): State<Arc<Line>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let writes = method != Method::GET;
    if writes {
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        let words = serde_json::from_slice(&body).unwrap_or_default();
        line.noted().writes.push(Write { key: key.to_owned(), words });
    }
    let answer = line.ask(method, &uri, headers, body).await;
    if writes && line.keeps_back() {
        line.gate.acquire().await.expect("the gate is never taken down").forget();
    }
    answer
}

/// A stand-in that has these SKUs, with a line between it and us. Nothing is owed to it, and it has been read back, or each
/// process would begin with that.
async fn over_a_line(
    world: &World,
    platform: Platform,
    skus: &[impl AsRef<str>],
    calls_a_minute: Option<usize>,
) -> (Channel, Arc<Line>) {
    channels::stock(world, skus, 0, None).await;
    let (line, address) = Line::open().await;
    let setup = Setup { sizes: 1, calls_a_minute, more: json!({ "endpoint": address }) };
    let channel = Channel::open_with(world, platform, skus, &setup).await;
    line.end.set(channel.sandbox.endpoint()).expect("it led nowhere before");
    while step(world).await > 0 {}
    let body = json!({ "connection": channel.connection });
    world.admin.post("/api/reconciliations", body).await.expect(202);
    while world.onhand.operations.reconcile().await.expect("a page is read back") {}
    assert_eq!(times(world, "connection.reconciled").await, 1);
    assert!(all_is_done(world).await, "{:?}", statuses(world).await);
    assert!(line.writes().is_empty(), "nothing is known that could be shown");
    (channel, line)
}

async fn relay(world: &World) -> Process {
    Process::serve(&world.database, "relay").await
}

/// Every command as it stands, and which transaction has written it last.
async fn commands(world: &World) -> Vec<(String, String)> {
    sqlx::query_as("select o.xmin::text, o::text from outbox o order by o.id")
        .fetch_all(world.onhand.pool())
        .await
        .expect("the outbox can be read")
}

/// How many relays have commands in hand: each takes all of a claim under one token, and one claim of an account at a time.
async fn holders(world: &World) -> i64 {
    let (holders,): (i64,) =
        sqlx::query_as("select count(distinct token) from outbox where status = 'leased'")
            .fetch_one(world.onhand.pool())
            .await
            .expect("the outbox can be read");
    holders
}

/// The quantities that are on record as taken, in the order of the record, each with the position it was true as of.
async fn taken(world: &World) -> Vec<(i64, i64)> {
    sqlx::query_as(
        "select (payload::json->>'quantity')::bigint, (payload::json->>'as_of')::bigint from events
         where name = 'listing.quantity_pushed' order by position",
    )
    .fetch_all(world.onhand.pool())
    .await
    .expect("history can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_before_it_hears_is_followed_by_one_that_says_the_same_under_the_same_key() {
    let world = World::new().await;
    let (channel, line) = over_a_line(&world, Platform::Trackstar, &["RUN-42"], None).await;
    restock(&world, "RUN-42", 5).await;
    world.project().await;
    channel.faults().time_out_after_applying_next(1);
    let first = relay(&world).await;
    until("the stand-in has applied it", || async { channel.quantity("RUN-42") == 5 }).await;
    first.kill().await;
    assert_eq!(newest(&world).await, ("leased".to_owned(), 1));
    assert_eq!(times(&world, "listing.quantity_pushed").await, 0, "it is not on record");

    assert_eq!(world.end_leases().await, 1, "one command is in somebody's hands");
    let second = relay(&world).await;
    until("another process has settled it", || async { newest(&world).await.0 == "done" }).await;
    second.kill().await;
    assert_eq!(newest(&world).await, ("done".to_owned(), 2));
    let writes = line.writes();
    let [before, after] = &writes[..] else { panic!("{writes:?}") };
    assert_eq!(before, after, "the stand-in can tell that it is the same");
    assert!(!before.key.is_empty(), "{before:?}");
    let good = &channel.sandbox.goods()[0];
    assert_eq!((good.quantity, good.version), (5, 2), "it was changed once since it was put there");
    let told = (times(&world, "listing.quantity_pushed").await, times(&world, "listing.push_failed").await);
    assert_eq!(told, (1, 0));
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

/// Its call was applied before the newer one: what comes late is the answer. Nobody can tell that from a call that is applied
/// late, so the newest figure is told once more; see `an_old_figure_that_arrives_after_a_newer_one_does_not_stay`.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_beyond_its_lease_settles_nothing_when_it_goes_on() {
    let world = World::new().await;
    let (channel, line) = over_a_line(&world, Platform::Trackstar, &["RUN-42"], None).await;
    restock(&world, "RUN-42", 5).await;
    world.project().await;
    line.keep_back(1);
    let stale = relay(&world).await;
    until("its call is applied and not answered", || async { line.kept_back() == 1 }).await;
    assert_eq!(channel.quantity("RUN-42"), 5);
    stale.stand_still().await;

    restock(&world, "RUN-42", 3).await;
    world.project().await;
    assert_eq!(world.end_leases().await, 1, "one command is in somebody's hands");
    let other = relay(&world).await;
    until("another process has settled the newer figure", || async { newest(&world).await.0 == "done" })
        .await;
    assert_eq!(newest(&world).await, ("done".to_owned(), 2), "the attempt of the first one counts");
    assert_eq!(channel.quantity("RUN-42"), 8);
    assert_eq!(taken(&world).await.len(), 1);

    let before = commands(&world).await;
    stale.go_on().await;
    line.let_go(1);
    // It may no longer be told which of the two calls was applied last. If it stood still for so long that it took its call for
    // lost, the figure is told yet again a minute later.
    until("the newest figure is told once more", || async {
        line.writes().len() >= 3 && newest(&world).await.0 == "done"
    })
    .await;
    let after = commands(&world).await;
    assert!(
        before.iter().all(|command| after.contains(command)),
        "its token opens no command any more: {after:?}"
    );
    // What it was answered is a fact and on record.
    let taken = taken(&world).await;
    let [(8, newer), .., (8, _)] = taken[..] else { panic!("{taken:?}") };
    let stale_one = taken.iter().find(|(quantity, _)| *quantity == 5);
    assert!(
        stale_one.is_none_or(|(_, older)| *older < newer),
        "it was true earlier, so it is not believed now: {taken:?}"
    );
    let listed = world.admin.get("/api/listings").await.expect(200);
    assert_eq!(listed["data"][0]["shown_quantity"], 8, "{listed}");
    assert_eq!(world.levels().await["RUN-42"], (8, 0, 8));
    assert_eq!(channel.quantity("RUN-42"), 8);
    let writes = line.writes();
    let (first, since) = writes.split_first().expect("three at least");
    assert_eq!(first.words["quantity"], 5);
    assert!(since.iter().all(|write| write.words["quantity"] == 8), "{since:?}");
    assert_ne!(writes[0].key, writes[1].key, "another quantity is another call");

    // Left alone, it goes on from the newest truth.
    other.kill().await;
    restock(&world, "RUN-42", 1).await;
    world.project().await;
    until("it has settled what came then", || async { newest(&world).await.0 == "done" }).await;
    stale.kill().await;
    assert_eq!(channel.quantity("RUN-42"), 9);
    assert!(all_is_done(&world).await, "{:?}", statuses(&world).await);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_spend_one_allowance_and_then_both_wait() {
    const LISTINGS: usize = 80;
    /// Of the sixty calls of a minute a third may be made at once.
    const SAVED_UP: u64 = 20;
    let world = World::new().await;
    let skus: Vec<String> = (0..LISTINGS).map(|number| format!("RUN-{number:03}")).collect();
    let (channel, line) = over_a_line(&world, Platform::Shopee, &skus, Some(60)).await;
    line.keep_back(2 * CALLS_AT_ONCE);
    let mut relays = vec![];
    // Each has half of it in hand: who is calling an account claims nothing more for it.
    for skus in skus.chunks(LISTINGS / 2) {
        channels::restock(&world, skus, 7).await;
        world.project().await;
        relays.push(relay(&world).await);
        let calls = relays.len() * CALLS_AT_ONCE;
        until("one more process calls", || async { line.kept_back() == calls }).await;
    }
    assert_eq!(holders(&world).await, 2, "both are at it at the same time");
    line.let_go(2 * CALLS_AT_ONCE);
    until("the account is held, and nobody has anything in hand", || async {
        let breaker = breakers::of(world.onhand.pool(), world.tenant, channel.id()).await;
        let held_until = breaker.expect("breakers can be read").held_until;
        held_until.is_some_and(|until| until > world.clock.now()) && holders(&world).await == 0
    })
    .await;

    let calls = channel.calls();
    assert_eq!(calls.throttled, 0, "{calls:?}");
    assert!(calls.most_a_minute <= 60, "{calls:?}");
    // Those with which it was read back are among them; an allowance for each process would have let twice as many through.
    assert!((SAVED_UP..2 * SAVED_UP).contains(&calls.made), "{calls:?}");
    let shown = channel.quantities().values().filter(|quantity| **quantity == 7).count();
    assert_eq!(shown, line.writes().len(), "each call has shown one thing");
    let statuses = statuses(&world).await;
    let waiting = ("pending".to_owned(), (LISTINGS - shown) as i64);
    assert!(statuses.contains(&waiting), "the others wait: {statuses:?}");
    assert!(statuses.iter().all(|(status, _)| status != "dead"), "{statuses:?}");
}
