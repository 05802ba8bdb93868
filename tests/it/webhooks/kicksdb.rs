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
