use std::time::Duration;

use chrono::TimeDelta;
use onhand_tests::{
    World,
    process::{Process, until},
};
use serde_json::{Value, json};

async fn hold(world: &World, body: Value) -> String {
    let held = world.admin.post("/api/reservations", body).await.expect(201);
    format!("/api/reservations/{}", held["reservation"].as_str().expect("an id"))
}

fn one_unit() -> Value {
    json!({ "lines": [{ "sku": "X", "quantity": 1 }] })
}

async fn expire(world: &World) {
    world.project().await;
    world.onhand.operations.expire_due().await.expect("expiry works");
}

#[tokio::test]
async fn a_payment_that_comes_late_gets_the_units_that_nobody_else_has() {
    let world = World::new().await;
    world.stocked(&[("X", 1)]).await;
    let path = hold(&world, one_unit()).await;
    world.clock.advance(TimeDelta::minutes(15));
    expire(&world).await;
    assert_eq!(world.levels().await["X"], (1, 0, 1));

    assert_eq!(world.admin.post(&format!("{path}/commit"), json!({})).await.expect(200)["units"], 1);
    assert_eq!(world.levels().await["X"], (0, 0, 0));
    assert_eq!(world.admin.get(&path).await.expect(200)["status"], "committed");
    assert_eq!(
        world.admin.post(&format!("{path}/commit"), json!({})).await.problem(409),
        "reservation.ended"
    );
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_hold_is_extended_and_then_ends_at_its_new_time() {
    let world = World::new().await;
    world.stocked(&[("X", 1)]).await;
    let path = hold(&world, one_unit()).await;
    world.clock.advance(TimeDelta::minutes(10));
    let extended = json!({ "ttl_seconds": 1_200 });
    let answer = world.admin.post(&format!("{path}/extend"), extended).await.expect(200);
    assert!(answer["expires_at"].is_string(), "{answer}");
    world.clock.advance(TimeDelta::minutes(19));
    expire(&world).await;
    assert_eq!(world.levels().await["X"], (1, 1, 0));
    world.clock.advance(TimeDelta::minutes(1));
    expire(&world).await;
    assert_eq!(world.levels().await["X"], (1, 0, 1));
    let late = world.admin.post(&format!("{path}/extend"), json!({})).await;
    assert_eq!(late.problem(409), "reservation.ended");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_hold_waits_for_a_payment_under_way_but_not_for_ever() {
    let world = World::new().await;
    world.stocked(&[("X", 1)]).await;
    let path = hold(&world, one_unit()).await;
    world.clock.advance(TimeDelta::minutes(14));
    let first = world.admin.post(&format!("{path}/payment"), json!({})).await.expect(200);
    world.clock.advance(TimeDelta::minutes(5));
    let second = world.admin.post(&format!("{path}/payment"), json!({})).await.expect(200);
    assert_eq!(first["expires_at"], second["expires_at"], "it is granted once");
    expire(&world).await;
    assert_eq!(world.levels().await["X"], (1, 1, 0));
    world.clock.advance(TimeDelta::minutes(5));
    expire(&world).await;
    assert_eq!(world.levels().await["X"], (1, 0, 1));
    let long = json!({ "grace_seconds": 3_601 });
    assert_eq!(world.admin.post(&format!("{path}/payment"), long).await.problem(422), "reservation.ttl");
}

#[tokio::test]
async fn a_cart_that_changes_holds_what_it_holds_now() {
    let world = World::new().await;
    world.stocked(&[("X", 3), ("Y", 3)]).await;
    let cart = |lines: Value| json!({ "owner": "cart", "lines": lines });
    hold(&world, cart(json!([{ "sku": "X", "quantity": 2 }]))).await;
    hold(&world, cart(json!([{ "sku": "X", "quantity": 3 }, { "sku": "Y", "quantity": 1 }]))).await;
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((3, 3, 0), (3, 1, 2)));
    let path = hold(&world, cart(json!([{ "sku": "Y", "quantity": 2 }]))).await;
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((3, 0, 3), (3, 2, 1)));
    // What does not fit leaves everything as it is.
    let too_much = cart(json!([{ "sku": "X", "quantity": 4 }]));
    assert_eq!(world.admin.post("/api/reservations", too_much).await.problem(409), "stock.insufficient");
    assert_eq!(world.levels().await["Y"], (3, 2, 1));
    world.admin.post(&format!("{path}/commit"), json!({})).await.expect(200);
    assert_eq!(world.levels().await["Y"], (1, 0, 1));
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_cart_that_is_asked_for_anew_loses_no_time_and_is_told_so() {
    let world = World::new().await;
    world.stocked(&[("X", 3), ("Y", 3)]).await;
    let ask = async |lines: Value, seconds: i64| {
        let body = json!({ "owner": "cart", "ttl_seconds": seconds, "lines": lines });
        world.admin.post("/api/reservations", body).await.expect(201)["expires_at"].clone()
    };
    let one = json!([{ "sku": "X", "quantity": 2 }]);
    let until = ask(one.clone(), 3_600).await;
    assert_eq!(ask(one, 10).await, until);
    assert_eq!(ask(json!([{ "sku": "X", "quantity": 1 }]), 10).await, until, "also if it wants less");
    assert_eq!(ask(json!([{ "sku": "X", "quantity": 3 }]), 10).await, until, "or more");
    let sooner = ask(json!([{ "sku": "X", "quantity": 3 }, { "sku": "Y", "quantity": 1 }]), 10).await;
    assert_ne!(sooner, until, "what is held anew ends first");
}

#[tokio::test]
async fn a_reservation_is_told_to_end_when_the_first_of_what_is_held_does() {
    let world = World::new().await;
    world.stocked(&[("X", 1), ("Y", 1)]).await;
    let ask = async |lines: Value, seconds: i64| {
        let body = json!({ "owner": "cart", "ttl_seconds": seconds, "lines": lines });
        world.admin.post("/api/reservations", body).await.expect(201)
    };
    let [x, y] = ["X", "Y"].map(|sku| json!({ "sku": sku, "quantity": 1 }));
    let late = ask(json!([x]), 3_600).await;
    let soon = ask(json!([x, y]), 10).await;
    let path = format!("/api/reservations/{}", soon["reservation"].as_str().expect("an id"));
    world.project().await;
    assert_eq!(world.admin.get(&path).await.expect(200)["expires_at"], soon["expires_at"]);
    let then = format!("{path}?at={}", soon["position"]);
    let sold = world.admin.post(&format!("{path}/commit"), json!({ "lines": [y] })).await.expect(200);
    assert_eq!(sold["held"], 1);
    world.project().await;
    assert_eq!(world.admin.get(&path).await.expect(200)["expires_at"], late["expires_at"]);
    assert_eq!(world.admin.get(&then).await.expect(200)["expires_at"], soon["expires_at"]);
}

#[tokio::test]
async fn a_cart_has_a_name_of_1_to_200_characters_of_any_script() {
    let world = World::new().await;
    world.stocked(&[("X", 9)]).await;
    let ask = async |owner: String| {
        let body = json!({ "owner": owner, "lines": [{ "sku": "X", "quantity": 1 }] });
        world.admin.post("/api/reservations", body).await
    };
    ask("é".repeat(200)).await.expect(201);
    for owner in [String::new(), "   ".to_owned(), "é".repeat(201), "a\nb".to_owned()] {
        assert_eq!(ask(owner).await.problem(422), "reservation.owner");
    }
}

#[tokio::test]
async fn a_cart_is_not_sold_what_it_let_run_out_before() {
    let world = World::new().await;
    world.stocked(&[("X", 1), ("Y", 1)]).await;
    let cart = |sku: &str| json!({ "owner": "cart", "lines": [{ "sku": sku, "quantity": 1 }] });
    let monday = hold(&world, cart("X")).await;
    world.clock.advance(TimeDelta::minutes(15));
    expire(&world).await;
    let tuesday = hold(&world, cart("Y")).await;
    assert_ne!(monday, tuesday, "nothing was held any more: it is another reservation");
    assert_eq!(world.admin.post(&format!("{tuesday}/commit"), json!({})).await.expect(200)["units"], 1);
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((1, 0, 1), (0, 0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cart_that_is_asked_for_twice_at_once_at_two_processes_holds_what_one_of_them_asked() {
    let one = World::new().await;
    let two = one.twin().await.admin.with_key(Some(&one.key));
    one.stocked(&[("X", 50), ("Y", 50)]).await;
    for round in 0..20 {
        let cart = |sku: &str| {
            let owner = format!("cart-{round}");
            json!({ "owner": owner, "lines": [{ "sku": sku, "quantity": 1 }] })
        };
        let (a, b) = tokio::join!(
            one.admin.post("/api/reservations", cart("X")),
            two.post("/api/reservations", cart("Y"))
        );
        assert_eq!(a.expect(201)["reservation"], b.expect(201)["reservation"]);
    }
    let levels = one.levels().await;
    assert_eq!(levels["X"].1 + levels["Y"].1, 20, "{levels:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_is_asked_for_anew_while_it_is_sold_or_given_back_keeps_nothing_of_it() {
    let one = World::new().await;
    let two = one.twin().await.admin.with_key(Some(&one.key));
    one.stocked(&[("X", 100), ("Y", 100)]).await;
    for round in 0..40 {
        let cart = |lines: Value| json!({ "owner": format!("cart-{round}"), "lines": lines });
        let path = hold(&one, cart(json!([{ "sku": "X", "quantity": 1 }]))).await;
        let more = cart(json!([{ "sku": "X", "quantity": 1 }, { "sku": "Y", "quantity": 1 }]));
        let (asking, ending) = if round % 2 == 0 { (&one.admin, &two) } else { (&two, &one.admin) };
        let end = if round % 4 < 2 { "commit" } else { "release" };
        let end = format!("{path}/{end}");
        let (asked, ended) =
            tokio::join!(asking.post("/api/reservations", more), ending.post(&end, json!({})));
        let (asked, ended) = (asked.expect(201), ended.expect(200));
        assert_eq!(ended["held"], 0, "{ended}");
        // Whoever came first: either all of it has ended, or the cart was asked for when it was empty.
        let left = one.admin.post(&format!("{path}/release"), json!({})).await;
        assert_eq!(left.problem(409), "reservation.ended", "{asked} {ended}");
        let same = asked["reservation"].as_str().is_some_and(|id| path.ends_with(id));
        assert_eq!(ended["units"], if same { 2 } else { 1 }, "{asked} {ended}");
    }
    one.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_reservation_of_which_a_part_has_run_out_is_not_kept_for_a_payment() {
    let world = World::new().await;
    world.stocked(&[("X", 1), ("Y", 1)]).await;
    let both = json!({ "lines": [{ "sku": "X", "quantity": 1 }, { "sku": "Y", "quantity": 1 }] });
    let path = hold(&world, both).await;
    world.clock.advance(TimeDelta::minutes(15));
    hold(&world, one_unit()).await; // X, which was due.
    let paying = world.admin.post(&format!("{path}/payment"), json!({})).await;
    assert_eq!(paying.problem(409), "reservation.expired");
    let paid = world.admin.post(&format!("{path}/commit"), json!({})).await;
    assert_eq!(paid.problem(409), "reservation.expired");
    // All of it or none: the other line is free again, and the money for all of it goes back.
    let levels = world.levels().await;
    assert_eq!((levels["X"], levels["Y"]), ((1, 1, 0), (1, 0, 1)));
    assert_eq!(world.admin.get(&path).await.expect(200)["status"], "refund_due");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn lines_without_a_location_are_committed_from_where_they_are_held() {
    let world = World::new().await;
    world.stocked(&[("X", 0)]).await;
    let restock = json!({ "sku": "X", "quantity": 5, "location": "berlin" });
    world.admin.post("/api/stock/restock", restock).await.expect(200);
    let lines = json!({ "lines": [{ "sku": "X", "quantity": 3, "location": "berlin" }] });
    let path = hold(&world, lines).await;
    let part = |n: i64| json!({ "lines": [{ "sku": "X", "quantity": n }] });
    assert_eq!(world.admin.post(&format!("{path}/commit"), part(2)).await.expect(200)["units"], 2);
    let more = world.admin.post(&format!("{path}/commit"), part(2)).await;
    assert_eq!(more.problem(409), "reservation.exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_that_are_due_end_once_with_three_processes_and_after_a_restart() {
    let world = World::new().await;
    world.stocked(&[("X", 60)]).await;
    for _ in 0..60 {
        hold(&world, json!({ "ttl_seconds": 1, "lines": [{ "sku": "X", "quantity": 1 }] })).await;
    }
    // They come due while nobody runs; whoever starts finds them.
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::serve(&world.database, "api,projector").await);
    }
    until("all holds have ended", || async {
        world.history().await.iter().filter(|name| *name == "stock.expired").count() >= 60
    })
    .await;
    for process in processes {
        process.kill().await;
    }
    expire(&world).await; // Nothing is left to end.
    assert_eq!(world.levels().await["X"], (60, 0, 60));
    let ended = world.history().await.iter().filter(|name| *name == "stock.expired").count();
    assert_eq!(ended, 60, "each ended once");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test]
async fn a_reservation_has_1_to_500_lines_and_a_bounded_time() {
    let world = World::new().await;
    world.stocked(&[("X", 1_000)]).await;
    let lines = |n: usize| json!({ "lines": vec![json!({ "sku": "X", "quantity": 1 }); n] });
    world.admin.post("/api/reservations", lines(500)).await.expect(201);
    for n in [0, 501] {
        let refused = world.admin.post("/api/reservations", lines(n)).await;
        assert_eq!(refused.problem(422), "reservation.lines");
    }
    for ttl in [0, Duration::from_secs(24 * 60 * 60 + 1).as_secs()] {
        let body = json!({ "ttl_seconds": ttl, "lines": [{ "sku": "X", "quantity": 1 }] });
        assert_eq!(world.admin.post("/api/reservations", body).await.problem(422), "reservation.ttl");
    }
    assert_eq!(world.levels().await["X"], (1_000, 500, 500));
}

#[tokio::test]
async fn a_line_that_the_reservation_never_held_is_told_from_one_that_is_held_no_more() {
    let world = World::new().await;
    world.stocked(&[("X", 9), ("Y", 9), ("Z", 9)]).await;
    let both = json!({ "lines": [{ "sku": "X", "quantity": 3 }, { "sku": "Y", "quantity": 3 }] });
    let path = hold(&world, both).await;
    let step = |step: &str, line: Value| {
        let (path, body) = (format!("{path}/{step}"), json!({ "lines": [line] }));
        let client = world.admin.clone();
        async move { client.post(&path, body).await }
    };
    for line in [
        json!({ "sku": "Z", "quantity": 1 }),
        json!({ "sku": "X", "location": "mars", "quantity": 1 }),
        json!({ "sku": "Z", "location": "main", "quantity": 1 }),
    ] {
        for what in ["commit", "release"] {
            let answer = step(what, line.clone()).await;
            let detail = answer.body["detail"].as_str().expect("a detail").to_owned();
            assert_eq!(answer.problem(409), "reservation.not_in", "{line}");
            assert!(detail.contains(line["sku"].as_str().expect("a SKU")), "{detail}");
        }
    }
    step("commit", json!({ "sku": "X", "quantity": 3 })).await.expect(200);
    let gone = step("commit", json!({ "sku": "X", "quantity": 1 })).await;
    assert_eq!(gone.problem(409), "reservation.ended");
    assert_eq!(world.levels().await["Y"], (9, 3, 6));
}

#[tokio::test]
async fn a_part_that_is_sold_or_given_back_says_what_is_held_still() {
    let world = World::new().await;
    world.stocked(&[("X", 9), ("Y", 9)]).await;
    let both = json!({ "lines": [{ "sku": "X", "quantity": 3 }, { "sku": "Y", "quantity": 2 }] });
    let path = hold(&world, both).await;
    let told = |answer: &Value| {
        (answer["status"].as_str().map(str::to_owned), answer["units"].as_i64(), answer["held"].as_i64())
    };
    let part = json!({ "lines": [{ "sku": "X", "quantity": 2 }], "reference": "s-1" });
    let commit = format!("{path}/commit");
    let first = world.admin.post(&commit, part.clone()).await.expect(200);
    assert_eq!(told(&first), (Some("held".into()), Some(2), Some(3)));
    let again = world.admin.post(&commit, part).await.expect(200);
    assert_eq!(told(&again), (Some("held".into()), Some(0), Some(3)));
    let back = json!({ "lines": [{ "sku": "Y", "quantity": 2 }] });
    let back = world.admin.post(&format!("{path}/release"), back).await.expect(200);
    assert_eq!(told(&back), (Some("held".into()), Some(2), Some(1)));
    let rest = world.admin.post(&commit, json!({})).await.expect(200);
    assert_eq!(told(&rest), (Some("committed".into()), Some(1), Some(0)));
}

#[tokio::test]
async fn what_is_short_is_named_by_its_sku_wherever_it_is_told() {
    let world = World::new().await;
    world.stocked(&[("X", 3), ("Y", 9)]).await;
    let lines = json!({ "lines": [{ "sku": "X", "quantity": 4 }, { "sku": "Y", "quantity": 1 }] });
    let transfer = json!({ "sku": "X", "from": "main", "to": "berlin", "quantity": 4 });
    for (path, body, status) in [
        ("/api/reservations", lines.clone(), 409),
        ("/api/availability", lines, 200),
        ("/api/stock/transfer", transfer, 409),
    ] {
        let answer = world.admin.post(path, body).await.expect(status);
        let short = &answer["shortages"][0];
        assert_eq!(
            (&short["sku"], &short["wanted"], &short["available"]),
            (&json!("X"), &json!(4), &json!(3)),
            "{path} {answer}"
        );
        assert!(short["variant"].is_string(), "{path} {answer}");
    }
}
