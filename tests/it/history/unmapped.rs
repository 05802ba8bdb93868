//! Deliveries that spoke of what nobody knew, looked at again page by page.

use std::sync::Arc;

use chrono::TimeDelta;
use onhand_infrastructure::{
    ledger::{Attachments, Context, Decision, FollowUp, Submission},
    outbox::follow_ups::UNMAPPED,
};
use onhand_tests::{World, shop};
use serde_json::{Value, json};
use uuid::Uuid;

use super::persons::{EMAIL, OTHER, bought, connected, person, send};

/// What a page has.
const PAGE: u64 = 200;

/// The pages that are still to be looked at: where they begin and where they end.
async fn pages(world: &World) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select external, (payload->>'until')::bigint from follow_ups where kind = 'unmapped' order by 1",
    )
    .fetch_all(world.onhand.pool())
    .await
    .expect("follow-ups can be read")
}

#[tokio::test]
async fn while_an_erasure_does_not_end_only_the_page_that_waits_for_it_is_looked_at_again() {
    let (world, connection, product) = connected().await;
    send(&world, &connection, "orders/create", "c-1", &bought(1, &product, Some(77), EMAIL)).await;
    let unknown = shop::product("LOW", &[("42", "90.00")]);
    send(&world, &connection, "orders/create", "c-2", &bought(2, &unknown, Some(78), OTHER)).await;
    for order in 3..=PAGE + 3 {
        let body = shop::order(order, &unknown, &[(0, 1)]);
        send(&world, &connection, "orders/create", &format!("c-{order}"), &body).await;
    }
    world.follow_up().await;
    let whom = json!({ "person": person(&world, 0).await });
    world.admin.post("/api/privacy/forget", whom).await.expect(200);
    sqlx::query("update follow_ups set status = 'dead' where kind = 'erase'")
        .execute(world.onhand.pool())
        .await
        .expect("a row is changed");
    // Something becomes known, though not what they speak of.
    world.stocked(&[("B", 1)]).await;
    world.follow_up().await;
    let (end,): (i64,) = sqlx::query_as(
        "select position from deliveries where outcome = 'unmapped' order by position offset $1 limit 1",
    )
    .bind(PAGE as i64 - 1)
    .fetch_one(world.onhand.pool())
    .await
    .expect("there is more than a page of them");
    let first = [("from 0".to_owned(), end)];
    assert_eq!(pages(&world).await, first, "the others are through");

    world.clock.advance(TimeDelta::seconds(61));
    let mut looked_at = 0;
    while world.onhand.operations.follow_up().await.expect("follow-ups are taken") > 0 {
        looked_at += 1;
    }
    assert_eq!(looked_at, 1);
    assert_eq!(pages(&world).await, first);
}

#[tokio::test]
async fn of_two_pages_with_the_same_beginning_the_one_that_goes_further_is_looked_at() {
    let world = World::new().await;
    let note = async |payload: Value| {
        let follow_up = FollowUp {
            connection: Uuid::nil(),
            kind: UNMAPPED,
            external: "from 0".to_owned(),
            payload: Some(payload),
            delivery: Uuid::nil(),
            correlation_id: String::new(),
            due: world.clock.now(),
        };
        let attachments = Attachments { follow_ups: vec![follow_up], ..Attachments::default() };
        let submission = Submission {
            context: Context::internal(world.tenant, "test"),
            idempotency: None,
            reads: vec![],
            fresh: vec![],
            decide: Arc::new(move |_, _| {
                Ok(Decision { attachments: attachments.clone(), ..Decision::default() })
            }),
        };
        world.onhand.ledger().submit(submission).await.expect("it is noted");
    };
    for (until, stays) in [(9, 9), (5, 9), (12, 12)] {
        note(json!({ "after": 0, "until": until })).await;
        assert_eq!(pages(&world).await, [("from 0".to_owned(), stays)], "{until}");
    }
}
