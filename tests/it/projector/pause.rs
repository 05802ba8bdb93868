use onhand_tests::{World, process::onhand};
use serde_json::{Value, json};

/// How a read model stands, as the API shows it.
pub(super) async fn standing(world: &World, name: &str) -> Value {
    let shown = world.admin.get("/api/projections").await.expect(200);
    let rows = shown["data"].as_array().expect("rows");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name} is not in {shown}")).clone()
}

async fn on_hand(world: &World) -> Vec<i64> {
    let rows: Vec<(i64,)> = sqlx::query_as("select on_hand from stock_levels order by 1")
        .fetch_all(world.onhand.pool())
        .await
        .expect("levels can be read");
    rows.into_iter().map(|(on_hand,)| on_hand).collect()
}

#[tokio::test]
async fn a_paused_projection_stands_still_while_the_others_go_on_and_catches_up_when_it_is_resumed() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    world.project().await;
    assert_eq!(standing(&world, "stock_levels").await["state"], "current");

    let paused = world.admin.post("/api/projections/stock_levels/pause", json!({})).await.expect(200);
    let since = standing(&world, "stock_levels").await["paused_at"].clone();
    world.stocked(&[("B", 7)]).await;
    world.project().await;
    assert_eq!(on_hand(&world).await, [5]);
    let still = standing(&world, "stock_levels").await;
    assert_eq!(still["state"], "paused", "{still}");
    assert!(still["why"].as_str().is_some_and(|why| why.starts_with("paused by key:")), "{still}");
    assert!(still["lag_entries"].as_i64().is_some_and(|lag| lag > 0), "{still}");
    assert!(still["position"].as_i64() < paused["position"].as_i64(), "{still} {paused}");
    assert_eq!(standing(&world, "reservations").await["state"], "current");

    // Whoever says so once more changes nothing.
    world.clock.advance(chrono::TimeDelta::minutes(1));
    world.admin.post("/api/projections/stock_levels/pause", json!({})).await.expect(200);
    assert_eq!(standing(&world, "stock_levels").await["paused_at"], since);

    world.admin.post("/api/projections/stock_levels/resume", json!({})).await.expect(200);
    world.project().await;
    assert_eq!(on_hand(&world).await, [5, 7]);
    assert_eq!(standing(&world, "stock_levels").await["state"], "current");
    let noted: Vec<String> =
        world.history().await.into_iter().filter(|name| name.starts_with("administration.")).collect();
    assert_eq!(
        noted,
        [
            "administration.projection_paused",
            "administration.projection_paused",
            "administration.projection_resumed"
        ]
    );
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_pause_that_is_repeated_with_its_key_after_a_resume_pauses_nothing() {
    let world = World::new().await;
    let pause = "/api/projections/deliveries/pause";
    let first = world.admin.post_once(pause, "once", json!({})).await.expect(200);
    world.admin.post("/api/projections/deliveries/resume", json!({})).await.expect(200);
    let again = world.admin.post_once(pause, "once", json!({})).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(200), first);
    assert_eq!(standing(&world, "deliveries").await["paused_by"], Value::Null);
}

#[tokio::test]
async fn a_pause_that_was_lost_after_its_entry_is_done_when_it_is_repeated_with_its_key() {
    let world = World::new().await;
    let pause = "/api/projections/deliveries/pause";
    let first = world.admin.post_once(pause, "once", json!({})).await.expect(200);
    // As if whoever was asked had died once the entry was there.
    sqlx::query(
        "update checkpoints set paused_by = null, paused_at = null, told_at = 0 where model = 'deliveries'",
    )
    .execute(world.onhand.pool())
    .await
    .expect("checkpoints may be changed");
    assert_ne!(standing(&world, "deliveries").await["state"], "paused");
    let again = world.admin.post_once(pause, "once", json!({})).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(200), first);
    assert_eq!(standing(&world, "deliveries").await["state"], "paused");
}

#[tokio::test]
async fn while_reservations_stand_still_no_hold_is_found_due_and_they_end_when_it_goes_on() {
    let world = World::new().await;
    world.stocked(&[("A", 2)]).await;
    world.reserve(&[("A", 2)]).await.expect(201);
    world.project().await;
    world.admin.post("/api/projections/reservations/pause", json!({})).await.expect(200);
    world.clock.advance(chrono::TimeDelta::minutes(15));
    assert_eq!(world.onhand.operations.expire_due().await.expect("expiry works"), 0);
    let still = standing(&world, "reservations").await;
    assert!(
        still["why"].as_str().is_some_and(|why| why.ends_with("; holds do not end on time meanwhile")),
        "{still}"
    );
    world.admin.post("/api/projections/reservations/resume", json!({})).await.expect(200);
    world.project().await;
    assert_eq!(world.onhand.operations.expire_due().await.expect("expiry works"), 1);
    assert_eq!(world.levels().await["A"], (2, 0, 2));
}

#[tokio::test]
async fn what_cannot_stand_still_or_is_not_there_or_is_not_the_callers_to_decide_is_refused() {
    let world = World::new().await;
    for word in ["pause", "resume"] {
        let of_products = world.admin.post(&format!("/api/projections/products/{word}"), json!({})).await;
        assert_eq!(of_products.problem(422), "projection.in_commit");
        let nonsense = world.admin.post(&format!("/api/projections/nonsense/{word}"), json!({})).await;
        assert_eq!(nonsense.problem(404), "projection.unknown");
    }
    let nonsense = world.admin.post("/api/projections/nonsense/rebuild", json!({})).await;
    assert_eq!(nonsense.problem(404), "projection.unknown");
    for caller in [world.client("editor", None).await, world.client("admin", Some("kite")).await] {
        for word in ["pause", "resume", "rebuild"] {
            let refused = caller.post(&format!("/api/projections/stock_levels/{word}"), json!({})).await;
            assert_eq!(refused.problem(403), "auth.forbidden");
        }
        caller.get("/api/projections").await.expect(200);
    }
    assert!(!world.history().await.iter().any(|name| name.starts_with("administration.")));
}

#[tokio::test]
async fn the_command_line_lists_projections_and_lets_them_stand_still_and_go_on() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let (code, said, wrong) = onhand(&world, &["projections", "pause", "stock_levels"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    let (code, said, wrong) = onhand(&world, &["projections", "--tenant", "acme"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    for model in onhand_projector::MODELS {
        assert!(said.contains(model.name), "{}: {said}", model.name);
    }
    assert!(said.contains("paused by cli"), "{said}");
    let (code, said, wrong) = onhand(&world, &["projections", "resume", "stock_levels"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert_eq!(standing(&world, "stock_levels").await["state"], "behind");
    let (code, _, wrong) = onhand(&world, &["projections", "pause", "products"]).await;
    assert_eq!(code, 1);
    assert!(wrong.contains("cannot stand still"), "{wrong}");
}
