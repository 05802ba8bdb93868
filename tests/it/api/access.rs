use axum::body::Body;
use onhand_tests::World;
use serde_json::json;

/// Every route that touches a tenant's data.
const READS: [&str; 8] = [
    "/api/products",
    "/api/stock",
    "/api/reservations",
    "/api/connections",
    "/api/listings",
    "/api/audit",
    "/api/deliveries",
    "/api/outbox",
];

const WRITES: [(&str, &str); 15] = [
    ("POST", "/api/products"),
    ("PUT", "/api/products/00000000-0000-0000-0000-000000000001"),
    ("POST", "/api/products/00000000-0000-0000-0000-000000000001/variants"),
    ("DELETE", "/api/products/00000000-0000-0000-0000-000000000001"),
    ("PUT", "/api/variants/A/prices/US"),
    ("POST", "/api/stock/restock"),
    ("POST", "/api/stock/adjust"),
    ("POST", "/api/stock/count"),
    ("POST", "/api/reservations"),
    ("POST", "/api/reservations/00000000-0000-0000-0000-000000000001/commit"),
    ("POST", "/api/reservations/00000000-0000-0000-0000-000000000001/release"),
    ("DELETE", "/api/listings/00000000-0000-0000-0000-000000000001"),
    ("POST", "/api/connections"),
    ("PUT", "/api/connections/00000000-0000-0000-0000-000000000001/rules"),
    ("POST", "/api/keys"),
];

#[tokio::test]
async fn no_route_is_without_an_actor() {
    let world = World::new().await;
    for key in [None, Some("onhand_guessed")] {
        let nobody = world.admin.with_key(key);
        for path in READS {
            assert_eq!(nobody.get(path).await.problem(401), "auth.required", "{path}");
        }
        for (method, path) in WRITES {
            let answer = nobody.send(method, path, &[], Body::from("{}")).await;
            assert_eq!(answer.problem(401), "auth.required", "{path}");
        }
    }
}

#[tokio::test]
async fn a_viewer_reads_and_cannot_write() {
    let world = World::new().await;
    let viewer = world.client("viewer", None).await;
    for path in READS {
        viewer.get(path).await.expect(200);
    }
    for (method, path) in WRITES {
        let answer = viewer.send(method, path, &[], Body::from("{}")).await;
        assert_eq!(answer.problem(403), "auth.forbidden", "{path}");
    }
}

#[tokio::test]
async fn an_editor_moves_stock_and_cannot_manage_connections_or_keys() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let editor = world.client("editor", None).await;
    editor.post("/api/stock/restock", json!({ "sku": "A", "quantity": 1 })).await.expect(200);
    editor.post("/api/connections", json!({})).await.problem(403);
    editor.post("/api/keys", json!({})).await.problem(403);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_in_a_process_that_has_not_seen_it() {
    let world = World::new().await;
    let made = world.admin.post("/api/keys", json!({ "name": "till", "role": "viewer" })).await.expect(201);
    let id = made["id"].as_str().expect("an id");
    world.admin.send("DELETE", &format!("/api/keys/{id}"), &[], Body::empty()).await.expect(200);
    world.twin().await.admin.with_key(made["key"].as_str()).get("/api/stock").await.problem(401);
}

#[tokio::test]
async fn a_tenant_never_sees_or_moves_what_is_anothers() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let held = world.reserve(&[("A", 1)]).await.expect(201);
    let connection = world.connect(None, json!({})).await;
    world.project().await;

    let other = world.other_tenant().await;
    other.project().await;
    for path in READS.iter().filter(|path| **path != "/api/audit") {
        let body = other.admin.get(path).await.expect(200);
        assert_eq!(body["data"], json!([]), "{path}");
    }
    let audit = other.admin.get("/api/audit").await.expect(200);
    let audit = audit["data"].as_array().expect("rows");
    assert!(audit.iter().all(|row| row["action"] == "key.created"), "{audit:?}");

    let id = held["reservation"].as_str().expect("an id");
    let end = other.admin.post(&format!("/api/reservations/{id}/release"), json!({})).await;
    assert_eq!(end.problem(404), "reservation.unknown");
    let sku = other.admin.post("/api/stock/restock", json!({ "sku": "A", "quantity": 1 })).await;
    assert_eq!(sku.problem(404), "sku.unknown");
    let switch = other.admin.post(&format!("/api/connections/{connection}/disable"), json!({})).await;
    assert_eq!(switch.problem(404), "connection.unknown");
    other.admin.get(&format!("/api/reservations/{id}")).await.problem(404);
    assert_eq!(world.levels().await["A"], (5, 1, 4));
}

#[tokio::test]
async fn a_key_of_one_brand_never_sees_or_moves_what_is_anothers() {
    let world = World::new().await;
    world.stocked(&[("KITE-1", 5)]).await;
    let heron = json!({ "title": "Heron", "brand": "heron", "variants": [{ "sku": "HERON-1" }] });
    world.admin.post("/api/products", heron).await.expect(201);
    world.admin.post("/api/stock/restock", json!({ "sku": "HERON-1", "quantity": 5 })).await.expect(200);
    world.connect(None, json!({})).await;
    let held = world.reserve(&[("KITE-1", 1)]).await.expect(201);
    world.project().await;

    let heron = world.client("editor", Some("heron")).await;
    let products = heron.get("/api/products").await.expect(200);
    assert_eq!(products["data"].as_array().map(Vec::len), Some(1));
    let stock = heron.get("/api/stock").await.expect(200);
    assert_eq!(
        (&stock["data"][0]["sku"], stock["data"].as_array().map(Vec::len)),
        (&json!("HERON-1"), Some(1))
    );
    for path in ["/api/connections", "/api/reservations", "/api/listings", "/api/deliveries", "/api/outbox"] {
        assert_eq!(heron.get(path).await.expect(200)["data"], json!([]), "{path}");
    }
    world.project().await;
    let audit = heron.get("/api/audit").await.expect(200);
    assert!(!audit.to_string().contains("KITE"), "{audit}");
    assert!(audit.to_string().contains("HERON"), "{audit}");

    let foreign =
        json!({ "lines": [{ "sku": "HERON-1", "quantity": 1 }, { "sku": "KITE-1", "quantity": 1 }] });
    assert_eq!(heron.post("/api/reservations", foreign).await.problem(404), "sku.unknown");
    let id = held["reservation"].as_str().expect("an id");
    assert_eq!(
        heron.post(&format!("/api/reservations/{id}/release"), json!({})).await.problem(404),
        "reservation.unknown"
    );
    let own = json!({ "lines": [{ "sku": "HERON-1", "quantity": 1 }] });
    heron.post("/api/reservations", own).await.expect(201);
}

#[tokio::test]
async fn a_secret_is_never_shown_again_nor_stored_in_the_clear() {
    let world = World::new().await;
    world.connect(None, json!({})).await;
    world.project().await;
    for path in READS {
        let text = world.admin.get(path).await.expect(200).to_string();
        assert!(!text.contains("shpat_test") && !text.contains("hush-hush"), "{path}: {text}");
    }
    let (found,): (bool,) = sqlx::query_as(
        "select exists (select from events where payload ~ 'shpat_test|hush-hush')
             or exists (select from connection_secrets, unnest(array['shpat_test', 'hush-hush']) as word
                        where position(convert_to(word, 'UTF8') in sealed) > 0)",
    )
    .fetch_one(world.onhand.pool())
    .await
    .expect("the tables can be searched");
    assert!(!found);
}

#[tokio::test]
async fn a_brands_own_connection_reaches_nothing_of_another_brand() {
    let world = World::new().await;
    world.stocked(&[("KITE-1", 5)]).await;
    let heron = world.client("admin", Some("heron")).await;
    let body = json!({
        "platform": "shopify", "name": "Heron", "brand": "heron", "account": "heron.example",
        "endpoint": "http://127.0.0.1:9", "platform_location": "7", "currency": "USD",
        "webhook_secret": onhand_tests::shop::SECRET, "access_token": "t",
        "rules": { "acceptInventory": true, "acceptPrices": true },
    });
    let made = heron.post("/api/connections", body).await.expect(201);
    let connection = made["id"].as_str().expect("an id");
    let product = json!({ "id": 77, "title": "Mine now", "variants": [{ "id": 78, "sku": "KITE-1", "price": "1.00",
        "inventory_item_id": 79 }] });
    let send = |topic: &str, body: serde_json::Value| onhand_tests::shop::Webhook::new(topic, topic, &body);
    send("products/create", product).send(&heron, connection).await.expect(200);
    let order = json!({ "id": 80, "line_items": [{ "id": 1, "sku": "KITE-1", "quantity": 3 }] });
    send("orders/create", order).send(&heron, connection).await.expect(200);
    let level = json!({ "inventory_item_id": 79, "location_id": 7, "available": 1, "updated_at": "2026-11-02T09:00:00Z" });
    send("inventory_levels/update", level).send(&heron, connection).await.expect(200);

    assert_eq!(world.levels().await["KITE-1"], (5, 0, 5));
    let kite = world.admin.get("/api/products?sku=KITE-1").await.expect(200);
    assert_eq!(
        (&kite["data"][0]["title"], kite["data"].as_array().map(Vec::len)),
        (&json!("Runner"), Some(1))
    );
    let listings = heron.get("/api/listings").await.expect(200);
    assert!(!listings.to_string().contains("KITE"), "{listings}");
}

#[tokio::test]
async fn a_filter_that_cannot_be_looked_for_is_the_callers_mistake() {
    let world = World::new().await;
    for path in ["/api/products?sku=%00", "/api/audit?actor=%00", "/api/deliveries?topic=%00"] {
        assert_eq!(world.admin.get(path).await.problem(400), "filter.invalid", "{path}");
    }
}

#[tokio::test]
async fn keys_are_listed_to_admins_without_what_opens_with_them() {
    let world = World::new().await;
    let key = |name: &str, brand: Option<&str>| json!({ "name": name, "role": "viewer", "brand": brand });
    let till = world.admin.post("/api/keys", key("till", None)).await.expect(201);
    world.admin.post("/api/keys", key("heron's till", Some("heron"))).await.expect(201);
    let path = format!("/api/keys/{}", till["id"].as_str().expect("an id"));
    world.admin.send("DELETE", &path, &[], Body::empty()).await.expect(200);

    let listed = world.admin.get("/api/keys").await.expect(200);
    let find = |id: &serde_json::Value| {
        listed["data"].as_array().expect("rows").iter().find(|key| key["id"] == *id).cloned()
    };
    let shown = find(&till["id"]).expect("the key is listed");
    assert_eq!(
        (&shown["name"], &shown["role"], &shown["brand"], &shown["revoked"]),
        (&json!("till"), &json!("viewer"), &json!(null), &json!(true))
    );
    assert!(shown["created_at"].is_string(), "{shown}");
    let secret = till["key"].as_str().expect("a key");
    let text = listed.to_string();
    assert!(!text.contains(secret) && !text.contains("sha256"), "{text}");

    let first = world.admin.get("/api/keys?limit=1").await.expect(200);
    let rest =
        world.admin.get(&format!("/api/keys?cursor={}", first["next_cursor"].as_str().expect("more"))).await;
    let rest = rest.expect(200)["data"].as_array().map(Vec::len);
    assert_eq!(rest.map(|rest| rest + 1), listed["data"].as_array().map(Vec::len));

    let heron = world.client("admin", Some("heron")).await;
    let own = heron.get("/api/keys").await.expect(200);
    let own = own["data"].as_array().expect("rows").clone();
    assert!(own.len() == 2 && own.iter().all(|key| key["brand"] == "heron"), "{own:?}");
    let editor = world.client("editor", None).await;
    assert_eq!(editor.get("/api/keys").await.problem(403), "auth.forbidden");
    assert_eq!(
        world.other_tenant().await.admin.get("/api/keys").await.expect(200)["data"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn a_sku_that_is_taken_gives_nothing_of_another_brand_away() {
    let world = World::new().await;
    world.stocked(&[("KITE-1", 1)]).await;
    let kite = world.admin.get("/api/products?sku=KITE-1").await.expect(200);
    let variant = kite["data"][0]["variants"][0]["id"].as_str().expect("an id").to_owned();
    let heron = world.client("editor", Some("heron")).await;
    let product = json!({ "title": "Mine", "brand": "heron", "variants": [{ "sku": "KITE-1" }] });
    let answer = heron.post("/api/products", product).await;
    assert!(!answer.text.contains(&variant), "{}", answer.text);
    assert_eq!(answer.problem(409), "sku.taken");
}

#[tokio::test]
async fn a_listing_of_another_brand_or_tenant_cannot_be_taken_away() {
    let world = World::new().await;
    world.stocked(&[("KITE-1", 5)]).await;
    let connection = world.connect(None, json!({})).await;
    let mapping = json!({
        "connection": connection, "external_product": "77", "external_variant": "78", "sku": "KITE-1",
    });
    let made = world.admin.post("/api/listings", mapping).await.expect(200);
    let path = format!("/api/listings/{}", made["id"].as_str().expect("an id"));
    let listed = async || world.admin.get("/api/listings").await.expect(200)["data"][0]["removed"].clone();

    let other = world.other_tenant().await;
    for stranger in [world.client("editor", Some("heron")).await, other.admin.clone()] {
        let answer = stranger.send("DELETE", &path, &[], Body::empty()).await;
        assert_eq!(answer.problem(404), "listing.unknown");
    }
    assert_eq!(listed().await, false);
    let nobodys = "/api/listings/00000000-0000-0000-0000-000000000001";
    let answer = world.admin.send("DELETE", nobodys, &[], Body::empty()).await;
    assert_eq!(answer.problem(404), "listing.unknown");

    let kite = world.client("editor", Some("kite")).await;
    kite.send("DELETE", &path, &[], Body::empty()).await.expect(200);
    assert_eq!(listed().await, true);
}
