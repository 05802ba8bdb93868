use chrono::TimeDelta;
use onhand_tests::{
    World,
    shop::{self, Webhook},
};
use serde_json::{Value, json};

fn monitor(style: &str, size: &str, price: i64) -> Value {
    json!({ "data": { "currency": "USD", "market": "US", "platform": "stockx", "product": {
        "brand": "Kite & Co", "id": "m-1", "sku": style, "slug": "runner", "title": "Runner",
        "variants": [{ "id": "v-1", "size": size, "price": price, "count": 4, "changed": true },
                     { "id": "v-2", "size": "99", "price": 0, "count": 0, "changed": false }] } } })
}

async fn connected() -> World {
    let world = World::new().await;
    world.connect_kicksdb().await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00"), ("43", "115.50")]);
    Webhook::new("products/create", "p", &product).send(&world.admin, &connection).await.expect(200);
    world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 10 })).await.expect(200);
    world
}

async fn price(world: &World, sku: &str) -> Value {
    let listed = world.admin.get(&format!("/api/products?sku={sku}")).await.expect(200);
    let variants = listed["data"][0]["variants"].as_array().expect("variants").clone();
    variants.iter().find(|variant| variant["sku"] == sku).expect("the SKU")["prices"]["US"].clone()
}

#[tokio::test]
async fn a_price_move_in_the_market_changes_the_price_and_never_the_stock() {
    let world = connected().await;
    let stock = world.levels().await;
    let now = world.clock.now().timestamp();
    shop::kicksdb(&world.admin, "e-1", now, &monitor("DUNK", "42", 187)).await.expect(200);
    assert_eq!(price(&world, "DUNK-42").await, json!({ "minor": 18_700, "currency": "USD" }));
    assert_eq!(price(&world, "DUNK-43").await, json!({ "minor": 11_550, "currency": "USD" }));
    assert_eq!(world.levels().await, stock);
    let again = shop::kicksdb(&world.admin, "e-1", now, &monitor("DUNK", "42", 187)).await.expect(200);
    assert_eq!(again["status"], "duplicate");
}

#[tokio::test]
async fn a_time_more_than_five_minutes_off_is_refused_either_way() {
    let world = connected().await;
    let now = world.clock.now().timestamp();
    // Well off in the future: while the request is on its way, the clock comes nearer.
    for off in [-301, 400] {
        let answer = shop::kicksdb(&world.admin, "e", now + off, &monitor("DUNK", "42", 187)).await;
        assert_eq!(answer.problem(401), "webhook.rejected");
    }
    shop::kicksdb(&world.admin, "e", now - 290, &monitor("DUNK", "42", 187)).await.expect(200);
}

#[tokio::test]
async fn the_secret_that_signed_it_says_whose_it_is() {
    let world = connected().await;
    let other = world.other_tenant().await;
    let body = json!({ "platform": "kicksdb", "name": "Market", "brand": "b", "currency": "USD", "webhook_secret": "another" });
    let made = other.admin.post("/api/connections", body).await.expect(201);
    other
        .admin
        .post(&format!("/api/connections/{}/enable", made["id"].as_str().expect("an id")), json!({}))
        .await
        .expect(200);
    let before = other.history().await.len();
    shop::kicksdb(&world.admin, "e-1", world.clock.now().timestamp(), &monitor("DUNK", "42", 187))
        .await
        .expect(200);
    assert_eq!(other.history().await.len(), before);
    assert_eq!(price(&world, "DUNK-42").await["minor"], 18_700);
}

#[tokio::test]
async fn a_model_nobody_here_sells_is_noted_as_unmapped() {
    let world = connected().await;
    shop::kicksdb(&world.admin, "e-1", world.clock.now().timestamp(), &monitor("ZOOM", "42", 187))
        .await
        .expect(200);
    world.project().await;
    let listed = world.admin.get("/api/deliveries?platform=kicksdb").await.expect(200);
    assert_eq!(listed["data"][0]["outcome"], "unmapped");
}

#[tokio::test]
async fn the_newest_price_of_what_nobody_knew_counts_once_somebody_does() {
    let world = connected().await;
    let tell = async |id: &str, style: &str, size: &str, price: i64| {
        let now = world.clock.now().timestamp();
        shop::kicksdb(&world.admin, id, now, &monitor(style, size, price)).await.expect(200);
    };
    tell("e-1", "ZOOM", "42", 150).await;
    tell("e-2", "ZOOM", "42", 187).await;
    tell("e-3", "ZOOM", "44", 190).await;
    tell("e-4", "ZOOM", "45", 200).await;
    tell("e-5", "LATE", "42", 210).await;
    tell("e-6", "SKUS", "42", 220).await;
    let variant = |sku: &str, size: &str| json!({ "sku": sku, "attributes": { "size": size } });
    let product = json!({ "title": "Zoom", "brand": "kite", "style_code": "ZOOM",
                          "variants": [variant("Z-A", "42"), variant("Z-B", "43"), { "sku": "SKUS-42" }] });
    let zoom = world.admin.post("/api/products", product).await.expect(201);
    // What had just been told was not asleep yet.
    world.clock.advance(TimeDelta::seconds(10));
    world.follow_up().await;
    assert_eq!(price(&world, "Z-A").await["minor"], 18_700);
    assert_eq!(price(&world, "Z-B").await, Value::Null);
    assert_eq!(price(&world, "SKUS-42").await["minor"], 22_000);

    // A size that is set later, and a code.
    let path = format!("/api/products/{}/variants", zoom["id"].as_str().expect("an id"));
    world.admin.post(&path, json!({ "variants": [variant("Z-B", "44")] })).await.expect(200);
    let late = json!({ "title": "Late", "brand": "kite", "variants": [variant("L-A", "42")] });
    let late = world.admin.post("/api/products", late).await.expect(201);
    world.follow_up().await;
    assert_eq!(price(&world, "Z-B").await["minor"], 19_000);
    assert_eq!(price(&world, "L-A").await, Value::Null);
    let path = format!("/api/products/{}", late["id"].as_str().expect("an id"));
    let coded = json!({ "title": "Late", "brand": "kite", "style_code": "LATE" });
    world.admin.put(&path, coded).await.expect(200);
    world.follow_up().await;
    assert_eq!(price(&world, "L-A").await["minor"], 21_000);

    let waiting: Vec<(String,)> = sqlx::query_as("select external from follow_ups where kind = 'price'")
        .fetch_all(world.onhand.pool())
        .await
        .expect("follow-ups can be read");
    assert_eq!(waiting, [("ZOOM|45|US".to_owned(),)], "what nobody knows yet, and is looked at by nobody");
    // By hand each delivery is looked at again; what it told is older news by now.
    let unmapped = world.admin.get("/api/deliveries?outcome=unmapped&platform=kicksdb").await.expect(200);
    assert_eq!(unmapped["data"].as_array().map(Vec::len), Some(6), "{unmapped}");
    let again = world.admin.post("/api/dead-letters/replay", json!({ "unmapped": true })).await.expect(200);
    let again: Vec<&Value> =
        again["replayed"].as_array().expect("a list").iter().map(|it| &it["id"]).collect();
    assert!(unmapped["data"].as_array().expect("a list").iter().all(|it| again.contains(&&it["id"])));
    assert_eq!(price(&world, "Z-A").await["minor"], 18_700);
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_price_that_cannot_be_read_costs_no_other_and_is_noted() {
    let world = connected().await;
    let now = world.clock.now().timestamp();
    let newest = async || {
        world.project().await;
        world.admin.get("/api/deliveries?platform=kicksdb").await.expect(200)["data"][0].clone()
    };
    let mut body = monitor("DUNK", "42", 187);
    body["data"]["product"]["variants"][1] = json!({ "size": "43", "price": "5,00", "count": 1 });
    shop::kicksdb(&world.admin, "e-1", now, &body).await.expect(200);
    assert_eq!(price(&world, "DUNK-42").await["minor"], 18_700);
    assert_eq!(price(&world, "DUNK-43").await["minor"], 11_550);
    let delivery = newest().await;
    assert_eq!(delivery["outcome"], "applied");
    assert!(delivery["notes"].to_string().contains("5,00"), "{delivery}");

    let odd = shop::kicksdb(&world.admin, "e-2", now, &monitor("DU\u{0}NK", "42", 190)).await;
    assert_eq!(odd.problem(500), "delivery.failed");
    let delivery = newest().await;
    let reason = delivery["reason"].as_str().expect("a reason");
    assert!(reason.contains("a code or a size"), "{reason}");
    assert_eq!(price(&world, "DUNK-42").await["minor"], 18_700);
}
