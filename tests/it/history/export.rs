//! Copies of the audit log: the same entries in either format, as of one moment, each checkable by itself.

use std::collections::HashMap;

use axum::{
    body::Body,
    http::{Request, header::AUTHORIZATION},
    response::Response,
};
use futures_util::StreamExt;
use onhand::{App, router};
use onhand_infrastructure::ledger::Entry;
use onhand_tests::{Client, World, process::onhand};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::audit::{adjust, burden, busy, flood, log};

/// What a line of JSON has besides what the log shows.
const PROOF: [&str; 6] = ["event_id", "name_version", "payload", "metadata", "previous_hash", "hash"];
/// Ways to narrow it, none of which speaks of its end.
const NARROWED: [&str; 6] = [
    "",
    "&sku=KITE-1",
    "&action=stock.adjusted",
    "&administrative=true",
    "&entity=stock&changes=true",
    "&since=5",
];

/// A copy, and the position at which it ends.
async fn copy(client: &Client, asked: &str) -> (i64, String) {
    let answer = client.get(&format!("/api/audit/export?{asked}")).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let end = answer.headers["onhand-position"].to_str().expect("a number").parse().expect("a number");
    (end, answer.text)
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn position(row: &Value) -> i64 {
    row["position"].as_i64().expect("a position")
}

/// The log up to a position, oldest first.
async fn log_up_to(client: &Client, narrowed: &str, end: i64) -> Vec<Value> {
    let mut rows = log(client, narrowed, 200).await;
    rows.retain(|row| position(row) <= end);
    rows.reverse();
    rows
}

/// The rows of a CSV file, as Postgres reads them.
async fn records(world: &World, csv: &str) -> Vec<Value> {
    let names = csv.lines().next().expect("a line of names").trim_end();
    let columns = names.replace(',', " text, ");
    let mut owner = world.database.owner().await;
    let table = format!("create temp table copied ({columns} text, line bigserial)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(table)).execute(&mut owner).await.expect("a table is made");
    let sql = format!("copy copied ({names}) from stdin with (format csv, header)");
    let mut into = owner.copy_in_raw(&sql).await.expect("rows are taken");
    into.send(csv.as_bytes()).await.expect("rows are read");
    into.finish().await.expect("it is CSV");
    let rows: Vec<(Value,)> = sqlx::query_as("select to_jsonb(copied) - 'line' from copied order by line")
        .fetch_all(&mut owner)
        .await
        .expect("rows are there");
    rows.into_iter().map(|(row,)| row).collect()
}

#[tokio::test]
async fn a_copy_in_json_says_what_the_log_says_and_every_line_proves_itself() {
    let world = busy().await;
    for narrowed in NARROWED {
        let (end, lines) = copy(&world.admin, &format!("format=ndjson{narrowed}")).await;
        let mut lines = objects(&lines);
        for line in &lines {
            let text = |name: &str| line[name].as_str().expect(name).to_owned();
            let bytes = |name: &str| hex::decode(text(name)).expect("hex");
            let entry = Entry {
                position: position(line),
                event_id: text("event_id").parse().expect("an id"),
                stream: text("stream"),
                version: line["version"].as_i64().expect("a version"),
                name: text("action"),
                name_version: line["name_version"].as_i64().expect("a version") as i16,
                recorded_at: text("recorded_at").parse().expect("a time"),
                payload: text("payload"),
                metadata: text("metadata"),
                hash: bytes("hash"),
            };
            assert_eq!(
                entry.position == 1,
                line["previous_hash"].is_null(),
                "only the first has none before it"
            );
            if entry.position > 1 {
                let hash = entry.chained(world.tenant, &bytes("previous_hash"));
                assert_eq!(hash.as_slice(), entry.hash, "{narrowed}: {line}");
            }
        }
        for line in &mut lines {
            let line = line.as_object_mut().expect("an object");
            PROOF.iter().for_each(|name| assert!(line.remove(*name).is_some(), "{name}"));
        }
        assert_eq!(lines, log_up_to(&world.admin, narrowed, end).await, "{narrowed}");
    }
}

#[tokio::test]
async fn a_copy_in_csv_says_what_the_log_says() {
    let world = busy().await;
    for narrowed in NARROWED {
        let (_, hashes) = copy(&world.admin, &format!("format=ndjson{narrowed}")).await;
        let hashes: HashMap<i64, Value> =
            objects(&hashes).iter().map(|line| (position(line), line["hash"].clone())).collect();
        let (end, csv) = copy(&world.admin, &format!("format=csv{narrowed}")).await;
        let records = records(&world, &csv).await;
        let rows = log_up_to(&world.admin, narrowed, end).await;
        assert_eq!(records.len(), rows.len(), "{narrowed}");
        for (record, row) in records.iter().zip(&rows) {
            for name in ["recorded_at", "actor", "source", "address", "correlation_id", "action", "stream"] {
                assert_eq!(record[name], row[name], "{narrowed}: {name}");
            }
            let parsed = |name: &str| record[name].as_str().map(serde_json::from_str::<Value>);
            for name in ["position", "version", "data", "changes"] {
                let parsed = parsed(name).transpose().expect("JSON");
                assert_eq!(parsed.as_ref(), row.get(name), "{narrowed}: {name}");
            }
            // The copy's own entry is not in the copy before it.
            let known = hashes.get(&position(row));
            assert!(known.is_none_or(|known| *known == record["hash"]), "{narrowed}: {record}");
        }
    }
}

/// A copy that is taken page by page.
async fn taken(world: &World, narrowed: &str) -> Response {
    let request = Request::builder()
        .uri(format!("/api/audit/export?format=ndjson{narrowed}"))
        .header(AUTHORIZATION, format!("Bearer {}", world.key))
        .body(Body::empty())
        .expect("a request");
    let answer = router(App::new(world.onhand.clone(), None, None)).oneshot(request).await;
    answer.expect("a router does not fail")
}

#[tokio::test]
async fn a_copy_ends_where_history_ended_when_it_was_begun_however_it_goes_on() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    flood(&world, "A", 2_500).await;
    for narrowed in ["", "&sku=A"] {
        let answer = taken(&world, narrowed).await;
        let end = answer.headers()["onhand-position"].to_str().expect("a number").parse().expect("a number");
        let mut body = answer.into_body().into_data_stream();
        let mut lines = String::new();
        let mut pages = 0;
        while let Some(page) = body.next().await {
            let page = page.expect("the copy goes on");
            lines += std::str::from_utf8(&page).expect("text");
            pages += 1;
            adjust(&world, "A", -1).await;
        }
        assert!(pages > 2, "{narrowed}: it was a copy of several pages");
        let positions: Vec<i64> = objects(&lines).iter().map(position).collect();
        let known = log_up_to(&world.admin, narrowed, end).await;
        assert!(world.history().await.len() as i64 > end, "{narrowed}: history went on");
        assert_eq!(positions, known.iter().map(position).collect::<Vec<_>>(), "{narrowed}");
    }
}

#[tokio::test]
async fn old_and_new_values_are_folded_on_from_page_to_page() {
    let world = World::new().await;
    world.stocked(&[("A", 9), ("B", 9)]).await;
    for times in [450, 700] {
        for sku in ["A", "B"] {
            adjust(&world, sku, -1).await;
            flood(&world, sku, times).await;
            adjust(&world, sku, -2).await;
        }
    }
    for narrowed in ["&changes=true", "&action=stock.adjusted&changes=true", "&sku=B&changes=true"] {
        let (end, lines) = copy(&world.admin, narrowed).await;
        let changes = |rows: &[Value]| rows.iter().map(|row| row["changes"].clone()).collect::<Vec<_>>();
        let known = log_up_to(&world.admin, narrowed, end).await;
        assert_eq!(changes(&objects(&lines)), changes(&known), "{narrowed}");
    }
}

#[tokio::test]
async fn a_copy_of_heavy_entries_comes_in_many_pages() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    burden(&world, "A", 9).await;
    for narrowed in ["&action=stock.adjusted", "&action=stock.adjusted&sku=A"] {
        let mut body = taken(&world, narrowed).await.into_body().into_data_stream();
        let (mut lines, mut counts) = (String::new(), Vec::new());
        while let Some(page) = body.next().await {
            let page = page.expect("the copy goes on");
            lines += std::str::from_utf8(&page).expect("text");
            counts.push(page.iter().filter(|byte| **byte == b'\n').count());
        }
        assert_eq!(counts, [4, 4, 1], "{narrowed}");
        let positions: Vec<_> = objects(&lines).iter().map(position).collect();
        assert!(positions.is_sorted_by(|a, b| a < b), "{narrowed}: {positions:?}");
    }
}

#[tokio::test]
async fn what_copies_nothing_is_not_on_record() {
    let world = busy().await;
    let before = world.history().await.len();
    for asked in ["limit=5", "cursor=MQ"] {
        let refused = world.admin.get(&format!("/api/audit/export?{asked}")).await;
        assert_eq!(refused.problem(400), "query.invalid", "{asked}");
    }
    let head = world.admin.send("HEAD", "/api/audit/export?format=csv", &[], Body::empty()).await;
    assert_eq!(head.status.as_u16(), 200);
    assert_eq!(head.headers["content-type"], "text/csv; charset=utf-8");
    let head = world.admin.send("HEAD", "/api/audit/export?since=never", &[], Body::empty()).await;
    assert_eq!(head.status.as_u16(), 400);
    assert_eq!(world.history().await.len(), before);
}

#[tokio::test]
async fn every_copy_is_on_record_and_a_whole_one_ends_with_that() {
    let world = busy().await;
    let viewer = world.client("viewer", None).await;
    let (end, lines) = copy(&viewer, "").await;
    let lines = objects(&lines);
    let last = lines.last().expect("a line");
    assert_eq!((position(last), &last["action"]), (end, &json!("administration.exported")));
    assert_eq!(last["data"], json!({ "format": "ndjson", "filter": {} }));
    assert_eq!(lines.len() as i64, end);

    copy(&viewer, "format=csv&action=stock.adjusted&administrative=false").await;
    let noted = &log(&world.admin, "&entity=administration", 1).await[0];
    let filter = json!({ "action": "stock.adjusted", "administrative": false });
    assert_eq!(noted["data"], json!({ "format": "csv", "filter": filter }));
    assert!(noted["actor"].as_str().is_some_and(|actor| actor.starts_with("key:")), "{noted}");
    assert_eq!(viewer.with_key(None).get("/api/audit/export").await.problem(401), "auth.required");
    assert_eq!(viewer.get("/api/audit/export?format=xlsx").await.problem(400), "query.invalid");
    world.expect_intact().await;
}

#[tokio::test]
async fn a_copy_for_one_brand_has_nothing_of_another() {
    let world = busy().await;
    let heron = world.client("viewer", Some("heron")).await;
    for asked in ["format=ndjson&changes=true", "format=csv"] {
        let (_, text) = copy(&heron, asked).await;
        assert!(text.contains("HERON") && !text.contains("KITE"), "{text}");
    }
    let (_, nothing) = copy(&heron, "format=csv&sku=KITE-1").await;
    assert_eq!(nothing.lines().count(), 1, "the names of the columns alone: {nothing}");
}

#[tokio::test]
async fn what_would_be_a_formula_is_a_text_in_csv() {
    let world = World::new().await;
    world.stocked(&[("A", 1)]).await;
    let body = || Body::from(json!({ "sku": "A", "quantity": 1 }).to_string());
    let formulas = ["=1+1", "=HYPERLINK(\"http://x.example\",\"a\")", "+1", "-1", "@SUM(A1)"];
    for formula in formulas {
        let headers = [("x-correlation-id", formula)];
        world.admin.send("POST", "/api/stock/restock", &headers, body()).await.expect(200);
    }
    let (_, csv) = copy(&world.admin, "format=csv&action=stock.restocked").await;
    let records = records(&world, &csv).await;
    let ids: Vec<_> = records[1..].iter().map(|record| record["correlation_id"].clone()).collect();
    assert_eq!(ids, formulas.map(|formula| json!(format!("'{formula}"))));
    // Where no spreadsheet reads along it stays as it was.
    let (_, lines) = copy(&world.admin, "format=ndjson&action=stock.restocked").await;
    let ids: Vec<_> = objects(&lines)[1..].iter().map(|line| line["correlation_id"].clone()).collect();
    assert_eq!(ids, formulas.map(|formula| json!(formula)));
}

#[tokio::test]
async fn the_command_line_writes_the_same_copy() {
    let world = busy().await;
    let (_, answered) = copy(&world.admin, "format=csv&sku=KITE-1&until=20&changes=true").await;
    let file = std::env::temp_dir().join(format!("{}-audit.csv", world.database.name));
    let path = file.to_str().expect("the folder for temporary files has a plain name");
    let which = ["--sku", "KITE-1", "--until", "20", "--changes", "--format", "csv"];
    let args = [&["audit", "export", "--tenant", "acme"][..], &which, &["--out", path]].concat();
    let (code, _, wrong) = onhand(&world, &args).await;
    assert_eq!(code, 0, "{wrong}");
    let written = std::fs::read_to_string(&file).expect("the file is there");
    std::fs::remove_file(&file).expect("a file of ours can be removed");
    assert_eq!(written, answered);
    assert!(written.lines().count() > 3, "{written}");

    let args = ["audit", "export", "--tenant", "acme", "--administrative"];
    let (code, said, wrong) = onhand(&world, &args).await;
    assert_eq!(code, 0, "{wrong}");
    let lines = objects(&said);
    let last = lines.last().expect("a line");
    assert_eq!((&last["action"], &last["actor"]), (&json!("administration.exported"), &json!("cli")));
}
