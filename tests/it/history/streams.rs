//! Streams told step by step, and how they differ between two moments, over HTTP and on the command line.

use onhand_tests::{World, process::onhand};
use serde_json::{Value, json};

use super::{audit::burden, travel::all};

/// A shelf with a little history: gives its stream and the position of each step.
async fn shelf(world: &World) -> (String, Vec<i64>) {
    world.stocked(&[("A", 10)]).await;
    let held = world.reserve(&[("A", 3)]).await.expect(201);
    let path = format!("/api/reservations/{}/commit", held["reservation"].as_str().expect("an id"));
    world.admin.post(&path, json!({})).await.expect(200);
    world.project().await;
    let level = all(&world.admin, "/api/stock", "sku=A").await;
    let stream = format!("stock/{}/main", level[0]["variant_id"].as_str().expect("an id"));
    let steps = all(&world.admin, &format!("/api/streams/{stream}"), "").await;
    (stream, steps.iter().map(|step| step["position"].as_i64().expect("a position")).collect())
}

#[tokio::test]
async fn a_stream_is_told_step_by_step_with_what_each_step_has_changed() {
    let world = World::new().await;
    let (stream, positions) = shelf(&world).await;
    let path = format!("/api/streams/{stream}");
    let steps = all(&world.admin, &path, "limit=2").await;
    let actions: Vec<&str> = steps.iter().filter_map(|step| step["action"].as_str()).collect();
    assert_eq!(actions, ["stock.restocked", "stock.reserved", "stock.committed"]);
    assert!(steps.iter().all(|step| step["actor"].as_str().is_some_and(|actor| actor.starts_with("key:"))));
    let levels: Vec<_> =
        steps.iter().map(|step| (&step["state"]["on_hand"], &step["state"]["reserved"])).collect();
    assert_eq!(levels, [(&json!(10), &json!(0)), (&json!(10), &json!(3)), (&json!(7), &json!(0))]);
    let reservation = steps[1]["data"]["reservation"].as_str().expect("an id");
    let hold = json!({ "quantity": 3, "expires_at": steps[1]["data"]["expires_at"] });
    assert_eq!(
        steps[2]["changes"],
        json!([
            { "path": format!("/holds/{reservation}"), "before": hold, "after": null },
            { "path": "/on_hand", "before": 10, "after": 7 },
            { "path": "/reserved", "before": 3, "after": 0 },
        ])
    );
    assert_eq!(all(&world.admin, &path, "from=2&limit=1").await, steps[1..]);
    assert_eq!(all(&world.admin, &path, &format!("until={}&limit=1", positions[1])).await, steps[..2]);
    assert_eq!(world.admin.get("/api/streams/sku/NOBODY").await.problem(404), "stream.unknown");
    assert_eq!(world.admin.get("/api/streams/shelf/1").await.problem(400), "path.invalid");
    assert_eq!(world.admin.get(&format!("{path}?until=tomorrow")).await.problem(400), "at.invalid");
    let bound = world.client("admin", Some("kite")).await;
    assert_eq!(bound.get(&path).await.problem(403), "auth.forbidden");
    let stranger = world.other_tenant().await;
    assert_eq!(stranger.admin.get(&path).await.problem(404), "stream.unknown");
}

#[tokio::test]
async fn a_page_of_steps_ends_before_it_weighs_too_much() {
    let world = World::new().await;
    let (stream, _) = shelf(&world).await;
    burden(&world, "A", 9).await;
    // What is shown of this one weighs more with every step, and its entries next to nothing.
    let size = "x".repeat(200);
    let variants: Vec<Value> =
        (0..300).map(|n| json!({ "sku": format!("V-{n}"), "attributes": { "size": size } })).collect();
    let body = json!({ "title": "Kite", "variants": variants });
    let product = world.admin.post("/api/products", body).await.expect(201);
    let product = format!("product/{}", product["id"].as_str().expect("an id"));
    for (stream, last) in [(stream, 12), (product, 301)] {
        let path = format!("/api/streams/{stream}");
        let page = world.admin.get(&format!("{path}?limit=200")).await;
        let weight = page.text.len();
        assert!((3_000_000..5_500_000).contains(&weight), "{stream}: {weight}");
        assert!(page.expect(200)["next_cursor"].is_string(), "{stream} goes on");
        let steps = all(&world.admin, &path, "limit=200").await;
        let versions: Vec<_> = steps.iter().filter_map(|step| step["version"].as_i64()).collect();
        assert_eq!(versions, (1..=last).collect::<Vec<_>>(), "each once, and in order");
    }
}

#[tokio::test]
async fn the_difference_between_two_moments_goes_in_either_direction() {
    let world = World::new().await;
    let (stream, positions) = shelf(&world).await;
    let (first, last) = (positions[0], positions[2]);
    let between = async |from: i64, to: i64| {
        world.admin.get(&format!("/api/differences/{stream}?from={from}&to={to}")).await.expect(200)
    };
    let forward = between(first, last).await;
    assert_eq!((&forward["from"]["version"], &forward["to"]["version"]), (&json!(1), &json!(3)));
    assert_eq!(
        forward["changes"],
        json!([
            { "path": "/available", "before": 10, "after": 7 },
            { "path": "/on_hand", "before": 10, "after": 7 },
        ])
    );
    let back = between(last, first).await;
    assert_eq!(back["changes"][1], json!({ "path": "/on_hand", "before": 7, "after": 10 }));
    assert_eq!(between(last, last).await["changes"], json!([]));
    let path = format!("/api/differences/{stream}");
    assert_eq!(world.admin.get(&path).await.problem(400), "query.invalid");
    let unknown = world.admin.get(&format!("/api/differences/sku/NOBODY?from={first}&to={last}")).await;
    assert_eq!(unknown.problem(404), "stream.unknown");
    let future = world.admin.get(&format!("{path}?from={first}&to=1000000")).await;
    assert_eq!(future.problem(400), "at.future");
    let bound = world.client("viewer", Some("kite")).await;
    assert_eq!(bound.get(&format!("{path}?from=0&to=1")).await.problem(403), "auth.forbidden");
}

#[tokio::test]
async fn replay_tells_a_shelf_step_by_step_and_what_differs_between_two_moments() {
    let world = World::new().await;
    let (stream, positions) = shelf(&world).await;
    for narrowed in [vec!["--stream", stream.as_str()], vec!["--sku", "A"]] {
        let (code, said, wrong) = onhand(&world, &[vec!["replay"], narrowed].concat()).await;
        assert_eq!(code, 0, "{said}{wrong}");
        for told in
            ["stock.restocked", "stock.reserved", "stock.committed", "/on_hand: 10 → 7", "3 entries up to"]
        {
            assert!(said.contains(told), "{told}: {said}");
        }
    }
    let (from, until) = (positions[0].to_string(), positions[1].to_string());
    let (code, said, wrong) =
        onhand(&world, &["replay", "--sku", "A", "--from", &from, "--until", &until]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert!(said.contains("stock.reserved") && said.contains("1 entry up to"), "{said}");
    assert!(!said.contains("stock.restocked") && !said.contains("stock.committed"), "{said}");

    let (code, said, wrong) = onhand(&world, &["replay", "--sku", "A", "--diff", "0", &until]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert!(said.contains("/on_hand: 0 → 10") && said.contains("/reserved: 0 → 3"), "{said}");

    for range in [vec![], vec!["--diff", "0", until.as_str()]] {
        let args = [vec!["replay", "--stream", "sku/NOBODY"], range].concat();
        let (code, said, wrong) = onhand(&world, &args).await;
        assert_eq!(code, 1, "{args:?}: {said}{wrong}");
        assert!(wrong.contains("there is no stream sku/NOBODY"), "{args:?}: {wrong}");
    }
    for args in [
        vec!["replay"],
        vec!["replay", "--sku", "NOBODY"],
        vec!["replay", "--stream", "shelf/1"],
        vec!["replay", "--sku", "A", "--until", "2999-01-01T00:00:00Z"],
    ] {
        let (code, said, wrong) = onhand(&world, &args).await;
        assert_ne!(code, 0, "{args:?}: {said}");
        assert!(!wrong.is_empty(), "{args:?} says what is wrong");
    }
}
