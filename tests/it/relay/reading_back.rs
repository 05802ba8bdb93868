//! Reading back: what platforms show is compared with what they are to show, and put right by the rules.

use chrono::TimeDelta;
use onhand_domain::connection::Platform;
use onhand_tests::{
    World,
    channels::{self, Channel, Setup},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{restock, times};

/// A shop with two things, seven of each, and everything shown.
async fn settled(rules: Value) -> (World, Channel) {
    let world = World::new().await;
    channels::stock(&world, &["RUN-42", "RUN-43"], 7, Some("100.00")).await;
    let setup = Setup { more: json!({ "rules": rules }), ..Setup::default() };
    let channel = Channel::open_with(&world, Platform::Woocommerce, &["RUN-42", "RUN-43"], &setup).await;
    world.converge().await;
    (world, channel)
}

/// Begins a run and takes it to its end. Gives what is told of it.
async fn read_back(world: &World, channel: &Channel, preview: bool) -> Value {
    let body = json!({ "connection": channel.connection, "preview": preview });
    let begun = world.admin.post("/api/reconciliations", body).await.expect(202);
    while world.onhand.operations.reconcile().await.expect("a page is read back") {}
    let listed = world.admin.get("/api/reconciliations").await.expect(200);
    let runs = listed["data"].as_array().expect("a page has rows");
    runs.iter().find(|run| run["id"] == begun["id"]).expect("the run is listed").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_question_is_over_once_what_is_read_back_is_what_is_to_be() {
    let (world, channel) = settled(json!({ "holdConflicts": true })).await;
    let open = async || {
        let open = world.admin.get("/api/conflicts").await.expect(200);
        open["data"].as_array().map(Vec::len).expect("rows")
    };
    channel.sandbox.edit_quantity("RUN-42", 3);
    channel.sandbox.edit_price("RUN-43", 9_900);
    let run = read_back(&world, &channel, false).await;
    assert_eq!((&run["drifted"], open().await), (&json!(2), 2), "{run}");
    channel.sandbox.edit_quantity("RUN-42", 7);
    channel.sandbox.edit_price("RUN-43", 10_000);
    let preview = read_back(&world, &channel, true).await;
    assert_eq!((&preview["drifted"], open().await), (&json!(0), 2), "a preview changes nothing");
    let run = read_back(&world, &channel, false).await;
    assert_eq!((&run["drifted"], &run["repaired"], open().await), (&json!(0), &json!(0), 0), "{run}");
    restock(&world, "RUN-42", 1).await;
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 8, "it is told again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_that_was_changed_over_there_unheard_is_told_in_a_preview_and_put_right_in_a_run() {
    let (world, channel) = settled(json!({})).await;
    channel.sandbox.edit_quantity("RUN-42", 3);
    channel.sandbox.edit_price("RUN-43", 9_900);

    let run = read_back(&world, &channel, true).await;
    assert_eq!((&run["status"], &run["checked"]), (&json!("done"), &json!(2)));
    assert_eq!((&run["drifted"], &run["repaired"]), (&json!(2), &json!(0)), "{run}");
    let id = run["id"].as_str().expect("an id");
    let drifts = world.admin.get(&format!("/api/reconciliations/{id}/drifts")).await.expect(200);
    let drift = |sku: &str| {
        let found = drifts["data"].as_array().expect("rows").iter().find(|drift| drift["sku"] == sku);
        found.map(|drift| (drift["shows"].clone(), drift["owed"].clone())).expect("it has strayed")
    };
    assert_eq!(drift("RUN-42"), (json!(3), json!(7)));
    assert_eq!(drift("RUN-43").0["minor"], 9_900);
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 3, "a preview changes nothing");

    let run = read_back(&world, &channel, false).await;
    assert_eq!((&run["drifted"], &run["repaired"]), (&json!(2), &json!(2)), "{run}");
    world.converge().await;
    assert_eq!(channel.shows()["RUN-42"], (7, 10_000));
    assert_eq!(channel.shows()["RUN-43"], (7, 10_000));
    assert_eq!(times(&world, "connection.reconciled").await, 2);

    let run = read_back(&world, &channel, false).await;
    assert_eq!((&run["drifted"], &run["missing"]), (&json!(0), &json!(0)), "{run}");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_run_that_is_not_there_it_is_not_said_that_nothing_has_strayed() {
    let (world, channel) = settled(json!({})).await;
    let run = read_back(&world, &channel, true).await;
    let path = format!("/api/reconciliations/{}/drifts", run["id"].as_str().expect("an id"));
    assert_eq!(world.admin.get(&path).await.expect(200)["data"], json!([]));
    let own = world.client("viewer", Some("kite")).await;
    assert_eq!(own.get(&path).await.expect(200)["data"], json!([]));
    let stranger = world.client("viewer", Some("other")).await;
    assert_eq!(stranger.get(&path).await.problem(404), "reconciliation.unknown");
    let unknown = format!("/api/reconciliations/{}/drifts", Uuid::nil());
    assert_eq!(world.admin.get(&unknown).await.problem(404), "reconciliation.unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_was_lost_on_our_side_is_owed_again() {
    let (world, channel) = settled(json!({})).await;
    restock(&world, "RUN-42", 2).await;
    // As if the row had never been written, or had been lost with a backup.
    sqlx::query("delete from outbox where status = 'pending'")
        .execute(world.onhand.pool())
        .await
        .expect("gone");
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 7);

    let run = read_back(&world, &channel, false).await;
    assert_eq!((&run["drifted"], &run["repaired"]), (&json!(1), &json!(1)), "{run}");
    assert_eq!(times(&world, "listing.drifted").await, 1);
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_on_its_way_has_not_strayed() {
    let (world, channel) = settled(json!({})).await;
    restock(&world, "RUN-42", 2).await;
    world.project().await;
    let run = read_back(&world, &channel, false).await;
    assert_eq!((&run["checked"], &run["drifted"]), (&json!(2), &json!(0)), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_platform_may_change_stock_what_it_shows_becomes_the_ledgers() {
    let (world, channel) = settled(json!({ "acceptInventory": true })).await;
    channel.sandbox.edit_quantity("RUN-42", 3);
    read_back(&world, &channel, false).await;
    world.converge().await;
    assert_eq!(world.levels().await["RUN-42"], (3, 0, 3));
    assert_eq!(channel.quantity("RUN-42"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_conflicts_are_held_somebody_is_asked_once() {
    let (world, channel) = settled(json!({ "holdConflicts": true })).await;
    channel.sandbox.edit_quantity("RUN-42", 3);
    for _ in 0..2 {
        read_back(&world, &channel, false).await;
    }
    world.converge().await;
    assert_eq!(channel.quantity("RUN-42"), 3);
    let conflicts = world.admin.get("/api/conflicts").await.expect(200);
    assert_eq!(conflicts["data"].as_array().map(Vec::len), Some(1), "{conflicts}");
    assert_eq!(times(&world, "listing.conflict_opened").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_question_is_read_back_as_it_is_now() {
    let (world, channel) = settled(json!({ "holdConflicts": true })).await;
    for quantity in [3, 2] {
        channel.sandbox.edit_quantity("RUN-42", quantity);
        read_back(&world, &channel, false).await;
        world.converge().await;
        let conflicts = world.admin.get("/api/conflicts").await.expect(200);
        assert_eq!(conflicts["data"][0]["quantity"]["shows"]["quantity"], quantity, "{conflicts}");
    }
    assert_eq!(channel.quantity("RUN-42"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_listings_of_one_variant_that_are_in_question_one_counts_and_the_other_stays_so() {
    let (world, channel) = settled(json!({ "holdConflicts": true })).await;
    // The second thing there is the first one, too.
    let listings = world.admin.get("/api/listings").await.expect(200);
    let other = listings["data"].as_array().expect("rows").iter().find(|listing| listing["sku"] == "RUN-43");
    let other = other.expect("it is listed");
    let mapping = json!({
        "connection": channel.connection, "sku": "RUN-42", "external_product": other["external_product"],
        "external_variant": other["external_variant"], "external_inventory": other["external_inventory"],
    });
    world.admin.post("/api/listings", mapping).await.expect(200);
    world.converge().await;
    let others = |figures: [i64; 2]| {
        for (sku, quantity) in ["RUN-42", "RUN-43"].into_iter().zip(figures) {
            channel.sandbox.edit_quantity(sku, quantity);
        }
    };
    others([3, 4]);
    read_back(&world, &channel, false).await;
    let conflicts = async || world.admin.get("/api/conflicts").await.expect(200)["data"].clone();
    assert_eq!(conflicts().await.as_array().map(Vec::len), Some(2));

    let path = format!("/api/connections/{}/rules", channel.connection);
    world.admin.put(&path, json!({ "acceptInventory": true })).await.expect(200);
    others([1, 6]);
    world.clock.advance(TimeDelta::minutes(1));
    read_back(&world, &channel, false).await;
    let open = conflicts().await;
    assert_eq!(open.as_array().map(Vec::len), Some(1), "{open}");
    let (_, _, counted) = world.levels().await["RUN-42"];
    assert!([1, 6].contains(&counted), "{counted}");
    assert_eq!(open[0]["quantity"]["shows"]["quantity"], 7 - counted, "the one that did not count");
    world.expect_rebuilt_equals_live().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_missing_and_nothing_is_made_of_it() {
    let (world, channel) = settled(json!({})).await;
    let good = channel.sandbox.goods().into_iter().find(|good| good.sku == "RUN-43").expect("it is there");
    assert!(channel.sandbox.remove(&good.product));
    let run = read_back(&world, &channel, false).await;
    assert!(run["missing"].as_i64() >= Some(1), "{run}");
    assert_eq!(run["drifted"], 0, "unknown is not zero: {run}");
    assert_eq!(world.levels().await["RUN-43"], (7, 0, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_where_the_platform_stopped_it() {
    let world = World::new().await;
    let skus: Vec<String> = (0..150).map(|number| format!("RUN-{number}")).collect();
    channels::stock(&world, &skus, 1, None).await;
    let channel = Channel::open(&world, Platform::Square, &skus).await;
    world.converge().await;
    let body = json!({ "connection": channel.connection });
    world.admin.post("/api/reconciliations", body.clone()).await.expect(202);
    assert_eq!(world.admin.post("/api/reconciliations", body).await.problem(409), "reconciliation.running");

    let reconcile = async || world.onhand.operations.reconcile().await.expect("it is tried");
    let of_run = async || world.admin.get("/api/reconciliations").await.expect(200)["data"][0].clone();
    assert!(reconcile().await);
    assert_eq!(of_run().await["checked"], 100);
    channel.faults().down(true);
    assert!(reconcile().await, "a page was tried");
    assert!(!reconcile().await, "nothing is tried before its time");
    assert_eq!((&of_run().await["checked"], &of_run().await["status"]), (&json!(100), &json!("running")));
    channel.faults().down(false);
    world.clock.advance(TimeDelta::minutes(2));
    while reconcile().await {}
    assert_eq!((&of_run().await["checked"], &of_run().await["status"]), (&json!(150), &json!("done")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_calls_are_refused_is_stopped_and_misses_nothing() {
    let (world, channel) = settled(json!({})).await;
    channel.faults().fail_next(10_000, 406);
    let body = json!({ "connection": channel.connection });
    world.admin.post("/api/reconciliations", body).await.expect(202);
    assert!(world.onhand.operations.reconcile().await.expect("a page is tried"));
    let of_run = async || world.admin.get("/api/reconciliations").await.expect(200)["data"][0].clone();
    let run = of_run().await;
    assert_eq!((&run["status"], &run["missing"], &run["checked"]), (&json!("running"), &json!(0), &json!(0)));
    let why = run["last_error"].as_str().unwrap_or_default();
    assert!(why.contains("406"), "{run}");

    channel.faults().clear();
    world.clock.advance(TimeDelta::minutes(2));
    while world.onhand.operations.reconcile().await.expect("it is tried") {}
    let run = of_run().await;
    assert_eq!((&run["status"], &run["missing"]), (&json!("done"), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_let_in_tells_so_at_once() {
    let (world, channel) = settled(json!({})).await;
    let path = format!("/api/connections/{}/secrets", channel.connection);
    world.admin.put(&path, json!({ "access_token": "a-wrong-one" })).await.expect(200);
    let body = json!({ "connection": channel.connection, "preview": true });
    world.admin.post("/api/reconciliations", body).await.expect(202);
    assert!(world.onhand.operations.reconcile().await.expect("a page is tried"));
    assert_eq!(times(&world, "connection.alert_raised").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_begin_by_themselves_once_a_day() {
    let (world, channel) = settled(json!({})).await;
    let day = TimeDelta::hours(24);
    let begin = async || world.onhand.operations.schedule_reconciliations(day).await.expect("runs begin");
    assert_eq!((begin().await, begin().await), (1, 0));
    while world.onhand.operations.reconcile().await.expect("a page is read back") {}
    assert_eq!(begin().await, 0);
    world.clock.advance(day + TimeDelta::minutes(1));
    assert_eq!(begin().await, 1);
    world
        .admin
        .post(&format!("/api/connections/{}/disable", channel.connection), json!({}))
        .await
        .expect(200);
}
