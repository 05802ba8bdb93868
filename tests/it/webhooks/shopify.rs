use futures_util::future::join_all;
use onhand_tests::{
    World,
    shop::{self, Webhook},
};
use serde_json::json;

/// A connection whose shop has shown a product with two sizes, ten units of each on hand.
async fn connected() -> (World, String, serde_json::Value) {
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let product = shop::product("DUNK", &[("42", "110.00"), ("43", "115.50")]);
    Webhook::new("products/create", "p-1", &product).send(&world.admin, &connection).await.expect(200);
    for sku in ["DUNK-42", "DUNK-43"] {
        world.admin.post("/api/stock/restock", json!({ "sku": sku, "quantity": 10 })).await.expect(200);
    }
    (world, connection, product)
}

#[tokio::test]
async fn a_product_becomes_variants_listings_and_prices_with_every_digit_of_their_ids() {
    let (world, connection, product) = connected().await;
    let listed = world.admin.get("/api/products?sku=DUNK-43").await.expect(200);
    let shown = &listed["data"][0];
    assert_eq!(
        (&shown["title"], &shown["vendor"], &shown["brand"]),
        (&json!("Runner DUNK"), &json!("Kite & Co"), &json!("kite"))
    );
    assert_eq!(shown["variants"][1]["prices"]["US"], json!({ "minor": 11_550, "currency": "USD" }));
    assert_eq!(shown["variants"][1]["attributes"]["size"], "43");
    let listings = world.admin.get(&format!("/api/listings?connection={connection}")).await.expect(200);
    let external: Vec<_> =
        listings["data"].as_array().expect("rows").iter().map(|l| l["external_variant"].clone()).collect();
    for variant in product["variants"].as_array().expect("variants") {
        assert!(external.contains(&json!(variant["id"].to_string())), "{external:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_50_copies_of_one_webhook_one_has_an_effect_and_the_rest_are_duplicates() {
    let (world, connection, product) = connected().await;
    let twin = world.twin().await;
    let order = Webhook::new("orders/create", "o-1", &shop::order(1, &product, &[(0, 2)]));
    let copies = (0..50).map(|n| {
        let client = if n % 2 == 0 { &world.admin } else { &twin.admin };
        order.send(client, &connection)
    });
    let answers: Vec<_> =
        join_all(copies).await.into_iter().map(|answer| answer.expect(200)["status"].clone()).collect();
    assert_eq!(answers.iter().filter(|status| **status == "processed").count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == "duplicate").count(), 49, "{answers:?}");
    assert_eq!(world.levels().await["DUNK-42"], (10, 2, 8));
    let history = world.history().await;
    assert_eq!(history.iter().filter(|name| *name == "stock.reserved").count(), 1);
    // A restart remembers.
    let restarted = world.twin().await;
    assert_eq!(order.send(&restarted.admin, &connection).await.expect(200)["status"], "duplicate");
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_nothing_is_written() {
    let (world, connection, product) = connected().await;
    let before = world.history().await.len();
    let mut forged = Webhook::new("orders/create", "o-1", &shop::order(1, &product, &[(0, 2)]));
    forged.body.push(b' ');
    assert_eq!(forged.send(&world.admin, &connection).await.problem(401), "webhook.rejected");
    let nobody = "00000000-0000-0000-0000-000000000000";
    assert_eq!(forged.send(&world.admin, nobody).await.problem(404), "connection.unknown");
    assert_eq!(world.history().await.len(), before);
    let (bodies,): (i64,) = sqlx::query_as("select count(*) from delivery_bodies")
        .fetch_one(world.onhand.pool())
        .await
        .expect("bodies can be counted");
    assert_eq!(bodies, 1, "only that of the product");
}

#[tokio::test]
async fn a_body_over_one_megabyte_is_refused() {
    let (world, connection, _) = connected().await;
    let large = Webhook::of_bytes("products/update", "big", vec![b' '; 1_048_577]);
    assert_eq!(large.send(&world.admin, &connection).await.problem(413), "body.too_large");
    let fits = Webhook::of_bytes("products/update", "fits", vec![b' '; 1_048_576]);
    assert_eq!(fits.send(&world.admin, &connection).await.problem(500), "delivery.failed");
}

#[tokio::test]
async fn what_cannot_be_understood_is_held_and_the_same_failure_again_is_a_dead_letter() {
    let (world, connection, _) = connected().await;
    let broken = Webhook::of_bytes("orders/create", "o-9", b"{\"id\":".to_vec());
    assert_eq!(broken.send(&world.admin, &connection).await.problem(500), "delivery.failed");
    assert_eq!(broken.send(&world.admin, &connection).await.expect(200)["status"], "dead_letter");
    let (body,): (Vec<u8>,) = sqlx::query_as(
        "select b.body from delivery_bodies b join events e on e.tenant_id = b.tenant_id
             and e.stream = 'delivery/' || b.delivery_id where e.name = 'delivery.failed'",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("its bytes are held");
    assert_eq!(body, broken.body);
    world.project().await;
    let listed = world.admin.get("/api/deliveries?status=failed").await.expect(200);
    assert_eq!(listed["data"][0]["external_id"], "o-9");
}

#[tokio::test]
async fn what_cannot_be_understood_says_nothing_of_its_buyer_in_history() {
    let (world, connection, product) = connected().await;
    let mut order = shop::order(9, &product, &[(1, 1)]);
    order["email"] = json!("somebody@quay.example");
    // Written down twice over, as some middleware does it; and where a number is to be.
    let twice = json!(order.to_string()).to_string();
    order["line_items"][0]["quantity"] = json!("somebody@quay.example");
    for (id, body) in [("twice", twice), ("odd", order.to_string())] {
        let broken = Webhook::of_bytes("orders/create", id, body.into_bytes());
        let answer = broken.send(&world.admin, &connection).await;
        assert!(!answer.body.to_string().contains("somebody"), "{}", answer.body);
        assert_eq!(answer.problem(500), "delivery.failed");
    }
    let (told, of_buyer): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where payload like '%somebody%' or metadata like '%somebody%')
         from events where name = 'delivery.failed'",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("events can be read");
    assert_eq!((told, of_buyer), (2, 0));
}

#[tokio::test]
async fn a_failed_delivery_that_is_sent_again_and_understood_is_acted_on() {
    let (world, connection, product) = connected().await;
    let broken = Webhook::of_bytes("orders/create", "o-9", b"{\"id\":".to_vec());
    broken.send(&world.admin, &connection).await.problem(500);
    let whole = Webhook::new("orders/create", "o-9", &shop::order(9, &product, &[(1, 1)]));
    assert_eq!(whole.send(&world.admin, &connection).await.expect(200)["status"], "processed");
    assert_eq!(world.levels().await["DUNK-43"], (10, 1, 9));
}

#[tokio::test]
async fn an_unknown_topic_is_taken_and_changes_nothing() {
    let (world, connection, _) = connected().await;
    let before = world.levels().await;
    let odd = Webhook::new("shop/update", "s-1", &json!({ "id": 1 }));
    assert_eq!(odd.send(&world.admin, &connection).await.expect(200)["status"], "processed");
    assert_eq!(world.levels().await, before);
    let listed = world.admin.get("/api/deliveries?topic=shop/update").await.expect(200);
    assert_eq!(listed["data"][0]["outcome"], "ignored");
}

#[tokio::test]
async fn a_cancelled_order_gives_its_units_back_even_if_the_news_come_in_the_wrong_order() {
    let (world, connection, product) = connected().await;
    let placed =
        |id: u64| Webhook::new("orders/create", &format!("c-{id}"), &shop::order(id, &product, &[(0, 3)]));
    let cancelled = |id: u64| {
        Webhook::new(
            "orders/cancelled",
            &format!("x-{id}"),
            &shop::cancelled(shop::order(id, &product, &[(0, 3)])),
        )
    };

    placed(1).send(&world.admin, &connection).await.expect(200);
    assert_eq!(world.levels().await["DUNK-42"], (10, 3, 7));
    cancelled(1).send(&world.admin, &connection).await.expect(200);
    assert_eq!(world.levels().await["DUNK-42"], (10, 0, 10));

    cancelled(2).send(&world.admin, &connection).await.expect(200);
    placed(2).send(&world.admin, &connection).await.expect(200);
    assert_eq!(world.levels().await["DUNK-42"], (10, 0, 10));
}

#[tokio::test]
async fn sizes_that_exchange_their_skus_are_sold_by_the_new_ones_and_what_is_taken_is_told() {
    let (world, connection, product) = connected().await;
    let shows = async |skus: [&str; 2], id: &str, at: &str| {
        let mut product = product.clone();
        for (place, sku) in skus.into_iter().enumerate() {
            product["variants"][place]["sku"] = json!(sku);
        }
        product["updated_at"] = json!(at);
        Webhook::new("products/update", id, &product).send(&world.admin, &connection).await.expect(200);
        product
    };
    let shown = shows(["DUNK-43", "DUNK-42"], "p-2", "2026-11-01T12:00:01Z").await;
    let order = Webhook::new("orders/create", "o-1", &shop::order(1, &shown, &[(0, 3)]));
    order.send(&world.admin, &connection).await.expect(200);
    let levels = world.levels().await;
    assert_eq!((levels["DUNK-42"], levels["DUNK-43"]), ((10, 0, 10), (10, 3, 7)));

    world.stocked(&[("OTHER", 1)]).await;
    shows(["OTHER", "DUNK-42"], "p-3", "2026-11-01T12:00:02Z").await;
    world.project().await;
    let listed = world.admin.get("/api/deliveries?topic=products/update").await.expect(200);
    assert!(listed["data"].to_string().contains("names another variant"), "{listed}");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn an_order_for_more_than_there_is_takes_what_is_there_and_says_so() {
    let (world, connection, product) = connected().await;
    Webhook::new("orders/create", "o-1", &shop::order(1, &product, &[(0, 12)]))
        .send(&world.admin, &connection)
        .await
        .expect(200);
    assert_eq!(world.levels().await["DUNK-42"], (10, 10, 0));
    let listed = world.admin.get("/api/deliveries?topic=orders/create").await.expect(200);
    let note = listed["data"][0]["notes"][0].as_str().expect("a note").to_owned();
    assert_eq!(note, "sold 12 of DUNK-42, but only 10 were there");
}

#[tokio::test]
async fn a_platforms_stock_figure_changes_stock_only_where_the_rules_say_so() {
    for (accept, expected) in [(false, (10, 0, 10)), (true, (4, 0, 4))] {
        let world = World::new().await;
        let connection = world.connect(None, json!({ "acceptInventory": accept })).await;
        let product = shop::product("DUNK", &[("42", "110.00")]);
        Webhook::new("products/create", "p", &product).send(&world.admin, &connection).await.expect(200);
        world.admin.post("/api/stock/restock", json!({ "sku": "DUNK-42", "quantity": 10 })).await.expect(200);
        let level = json!({
            "inventory_item_id": product["variants"][0]["inventory_item_id"], "location_id": 7, "available": 4,
            "updated_at": world.clock.now().to_rfc3339(),
        });
        Webhook::new("inventory_levels/update", "i", &level)
            .send(&world.admin, &connection)
            .await
            .expect(200);
        assert_eq!(world.levels().await["DUNK-42"], expected);
        let elsewhere = json!({ "inventory_item_id": level["inventory_item_id"], "location_id": 8, "available": 1,
            "updated_at": "2026-11-02T10:00:00+01:00" });
        Webhook::new("inventory_levels/update", "j", &elsewhere)
            .send(&world.admin, &connection)
            .await
            .expect(200);
        assert_eq!(world.levels().await["DUNK-42"], expected);
    }
}

#[tokio::test]
async fn a_deleted_product_is_no_longer_pushed_to_but_stays_in_the_catalogue() {
    let (world, connection, product) = connected().await;
    Webhook::new("products/delete", "d", &json!({ "id": product["id"] }))
        .send(&world.admin, &connection)
        .await
        .expect(200);
    let listings = world.admin.get("/api/listings").await.expect(200);
    assert!(listings["data"].as_array().expect("rows").iter().all(|listing| listing["removed"] == true));
    assert_eq!(world.levels().await["DUNK-42"], (10, 0, 10));
}

#[tokio::test]
async fn recorded_bodies_pass_through_unchanged() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/platforms/payloads/shopify");
    let Ok(files) = std::fs::read_dir(&folder) else { return }; // They are others' documents, and not everywhere.
    let world = World::new().await;
    let connection = world.connect(None, json!({})).await;
    let mut seen = 0;
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some((topic, _)) = name.split_once("__") else { continue };
        let Some((noun, verb)) = topic.split_once('-') else { continue };
        let body = std::fs::read(file.path()).expect("a recorded body can be read");
        let webhook = Webhook::of_bytes(&format!("{noun}/{verb}"), &name, body.clone());
        let answer = webhook.send(&world.admin, &connection).await.expect(200);
        assert_eq!(answer["status"], "processed", "{name}");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
    let (kept,): (i64,) = sqlx::query_as("select count(*) from delivery_bodies")
        .fetch_one(world.onhand.pool())
        .await
        .expect("counted");
    assert_eq!(kept, seen);
    world.expect_intact().await;
    world.expect_rebuilt_equals_live().await;
}
