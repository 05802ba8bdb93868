use onhand_domain::Refusal;
use onhand_infrastructure::{
    ledger::{Context, LedgerError},
    operations::{Caller, stock::ShelfChange},
};
use onhand_tests::World;
use serde_json::{Value, json};

fn rows(answer: &Value) -> &Vec<Value> {
    answer["rows"].as_array().expect("an outcome a row")
}

#[tokio::test]
async fn each_row_has_its_own_outcome_and_rows_of_one_shelf_happen_in_order() {
    let world = World::new().await;
    world.stocked(&[("A", 0), ("B", 5)]).await;
    let body = json!({ "rows": [
        { "restock": { "sku": "A", "quantity": 10, "reference": "PO-1" } },
        { "adjust": { "sku": "A", "delta": -3, "reason": "broken" } },
        { "count": { "sku": "A", "counted": 9 } },
        { "adjust": { "sku": "B", "delta": -6, "reason": "lost" } },
        { "restock": { "sku": "NOBODY", "quantity": 1 } },
        { "restock": { "sku": "A", "quantity": 1, "location": "berlin" } },
    ]});
    let answer = world.admin.post("/api/stock/bulk", body).await;
    let header = answer.headers["onhand-position"].to_str().expect("a number").to_owned();
    let answer = answer.expect(200);
    let last = rows(&answer).iter().filter_map(|row| row["position"].as_i64()).max();
    assert_eq!((answer["position"].as_i64(), Some(header)), (last, last.map(|last| last.to_string())));
    let outcomes: Vec<_> = rows(&answer).iter().map(|row| (&row["status"], &row["code"])).collect();
    let (done, refused) = (json!("done"), json!("refused"));
    assert_eq!(
        outcomes,
        [
            (&done, &Value::Null),
            (&done, &Value::Null),
            (&done, &Value::Null),
            (&refused, &json!("stock.insufficient")),
            (&refused, &json!("sku.unknown")),
            (&done, &Value::Null),
        ]
    );
    assert_eq!((&rows(&answer)[1]["on_hand"], &rows(&answer)[2]["on_hand"]), (&json!(7), &json!(9)));
    assert_eq!(world.levels().await["A"], (9, 0, 9));
    assert_eq!(world.levels().await["B"], (5, 0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_are_taken_at_once_and_a_repeat_with_the_key_changes_nothing() {
    let world = World::new().await;
    let skus: Vec<String> = (0..100).map(|n| format!("S-{n}")).collect();
    world.stocked(&skus.iter().map(|sku| (sku.as_str(), 0)).collect::<Vec<_>>()).await;
    let body = |n: usize| -> Value {
        let row = |n: usize| json!({ "restock": { "sku": skus[n % 100], "quantity": 1 } });
        json!({ "rows": (0..n).map(row).collect::<Vec<_>>() })
    };
    let first = world.admin.post_once("/api/stock/bulk", "import-1", body(10_000)).await.expect(200);
    let again = world.admin.post_once("/api/stock/bulk", "import-1", body(10_000)).await.expect(200);
    assert_eq!(rows(&first).len(), 10_000);
    assert_eq!(first, again);
    let levels = world.levels().await;
    assert!(levels.values().all(|level| *level == (100, 0, 100)), "{levels:?}");
    let other = world.admin.post_once("/api/stock/bulk", "import-1", body(2)).await;
    assert_eq!(other.problem(422), "idempotency.key_reused");
    for n in [0, 10_001] {
        assert_eq!(world.admin.post("/api/stock/bulk", body(n)).await.problem(422), "bulk.rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_tried_takes_the_later_ones_of_its_shelf_with_it_however_far_behind_they_stand()
{
    let world = World::new().await;
    world.stocked(&[("A", 0), ("B", 0)]).await;
    sqlx::raw_sql(
        "create function stumble() returns trigger language plpgsql as $$ begin raise 'no room'; end $$;
         create trigger stumble before insert on events for each row when (new.payload like '%poison%')
             execute function stumble();",
    )
    .execute(&mut world.database.owner().await)
    .await
    .expect("the owner may");
    let restock = |sku: &str, reference: &str| json!({ "restock": { "sku": sku, "quantity": 1, "reference": reference } });
    let mut body = vec![restock("A", "one"), restock("A", "poison")];
    body.extend((0..1_000).map(|_| restock("B", "many")));
    body.extend([restock("A", "two"), json!({ "count": { "sku": "A", "counted": 7 } })]);
    let answer = world.admin.post("/api/stock/bulk", json!({ "rows": body })).await.expect(200);
    let rows = rows(&answer);
    let status = |row: usize| rows[row]["status"].as_str().expect("a status");
    assert_eq!(
        [0, 1, 2, 1_001, 1_002, 1_003].map(status),
        ["done", "failed", "done", "done", "failed", "failed"]
    );
    assert!(rows[1]["detail"].as_str().is_some_and(|detail| !detail.contains("no room")), "{}", rows[1]);
    let levels = world.levels().await;
    assert_eq!((levels["A"], levels["B"]), ((1, 0, 1), (1_000, 0, 1_000)));
}

#[tokio::test]
async fn too_many_rows_are_counted_and_not_read() {
    let world = World::new().await;
    let caller = Caller::new(Context::internal(world.tenant, "test"));
    let rows = (0..10_001_usize).map(|row| -> Result<ShelfChange, Refusal> { panic!("row {row} is read") });
    let answer = world.onhand.operations.change_many(&caller, rows).await;
    assert!(matches!(answer, Err(LedgerError::Refused(why)) if why.code == "bulk.rows"));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_keeps_no_other_from_happening() {
    let world = World::new().await;
    world.stocked(&[("A", 0)]).await;
    let body = json!({ "rows": [
        { "restock": { "sku": "A", "quantity": 10 } },
        { "restock": { "sku": "A", "quantity": "ten" } },
        { "restock": ["A", "main", 10, null, null] },
        { "burn": { "sku": "A" } },
        7,
        { "adjust": { "sku": "A", "delta": -1, "reason": "broken" } },
        { "restock": { "sku": "A", "quantity": 1 }, "count": { "sku": "A", "counted": 1 } },
    ]});
    let answer = world.admin.post("/api/stock/bulk", body).await.expect(200);
    let outcomes: Vec<_> = rows(&answer)
        .iter()
        .map(|row| (row["row"].as_u64(), row["status"].as_str(), row["code"].as_str()))
        .collect();
    let unread = |row| (Some(row), Some("refused"), Some("body.invalid"));
    assert_eq!(
        outcomes,
        [
            (Some(0), Some("done"), None),
            unread(1),
            unread(2),
            unread(3),
            unread(4),
            (Some(5), Some("done"), None),
            unread(6)
        ]
    );
    for (row, told) in [(1, "restock.quantity: "), (6, "one of restock, adjust and count")] {
        let detail = rows(&answer)[row]["detail"].as_str().expect("a detail");
        assert!(detail.contains(told), "{detail}");
    }
    assert_eq!(world.levels().await["A"], (9, 0, 9));
}

#[tokio::test]
async fn many_changes_that_are_repeated_say_so() {
    let world = World::new().await;
    world.stocked(&[("A", 0)]).await;
    let body = json!({ "rows": [{ "restock": { "sku": "A", "quantity": 1 } }] });
    let first = world.admin.post_once("/api/stock/bulk", "import-1", body.clone()).await;
    let again = world.admin.post_once("/api/stock/bulk", "import-1", body).await;
    assert!(first.headers.get("idempotency-replayed").is_none());
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(first.expect(200), again.expect(200));
    assert_eq!(world.levels().await["A"], (1, 0, 1));
}
