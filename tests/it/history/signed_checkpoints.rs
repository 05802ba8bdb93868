//! What is taken away as proof: signed checkpoints and proofs of entries, over the API, and on the command line, where they
//! are checked without a database.

use std::{fs, path::PathBuf, process::Stdio};

use chrono::TimeDelta;
use onhand_infrastructure::{
    ledger::proof::{Document, InclusionProof, SignedCheckpoint, Unproven, prove},
    queries::signed_checkpoints,
};
use onhand_tests::{
    World,
    process::{self, onhand},
};
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use super::proof::{
    another_payload, entries, head, position_of, rewrite, sign, tamper, verify_against, with_history,
};

pub(super) async fn public_key(world: &World) -> String {
    let key = world.onhand.operations.signing_key(world.tenant).await.expect("the key opens");
    hex::encode(key.expect("something was signed").public_key())
}

#[tokio::test]
async fn an_altered_entry_cannot_be_proven() {
    let world = with_history().await;
    let checkpoint = sign(&world).await;
    tamper(&world, &["update events set payload = payload || ' ' where position = 5".to_owned()]).await;
    let prove_at =
        async |position| prove(world.onhand.pool(), world.tenant, position, checkpoint.clone()).await;
    let refused = prove_at(5).await.expect_err("it was altered");
    assert!(refused.to_string().contains("does not follow"), "no tree was needed to see it: {refused}");
    assert_eq!(prove_at(4).await.expect("that one is as it was").check(None), Ok(()));
    rewrite(&world, 9, another_payload).await;
    assert!(prove_at(4).await.is_err(), "the tree is another one now");
}

#[tokio::test]
async fn a_ledger_is_signed_for_over_the_api_and_its_entries_are_proven_there() {
    let world = with_history().await;
    world.admin.get("/api/audit/checkpoint").await.problem(404);
    let viewer = world.client("viewer", None).await;
    assert_eq!(viewer.post("/api/audit/checkpoints", json!({})).await.problem(403), "auth.forbidden");
    assert_eq!(viewer.get("/api/audit/proof/3").await.problem(404), "checkpoint.none");
    let before = head(&world).await;
    assert_eq!(viewer.get("/api/audit/key").await.problem(404), "signing_key.none");
    let (keys,): (i64,) = sqlx::query_as("select count(*) from signing_keys")
        .fetch_one(world.onhand.pool())
        .await
        .expect("keys can be counted");
    assert_eq!((keys, head(&world).await), (0, before), "a read makes no key");

    let stood = head(&world).await;
    let signed = world.admin.post("/api/audit/checkpoints", json!({})).await.expect(201);
    assert_eq!(signed["position"], stood.position);
    assert_eq!(signed["hash"], hex::encode(&stood.hash));
    assert_eq!(signed["tenant_name"], "acme");
    let key = viewer.get("/api/audit/key").await.expect(200);
    assert_eq!((&key["public_key"], &key["key"]), (&signed["public_key"], &signed["key"]));
    let checkpoint: SignedCheckpoint = serde_json::from_value(signed.clone()).expect("a checkpoint");
    assert_eq!(checkpoint.check(key["public_key"].as_str()), Ok(()));
    assert_eq!(position_of(&verify_against(&world, &[checkpoint]).await), None);
    let noted = entries(&world, stood.position).await;
    assert_eq!(
        noted.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
        ["administration.checkpoint_signed"]
    );

    world.stocked(&[("G", 5)]).await;
    let newer = world.admin.post("/api/audit/checkpoints", json!({})).await.expect(201);
    assert_eq!(viewer.get("/api/audit/checkpoint").await.expect(200), newer);
    let page = viewer.get("/api/audit/checkpoints?limit=1").await.expect(200);
    assert_eq!(page["data"], json!([newer]));
    let cursor = page["next_cursor"].as_str().expect("there is another page");
    let page = viewer.get(&format!("/api/audit/checkpoints?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((&page["data"], &page["next_cursor"]), (&json!([signed]), &Value::Null));

    let older = format!("3?checkpoint={}", stood.position);
    for (asked, checkpoint) in [("3", &newer), (older.as_str(), &signed)] {
        let proof = viewer.get(&format!("/api/audit/proof/{asked}")).await.expect(200);
        assert_eq!(&proof["checkpoint"], checkpoint);
        let proof: InclusionProof = serde_json::from_value(proof).expect("a proof");
        assert_eq!((proof.check(key["public_key"].as_str()), proof.entry.position), (Ok(()), 3));
    }
    let newest = head(&world).await.position;
    assert_eq!(viewer.get(&format!("/api/audit/proof/{newest}")).await.problem(404), "checkpoint.none");
    let too_old = format!("/api/audit/proof/{newest}?checkpoint={}", stood.position);
    assert_eq!(viewer.get(&too_old).await.problem(409), "checkpoint.too_old");
    assert_eq!(viewer.get("/api/audit/proof/0").await.problem(404), "entry.unknown");
    assert_eq!(viewer.get("/api/audit/proof/x").await.problem(400), "path.invalid");

    let bound = world.client("admin", Some("kite")).await;
    assert_eq!(bound.post("/api/audit/checkpoints", json!({})).await.problem(403), "auth.forbidden");
    assert_eq!(bound.get("/api/audit/proof/3").await.problem(403), "auth.forbidden");
}

#[tokio::test]
async fn a_ledger_that_has_moved_is_signed_for_once_a_day_by_one_of_several_processes() {
    let world = with_history().await;
    let twin = world.twin().await;
    let sign_due = async || {
        let (one, other) = tokio::join!(
            world.onhand.operations.sign_due_checkpoints(),
            twin.onhand.operations.sign_due_checkpoints()
        );
        one.expect("what is due can be signed for") + other.expect("what is due can be signed for")
    };
    assert_eq!(sign_due().await, 0, "it began less than a day ago");
    world.clock.advance(TimeDelta::hours(25));
    assert_eq!(sign_due().await, 1);
    assert_eq!(sign_due().await, 0);
    world.clock.advance(TimeDelta::hours(25));
    assert_eq!(sign_due().await, 0, "nothing has happened but that it was signed for");
    world.stocked(&[("G", 5)]).await;
    assert_eq!(sign_due().await, 1);
    let listed = world.admin.get("/api/audit/checkpoints").await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_somebody_did_to_one_tenants_rows_keeps_no_other_from_being_signed_for() {
    for sql in [
        "update ledger_heads set recorded_at = 'infinity' where tenant_id = 'T'",
        "update events set recorded_at = 'infinity'
         where tenant_id = 'T' and position = (select position from ledger_heads where tenant_id = 'T')",
        "insert into signed_checkpoints values ('T', 9223372036854775807, now(), '{}')",
    ] {
        let world = with_history().await;
        let other = world.other_tenant().await;
        other.stocked(&[("Z", 1)]).await;
        tamper(&world, &[sql.replace('T', &world.tenant.to_string())]).await;
        world.clock.advance(TimeDelta::hours(25));
        world.onhand.operations.sign_due_checkpoints().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let signed = signed_checkpoints::newest(world.onhand.pool(), other.tenant, None).await;
        assert!(signed.expect("checkpoints can be read").is_some(), "{sql}");
    }
}

#[tokio::test]
async fn the_signing_key_stays_the_same_when_master_keys_change_over() {
    let world = with_history().await;
    sign(&world).await;
    let before = public_key(&world).await;
    assert_eq!(public_key(&world.twin().await).await, before, "all processes sign with the same key");
    let new = "new:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=".to_owned();
    let both = world.with_keys(format!("{new},{}", process::master_keys())).await;
    assert_eq!(both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("it opens"), 1);
    assert_eq!(both.onhand.operations.reencrypt_secrets(|_, _| {}).await.expect("none is left"), 0);
    let only_new = world.with_keys(new).await;
    assert_eq!(public_key(&only_new).await, before);
    assert!(
        world.onhand.operations.signing_key(world.tenant).await.is_err(),
        "the old master key opens it no more"
    );
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("onhand-proof-{}", Uuid::now_v7()));
        fs::create_dir_all(&folder).expect("a folder is made");
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs `onhand audit check` where no database can be reached and none can be started.
async fn check(args: &[&str]) -> (i32, String) {
    let output = Command::new(process::binary())
        .args(["audit", "check"])
        .args(args)
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nowhere")
        .env("ONHAND_DATA_DIR", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the program runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), said)
}

fn spoil_file(file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a file of ours can be read");
    assert!(text.contains(from), "{from} is in {text}");
    fs::write(file, text.replacen(from, to, 1)).expect("a file of ours can be written");
}

#[tokio::test]
async fn on_the_command_line_history_is_signed_for_held_against_it_and_reported_on() {
    let world = with_history().await;
    let folder = Folder::new();
    let (checkpoint, report) = (folder.file("checkpoint.json"), folder.file("report.md"));
    let (code, key, wrong) = onhand(&world, &["audit", "key", "--tenant", "acme"]).await;
    assert!(code == 0 && key.is_empty() && wrong.contains("no key yet"), "{key}{wrong}");
    let (code, said, wrong) = onhand(&world, &["audit", "checkpoint", "--out", &checkpoint]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    let (code, key, wrong) = onhand(&world, &["audit", "key", "--tenant", "acme"]).await;
    assert_eq!(code, 0, "{wrong}");
    let key = key.split_whitespace().next().expect("a key").to_owned();
    world.twin().await.stocked(&[("G", 5)]).await;

    let held = ["audit", "verify", "--against", &checkpoint, "--key", &key, "--report", &report];
    let (code, said, wrong) = onhand(&world, &held).await;
    assert_eq!(code, 0, "{said}{wrong}");
    assert!(said.contains("acme: intact") && said.contains("by the key that was named"), "{said}");
    let text = fs::read_to_string(&report).expect("a report was written");
    assert!(text.contains("**Verdict: history holds.**"), "{text}");
    let (code, said, wrong) = onhand(&world, &["audit", "verify", "--from", &checkpoint, "--json"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    let found: Value = serde_json::from_str(said.trim()).expect("a line of JSON");
    assert_eq!(
        (&found["verdict"], &found["checkpoints"][0]["trust"]),
        (&json!("intact"), &json!("database"))
    );
    let other_key = "00".repeat(32);
    let (code, _, wrong) =
        onhand(&world, &["audit", "verify", "--against", &checkpoint, "--key", &other_key]).await;
    assert_eq!(code, 1, "{wrong}");
    assert!(wrong.contains("not the one that was named"), "{wrong}");
    let one_of_two = ["audit", "verify", "--against", &checkpoint, "--key", &other_key, "--key", &key];
    let (code, said, wrong) = onhand(&world, &one_of_two).await;
    assert_eq!(code, 0, "{said}{wrong}");
    let (code, _, wrong) = onhand(&world, &["audit", "verify", "--key", &key]).await;
    assert!(code != 0 && wrong.contains("--against"), "a key without what it checks is a mistake: {wrong}");

    rewrite(&world, 9, another_payload).await;
    let (code, said, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    let (code, said, wrong) = onhand(&world, &held).await;
    assert_eq!(code, 1, "{said}{wrong}");
    assert!(said.contains("BROKEN at position") && said.contains("rewritten after"), "{said}");
    let text = fs::read_to_string(&report).expect("a report was written");
    assert!(text.contains("does NOT hold"), "{text}");

    spoil_file(&checkpoint, "acme", "acne");
    let (code, _, wrong) = onhand(&world, &held).await;
    assert_eq!(code, 1, "{wrong}");
    assert!(wrong.contains("signature does not hold"), "{wrong}");
}

#[tokio::test]
async fn on_the_command_line_a_proof_is_checked_where_there_is_no_database() {
    let world = with_history().await;
    let folder = Folder::new();
    let (proof, checkpoint) = (folder.file("proof.json"), folder.file("checkpoint.json"));
    let (code, said, wrong) =
        onhand(&world, &["audit", "prove", "--tenant", "acme", "--position", "5", "--out", &proof]).await;
    assert_eq!(code, 0, "{said}{wrong}");
    let key = public_key(&world).await;
    let (code, _, wrong) = onhand(&world, &["audit", "checkpoint", "--out", &checkpoint]).await;
    assert_eq!(code, 0, "{wrong}");
    let again = ["audit", "prove", "--tenant", "acme", "--position", "5", "--checkpoint", &checkpoint];
    let (code, text, wrong) = onhand(&world, &again).await;
    assert_eq!(code, 0, "{wrong}");
    let Ok(Document::Proof(again)) = Document::read(&text) else { panic!("a proof: {text}") };
    assert_eq!(again.check(Some(&key)), Ok(()));
    assert_eq!(again.check(Some(&"00".repeat(32))), Err(Unproven::OtherKey(key.clone())));
    let (code, _, wrong) =
        onhand(&world, &["audit", "prove", "--tenant", "acme", "--position", "5000"]).await;
    assert_eq!(code, 1, "{wrong}");
    assert!(wrong.contains("the ledger ends at position"), "{wrong}");

    let entry = entries(&world, 4).await.remove(0);
    let (code, said) = check(&[&proof, "--key", &key]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("position 5") && said.contains(&entry.payload) && said.contains("acme"), "{said}");
    let (code, said) = check(&[&checkpoint]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("No key was named"), "{said}");
    let (code, said) = check(&[&proof, "--key", &"00".repeat(32)]).await;
    assert_eq!(code, 1, "{said}");
    spoil_file(&proof, &entry.name, &entry.name.replace('.', "_"));
    let (code, said) = check(&[&proof, "--key", &key]).await;
    assert_eq!((code, said.starts_with("DOES NOT HOLD")), (1, true), "{said}");
    spoil_file(&checkpoint, "\"position\"", "\"positron\"");
    let (code, said) = check(&[&checkpoint]).await;
    assert_eq!((code, said.starts_with("DOES NOT HOLD")), (1, true), "{said}");
    let (code, said) = check(&[&folder.file("nothing.json")]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("cannot be read"), "{said}");
}

#[tokio::test]
async fn on_the_command_line_a_ledger_that_cannot_be_signed_for_keeps_no_other_from_it() {
    let world = with_history().await;
    let other = world.other_tenant().await;
    other.stocked(&[("Z", 1)]).await;
    let sql = format!("update ledger_heads set hash = sha256('x') where tenant_id = '{}'", world.tenant);
    tamper(&world, &[sql]).await;
    let (code, said, wrong) = onhand(&world, &["audit", "checkpoint"]).await;
    assert!(code == 1 && wrong.contains("acme could not be signed for"), "{said}{wrong}");
    let Ok(Document::Checkpoint(signed)) = Document::read(&said) else { panic!("{said}{wrong}") };
    assert!(signed.is_of(other.tenant), "{said}");
}

#[tokio::test]
async fn nothing_in_a_document_acts_on_the_terminal_that_shows_it() {
    let world = with_history().await;
    let folder = Folder::new();
    let file = folder.file("checkpoint.json");
    let mut document = serde_json::to_value(sign(&world).await).expect("JSON");
    document["\u{1b}[2K\u{1b}[1A\nHOLDS: a signed checkpoint"] = json!(1);
    fs::write(&file, document.to_string()).expect("a file is written");
    let (code, said) = check(&[&file]).await;
    assert!(code == 1 && said.starts_with("DOES NOT HOLD") && said.contains("\\u{1b}[2K"), "{said:?}");
    assert!(!said.contains('\u{1b}') && said.lines().count() == 1, "{said:?}");
    let (code, said, wrong) = onhand(&world, &["audit", "verify", "--against", &file]).await;
    assert!(code == 1 && wrong.contains("\\u{1b}[2K") && !wrong.contains('\u{1b}'), "{said:?}{wrong:?}");
    assert!(!wrong.lines().any(|line| line.starts_with("HOLDS")), "{wrong:?}");
}
