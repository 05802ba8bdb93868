//! Time travel: what was recorded while history was made is what a look back shows, from the streams themselves.

use std::collections::BTreeMap;

use chrono::{SecondsFormat, TimeDelta};
use onhand_infrastructure::ledger::write_missing_snapshots;
use onhand_tests::{
    Client, World,
    process::until,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

const PRODUCTS: &str = "/api/products";
const STOCK: &str = "/api/stock";
const RESERVATIONS: &str = "/api/reservations";
const LISTS: [&str; 5] = [PRODUCTS, STOCK, RESERVATIONS, "/api/moves", "/api/listings"];
const PLACES: [&str; 2] = ["main", "berlin"];
/// Rows of one shelf that are sent at once, more than a snapshot is written after.
const MANY: usize = 600;

/// Numbers that look random and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }
}

/// What there is to do something with.
struct Known {
    skus: Vec<String>,
    /// Each with the SKU of one of its lines.
    reservations: Vec<(String, String)>,
}

/// All rows of a list, page by page.
pub(super) async fn all(client: &Client, path: &str, narrowed: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}?{narrowed}{cursor}")).await.expect(200);
        rows.extend(page["data"].as_array().expect("a page has rows").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

pub(super) async fn head(world: &World) -> i64 {
    let (position,): (i64,) = sqlx::query_as("select position from ledger_heads where tenant_id = $1")
        .bind(world.tenant.0)
        .fetch_one(world.onhand.pool())
        .await
        .expect("a head");
    position
}

/// Something that may happen, and may be refused.
async fn something_happens(world: &World, chance: &mut Chance, known: &mut Known) {
    let admin = &world.admin;
    let sku = chance.of(&known.skus).clone();
    let place = *chance.of(&PLACES);
    let units = chance.below(6) as i64;
    match chance.below(14) {
        0 => {
            let brand = *chance.of(&["kite", "heron"]);
            let new: Vec<String> =
                (0..=chance.below(2)).map(|n| format!("N-{}-{n}", known.skus.len())).collect();
            let variants: Vec<Value> = new.iter().map(|sku| json!({ "sku": sku })).collect();
            let product =
                json!({ "title": "New", "brand": brand, "style_code": "ST-1", "variants": variants });
            admin.post(PRODUCTS, product).await.expect(201);
            known.skus.extend(new);
        }
        1 | 2 => {
            let body = json!({ "sku": sku, "location": place, "quantity": units + 1 });
            admin.post("/api/stock/restock", body).await.expect(200);
        }
        3 => {
            let body = json!({ "sku": sku, "location": place, "delta": units - 3, "reason": "chance" });
            admin.post("/api/stock/adjust", body).await;
        }
        4 => {
            let body = json!({ "sku": sku, "location": place, "counted": units + 2 });
            admin.post("/api/stock/count", body).await;
        }
        5 => {
            let body = json!({ "sku": sku, "from": "main", "to": "berlin", "quantity": units });
            admin.post("/api/stock/transfer", body).await;
        }
        6 => {
            let body = json!({ "location": place, "backorder_limit": units, "low_stock_threshold": units });
            admin.put(&format!("/api/variants/{sku}/policy"), body).await;
        }
        7 => {
            let price = json!({ "amount": format!("{}.50", 100 + units), "currency": "USD" });
            admin.put(&format!("/api/variants/{sku}/prices/US"), price).await.expect(200);
        }
        8..=10 => {
            let other = chance.of(&known.skus);
            let lines = json!([{ "sku": sku, "quantity": 1 }, { "sku": other, "quantity": units / 2 + 1 }]);
            let owner = (chance.below(3) == 0).then(|| format!("cart-{}", units / 2));
            let made =
                admin.post(RESERVATIONS, json!({ "lines": lines, "ttl_seconds": 900, "owner": owner })).await;
            let reservation = made.body["reservation"].as_str().map(str::to_owned);
            known.reservations.extend(reservation.map(|reservation| (reservation, sku)));
        }
        11 | 12 => {
            let Some(last) = known.reservations.len().checked_sub(1) else { return };
            let (reservation, sku) = &known.reservations[last - chance.below(last.min(8) + 1)];
            let step = *chance.of(&["commit", "commit", "release", "extend"]);
            let part = json!({ "lines": [{ "sku": sku, "quantity": 1 }] });
            let body = if step != "extend" && units > 3 { part } else { json!({}) };
            admin.post(&format!("{RESERVATIONS}/{reservation}/{step}"), body).await;
        }
        _ => {
            world.clock.advance(TimeDelta::minutes(1 + 3 * units));
            world.project().await;
            world.onhand.operations.expire_due().await.expect("expiry works");
        }
    }
}

/// A moment, and what the lists were then.
struct Moment {
    position: i64,
    time: String,
    lists: BTreeMap<&'static str, Vec<Value>>,
}

impl Moment {
    async fn record(world: &World) -> Self {
        world.project().await;
        let time = world.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut lists = BTreeMap::new();
        for path in [PRODUCTS, STOCK, RESERVATIONS] {
            lists.insert(path, all(&world.admin, path, "limit=200").await);
        }
        Self { position: head(world).await, time, lists }
    }

    fn rows(&self, path: &str, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.lists[path].iter().filter(|row| keep(row)).cloned().collect()
    }

    /// Looks back at it, by its position or its time, a few rows at a time or many.
    async fn expect_the_same_now(&self, world: &World, chance: &mut Chance) {
        let at = if chance.below(2) == 0 { self.position.to_string() } else { self.time.clone() };
        for (path, recorded) in &self.lists {
            let limit = *chance.of(&[7, 50, 200, 200]);
            let seen = all(&world.admin, path, &format!("at={at}&limit={limit}")).await;
            assert_eq!(&seen, recorded, "{path} at {at}, {limit} a page");
        }
        let page = world.admin.get(&format!("{STOCK}?limit=1&at={at}")).await;
        assert_eq!(page.headers["x-onhand-as-of"].to_str().ok(), Some(self.position.to_string().as_str()));
    }

    /// Looks back at parts of it, with the eyes of a brand, too.
    async fn expect_the_same_parts_now(&self, world: &World, kite: &Client, sku: &str) {
        let at = self.position;
        let admin = &world.admin;
        let of_sku = self.rows(STOCK, |row| row["sku"] == *sku);
        assert_eq!(all(admin, STOCK, &format!("at={at}&sku={sku}")).await, of_sku);
        let in_berlin = self.rows(STOCK, |row| row["location"] == "berlin");
        assert_eq!(all(admin, STOCK, &format!("at={at}&location=berlin&limit=4")).await, in_berlin);
        let low = self.rows(STOCK, |row| row["low"] == true);
        assert_eq!(all(admin, STOCK, &format!("at={at}&low=true&limit=2")).await, low);
        let held = self.rows(RESERVATIONS, |row| row["status"] == "held");
        assert_eq!(all(admin, RESERVATIONS, &format!("at={at}&status=held&limit=5")).await, held);
        let styled = self.rows(PRODUCTS, |row| row["style_code"] == "ST-1");
        assert_eq!(all(admin, PRODUCTS, &format!("at={at}&style_code=ST-1&limit=2")).await, styled);

        let has =
            |product: &Value, sku: &Value| variants(product).iter().any(|variant| variant["sku"] == *sku);
        let named = self.rows(PRODUCTS, |row| has(row, &json!(sku)));
        assert_eq!(all(admin, PRODUCTS, &format!("at={at}&sku={sku}")).await, named);
        for product in &named {
            let id = product["id"].as_str().expect("an id");
            let shelves = self.rows(STOCK, |row| has(product, &row["sku"]));
            assert_eq!(all(admin, STOCK, &format!("at={at}&product={id}&limit=1")).await, shelves);
            assert_eq!(&admin.get(&format!("{PRODUCTS}/{id}?at={at}")).await.expect(200), product);
        }

        let ours = |sku: &Value| {
            self.lists[PRODUCTS].iter().any(|product| product["brand"] == "kite" && has(product, sku))
        };
        let lines = |row: &Value| row["lines"].as_array().expect("a reservation has lines").clone();
        assert_eq!(
            all(kite, PRODUCTS, &format!("at={at}&limit=3")).await,
            self.rows(PRODUCTS, |row| row["brand"] == "kite")
        );
        assert_eq!(
            all(kite, STOCK, &format!("at={at}&limit=3")).await,
            self.rows(STOCK, |row| ours(&row["sku"]))
        );
        assert_eq!(
            all(kite, RESERVATIONS, &format!("at={at}&limit=3")).await,
            self.rows(RESERVATIONS, |row| lines(row).iter().all(|line| ours(&line["sku"])))
        );
    }
}

fn variants(product: &Value) -> &[Value] {
    product["variants"].as_array().map_or(&[][..], Vec::as_slice)
}

/// A reservation for each way in which one can end, and one that is asked for again; recorded on the way.
async fn every_end_of_a_reservation(world: &World) -> Vec<Moment> {
    let mut recorded = Vec::new();
    let cart = json!({ "lines": [{ "sku": "A", "quantity": 1 }], "owner": "cart" });
    world.admin.post(RESERVATIONS, cart).await.expect(201);
    let mut reservations = Vec::new();
    for _ in 0..4 {
        let made = world.reserve(&[("A", 2), ("B", 1)]).await.expect(201);
        reservations.push(made["reservation"].as_str().expect("an id").to_owned());
        recorded.push(Moment::record(world).await);
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    let part = json!({ "lines": [{ "sku": "A", "quantity": 1 }] });
    for (number, step, body) in
        [(0, "commit", json!({})), (1, "release", json!({})), (2, "commit", part), (2, "release", json!({}))]
    {
        let path = format!("{RESERVATIONS}/{}/{step}", reservations[number]);
        world.admin.post(&path, body).await.expect(200);
        recorded.push(Moment::record(world).await);
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    let cart =
        json!({ "lines": [{ "sku": "A", "quantity": 3 }, { "sku": "C", "quantity": 1 }], "owner": "cart" });
    world.admin.post(RESERVATIONS, cart).await.expect(201);
    recorded.push(Moment::record(world).await);
    world.clock.advance(TimeDelta::minutes(16));
    world.onhand.operations.expire_due().await.expect("expiry works");
    recorded.push(Moment::record(world).await);
    world.clock.advance(TimeDelta::milliseconds(1));
    let last = recorded.last().expect("moments were recorded");
    for status in ["committed", "released", "ended", "expired"] {
        assert!(!last.rows(RESERVATIONS, |row| row["status"] == status).is_empty(), "one has {status}");
    }
    recorded
}

/// How many moments are recorded and looked back at.
fn moments() -> usize {
    std::env::var("ONHAND_HISTORY_MOMENTS").ok().and_then(|number| number.parse().ok()).unwrap_or(100)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_back_shows_what_was_recorded_then() {
    let world = World::new().await;
    let kite = world.client("viewer", Some("kite")).await;
    world.stocked(&[("A", 40), ("B", 30), ("C", 20)]).await;
    let other = json!({ "title": "Other", "brand": "heron", "variants": [{ "sku": "H" }] });
    world.admin.post(PRODUCTS, other).await.expect(201);
    let mut recorded = every_end_of_a_reservation(&world).await;
    let skus = ["A", "B", "C", "H"].map(str::to_owned).to_vec();
    let (mut chance, mut known) = (Chance(6), Known { skus, reservations: vec![] });
    let count = moments();
    for number in 0..count {
        // One shelf has so many entries that looks back start from snapshots in between.
        if [count / 4, count / 2, count * 3 / 4].contains(&number) {
            let rows = vec![json!({ "restock": { "sku": "A", "quantity": 1 } }); MANY];
            world.admin.post("/api/stock/bulk", json!({ "rows": rows })).await.expect(200);
        }
        for _ in 0..=chance.below(2) {
            something_happens(&world, &mut chance, &mut known).await;
        }
        recorded.push(Moment::record(&world).await);
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    until("snapshots are there, one beside the other", || async {
        let (count,): (i64,) = sqlx::query_as("select count(*) from stream_snapshots")
            .fetch_one(world.onhand.pool())
            .await
            .expect("snapshots can be counted");
        count >= 2
    })
    .await;
    for moment in &recorded {
        moment.expect_the_same_now(&world, &mut chance).await;
    }
    for _ in 0..10 {
        let moment = chance.of(&recorded);
        let sku = chance.of(&known.skus);
        moment.expect_the_same_parts_now(&world, &kite, sku).await;
    }
    // Snapshots are short cuts and nothing else.
    sqlx::query("delete from stream_snapshots").execute(world.onhand.pool()).await.expect("they may go");
    for _ in 0..10 {
        chance.of(&recorded).expect_the_same_now(&world, &mut Chance(7)).await;
    }
    let (pool, tenant) = (world.onhand.pool(), world.tenant);
    assert!(write_missing_snapshots(pool, tenant).await.expect("snapshots are written") >= 2);
    assert_eq!(write_missing_snapshots(pool, tenant).await.expect("they are looked for"), 0);
    for _ in 0..10 {
        chance.of(&recorded).expect_the_same_now(&world, &mut Chance(8)).await;
    }
}

#[tokio::test]
async fn moves_up_to_a_moment_are_those_of_now_without_the_later_ones() {
    let world = World::new().await;
    world.stocked(&[("A", 9), ("B", 5)]).await;
    world.reserve(&[("A", 2), ("B", 1)]).await.expect(201);
    let then = head(&world).await;
    world.reserve(&[("A", 3)]).await.expect(201);
    world.project().await;
    for narrowed in ["limit=2", "limit=50", "sku=A&limit=1", "sku=A&kind=reserved&limit=50"] {
        let now = all(&world.admin, "/api/moves", narrowed).await;
        let earlier: Vec<Value> =
            now.iter().filter(|it| it["position"].as_i64() <= Some(then)).cloned().collect();
        assert!(earlier.len() < now.len() && !earlier.is_empty(), "{narrowed}");
        assert_eq!(all(&world.admin, "/api/moves", &format!("{narrowed}&at={then}")).await, earlier);
    }
    let other = world.client("viewer", Some("other")).await;
    assert_eq!(all(&other, "/api/moves", &format!("at={then}")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_a_shop_has_renamed_since_is_called_as_it_was_then() {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let mut product = shop::product("DUNK", &[("42", "110.00")]);
    Webhook::new("products/create", "p-1", &product).send(&world.admin, &connection).await.expect(200);
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 10 })).await.expect(200);
    world.reserve(&[("DUNK-42", 2)]).await.expect(201);
    world.project().await;
    let mut recorded = Vec::new();
    for path in LISTS {
        recorded.push(all(&world.admin, path, "").await);
    }
    let then = head(&world).await;

    product["title"] = "Runner II".into();
    product["updated_at"] = "2026-11-01T13:00:00Z".into();
    product["variants"][0]["sku"] = "DUNK-II".into();
    product["variants"][0]["updated_at"] = "2026-11-01T13:00:00Z".into();
    Webhook::new("products/update", "p-2", &product).send(&world.admin, &connection).await.expect(200);
    world.reserve(&[("DUNK-II", 1)]).await.expect(201);
    world.project().await;
    for (path, recorded) in LISTS.into_iter().zip(&recorded) {
        assert_eq!(&all(&world.admin, path, &format!("at={then}")).await, recorded, "{path}");
        assert_ne!(&all(&world.admin, path, "").await, recorded, "{path}");
    }
    for path in [PRODUCTS, STOCK, "/api/moves"] {
        let found = async |narrowed: String| !all(&world.admin, path, &narrowed).await.is_empty();
        assert!(found(format!("sku=DUNK-42&at={then}")).await, "{path}");
        assert!(!found("sku=DUNK-42".into()).await, "{path}");
        assert!(!found(format!("sku=DUNK-II&at={then}")).await, "{path}");
        assert!(found("sku=DUNK-II".into()).await, "{path}");
    }
    let foreign = world.client("viewer", Some("heron")).await;
    for path in LISTS {
        assert_eq!(all(&foreign, path, &format!("at={then}")).await, Vec::<Value>::new(), "{path}");
    }
}

#[tokio::test]
async fn a_moment_that_has_not_come_and_one_that_is_none_are_refused() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let next = (head(&world).await + 1).to_string();
    for path in LISTS {
        for moment in [next.as_str(), "2999-01-01T00:00:00Z"] {
            let answer = world.admin.get(&format!("{path}?at={moment}")).await;
            assert_eq!(answer.problem(400), "at.future", "{path} {moment}");
        }
        for moment in ["", "yesterday", "-1", "2026-01-02"] {
            let answer = world.admin.get(&format!("{path}?at={moment}")).await;
            assert_eq!(answer.problem(400), "at.invalid", "{path} {moment}");
        }
        for moment in ["0", "2001-01-01T00:00:00%2B01:00"] {
            let answer = world.admin.get(&format!("{path}?at={moment}")).await;
            assert_eq!(answer.headers["x-onhand-as-of"], "0", "{path} {moment}");
            assert_eq!(answer.expect(200)["data"], json!([]), "{path} {moment}");
        }
    }
    let nothing = "00000000-0000-0000-0000-000000000001";
    for (path, code) in [(PRODUCTS, "product.unknown"), (RESERVATIONS, "reservation.unknown")] {
        assert_eq!(world.admin.get(&format!("{path}/{nothing}?at=0")).await.problem(404), code);
    }
}

#[tokio::test]
async fn reservations_of_a_moment_wait_until_the_read_model_has_got_there() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let made = world.reserve(&[("A", 2)]).await.expect(201);
    let path = format!("{RESERVATIONS}?at={}", head(&world).await);
    let (read, ()) = tokio::join!(world.admin.get(&path), world.project());
    assert_eq!(read.expect(200)["data"][0]["id"], made["reservation"]);
}
