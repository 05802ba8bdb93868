//! Archives that are there already: taken over after a crash, held against one another and against what was signed, and
//! without what was noted of states while entries were missing.

use std::{fs, path::Path, process::Stdio};

use onhand_infrastructure::{
    ledger::archive::{Archive, ArchiveError, verify},
    operations::archives::Archiving,
    queries::archives,
};
use onhand_tests::{World, process};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    archive::{Folder, archive, head, lines, restore, tamper, with_history, write_lines},
    proof::{another_payload, entries, rewrite, sign},
};

async fn archive_from(
    world: &World,
    from: i64,
    to: i64,
    folder: &Path,
) -> Result<Vec<Archive>, ArchiveError> {
    let archiving = Archiving { tenant: world.tenant, tenant_name: "acme", from: Some(from), to, folder };
    world.onhand.operations.archive("test", archiving, |_, _| {}).await
}

async fn noted(world: &World) -> usize {
    world.history().await.iter().filter(|name| *name == "administration.archived").count()
}

async fn listed(world: &World) -> Vec<(i64, i64)> {
    let listed = archives::list(world.onhand.pool(), None).await.expect("files can be listed");
    listed.iter().map(|file| (file.from_position, file.to_position)).collect()
}

/// Runs `onhand archive verify` where there is no database.
async fn check(args: &[&str]) -> (i32, String) {
    let output = Command::new(process::binary())
        .args(["archive", "verify"])
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

/// Makes up every payload of a file, and the hashes that follow, so that it hangs together.
async fn forge(world: &World, file: &Path) {
    let mut forged: Vec<Value> =
        lines(file).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let from = forged[0]["from"].as_i64().expect("a position");
    let mut before = forged[0]["previous_hash"].as_str().expect("a hash").to_owned();
    let last = forged.len() - 1;
    for (mut entry, line) in entries(world, from - 1).await.into_iter().zip(&mut forged[1..last]) {
        entry.payload.push(' ');
        before = hex::encode(entry.chained(world.tenant, &hex::decode(&before).expect("hex")));
        line["payload"] = json!(entry.payload);
        line["hash"] = json!(before);
    }
    forged[last]["last_hash"] = json!(before);
    write_lines(file, &forged.iter().map(Value::to_string).collect::<Vec<_>>());
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

#[tokio::test]
async fn a_file_that_a_crash_left_unnoted_is_taken_over_and_another_one_is_not_touched() {
    let (world, folder) = (with_history().await, Folder::new());
    let written = archive(&world, 10, &folder).await.expect("a file is written");
    let file = folder.files().remove(0);
    let bytes = fs::read(&file).expect("the file can be read");
    // As if the program had died when the file had its name and nothing else was done.
    tamper(&world, "delete from archives").await;
    let again = archive(&world, 10, &folder).await.expect("it is the one that would be written");
    assert_eq!(again, written);
    assert_eq!((listed(&world).await, noted(&world).await), (vec![(1, 10)], 2));
    let next = archive(&world, 12, &folder).await.expect("another one goes on from it");
    assert_eq!((next[0].header.from, next[0].header.to), (11, 12));

    tamper(&world, "delete from archives").await;
    let original = lines(&file);
    let mut lost = original.clone();
    lost.remove(4);
    let mut renamed = original.clone();
    renamed[0] = renamed[0].replace("acme", "acne");
    for other in [lost, renamed] {
        write_lines(&file, &other);
        let found = fs::read(&file).expect("the file can be read");
        archive(&world, 10, &folder).await.expect_err("it is not the one that would be written");
        assert_eq!(fs::read(&file).expect("the file can be read"), found, "it is left as it is");
    }
    fs::write(&file, &bytes).expect("the file is written");
    rewrite(&world, 9, another_payload).await;
    let unfit = archive(&world, 10, &folder).await.expect_err("it is of another history now");
    assert!(matches!(unfit, ArchiveError::Unfit(_)), "{unfit}");
    assert_eq!(listed(&world).await, []);
}

#[tokio::test]
async fn what_is_in_no_file_is_archived_first_also_where_later_entries_are_in_one() {
    let (world, folder) = (with_history().await, Folder::new());
    archive_from(&world, 8, 12, &folder.0).await.expect("a file is written");
    archive(&world, 5, &folder).await.expect("it begins with the first entry");
    archive(&world, 7, &folder).await.expect("it goes on before the one that is there");
    assert_eq!(listed(&world).await, [(1, 5), (6, 7), (8, 12)]);
    archive(&world, 14, &folder).await.expect("no hole is left");
    assert_eq!(listed(&world).await, [(1, 5), (6, 7), (8, 12), (13, 14)]);
}

#[tokio::test]
async fn files_are_held_against_one_another_and_against_what_was_signed() {
    let (world, folder, later) = (with_history().await, Folder::new(), Folder::new());
    let checkpoint = sign(&world).await;
    let to = head(&world).await;
    assert!(checkpoint.position > 12 && to > checkpoint.position, "{to}");
    let signed = folder.0.join("checkpoint.json");
    archive(&world, 12, &folder).await.expect("a file is written");
    archive(&world, to, &folder).await.expect("another one goes on from it");
    let files = folder.files();
    let (first, second) = (plain(&files[0]), plain(&files[1]));
    fs::write(&signed, serde_json::to_string(&checkpoint).expect("JSON")).expect("a file is written");
    let against = ["--against", plain(&signed), "--key", &checkpoint.public_key];

    let (code, said) = check(&[first, second]).await;
    assert!(code == 0 && said.contains("hangs together"), "{said}");
    let (code, said) = check(&[&[first, second][..], &against[..]].concat()).await;
    assert!(code == 0 && said.contains("is the history that was signed for"), "{said}");
    assert!(said.contains("by the key that was named"), "{said}");
    let (code, said) = check(&[&[first][..], &against[..]].concat()).await;
    assert!(code == 1 && said.contains("NOT SHOWN"), "{said}");
    let (code, said) = check(&[first, "--against", plain(&signed), "--key", &"00".repeat(32)]).await;
    assert!(code == 1 && said.contains("not the one that was named"), "{said}");
    let (code, said) = check(&[first, "--key", &checkpoint.public_key]).await;
    assert!(code != 0 && said.contains("--against"), "a key without what it checks is a mistake: {said}");

    // The same ledger, rewritten: its files hang together as well, and neither with the old ones nor with what was signed.
    rewrite(&world, 9, another_payload).await;
    archive_from(&world, 5, to, &later.0).await.expect("a file is written");
    let files = later.files();
    let other = plain(&files[0]);
    let (code, said) = check(&[other]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = check(&[&[other][..], &against[..]].concat()).await;
    assert!(code == 1 && said.contains("is not the one that was signed for"), "{said}");
    for overlapping in [[first, other], [other, second]] {
        let (code, said) = check(&overlapping).await;
        assert!(code == 1 && said.contains("not of one history"), "{said}");
    }
}

#[tokio::test]
async fn made_up_entries_behind_what_was_signed_for_are_not_taken_for_it() {
    let (world, folder) = (with_history().await, Folder::new());
    let checkpoint = sign(&world).await;
    world.reserve(&[("C", 1)]).await.expect(201);
    let (signed, to) = (checkpoint.position, head(&world).await);
    assert!(to > signed + 1, "{to}");
    // The hash that was signed for stands in the header of this one, and nowhere else.
    archive_from(&world, signed + 1, to, &folder.0).await.expect("a file is written");
    let file = folder.files().remove(0);
    forge(&world, &file).await;
    let document = folder.0.join("checkpoint.json");
    fs::write(&document, serde_json::to_string(&checkpoint).expect("JSON")).expect("a file is written");
    let against = ["--against", plain(&document), "--key", &checkpoint.public_key];
    let (code, said) = check(&[plain(&file)]).await;
    assert!(code == 0 && said.contains("whole"), "it hangs together: {said}");
    let (code, said) = check(&[&[plain(&file)][..], &against[..]].concat()).await;
    assert!(code == 1 && !said.contains("is the history"), "{said}");
    assert!(said.contains(&format!("NOT SHOWN: no file that is whole has position {signed} ")), "{said}");
    assert!(said.contains(&format!("NOT SHOWN: positions {} to {to} ", signed + 1)), "{said}");

    // Nor behind a file that has it: the whole of it comes after what was signed for.
    archive_from(&world, 1, signed, &folder.0).await.expect("a file is written");
    let signed_for = folder.files().remove(0);
    let (code, said) = check(&[&[plain(&signed_for)][..], &against[..]].concat()).await;
    assert!(code == 0 && said.contains(&format!("from position 1 to {signed} is the history")), "{said}");
    let (code, said) = check(&[&[plain(&signed_for), plain(&file)][..], &against[..]].concat()).await;
    assert!(code == 1 && said.contains("come after what was signed for"), "{said}");
}

#[tokio::test]
async fn what_does_not_join_up_to_what_was_signed_for_is_not_taken_for_it() {
    let (world, folder) = (with_history().await, Folder::new());
    let checkpoint = sign(&world).await;
    let (signed, to) = (checkpoint.position, head(&world).await);
    for (from, to) in [(1, 5), (4, 8), (9, to)] {
        archive_from(&world, from, to, &folder.0).await.expect("a file is written");
    }
    let document = folder.0.join("checkpoint.json");
    fs::write(&document, serde_json::to_string(&checkpoint).expect("JSON")).expect("a file is written");
    let files = folder.files();
    let [first, second, third] = [0, 1, 2].map(|at| plain(&files[at]));
    let against = ["--against", plain(&document), "--key", &checkpoint.public_key];
    let held = async |files: &[&str]| check(&[files, &against[..]].concat()).await;

    let (code, said) = held(&[first, second, third]).await;
    assert!(code == 0 && said.contains(&format!("from position 1 to {signed} is the history")), "{said}");
    let behind = format!("NOT SHOWN: positions {} to {to} ", signed + 1);
    assert!(said.contains(&behind), "what comes after it is told all the same: {said}");

    let (code, said) = held(&[first, third]).await;
    assert!(code == 1 && said.contains("no file given has positions 6 to 8"), "{said}");
    assert!(said.contains("NOT SHOWN: positions 1 to 5 "), "{said}");
    assert!(said.contains(&format!("from position 9 to {signed} is the history")), "{said}");

    forge(&world, &files[0]).await;
    let (code, said) = held(&[first, third]).await;
    assert!(code == 1 && said.contains("NOT SHOWN: positions 1 to 5 "), "made up, and not shown: {said}");
    let (code, said) = held(&[first, second, third]).await;
    assert!(code == 1 && said.contains("not of one history"), "{said}");
    assert!(said.contains("NOT SHOWN: positions 1 to 3 "), "{said}");
}

#[tokio::test]
async fn a_file_from_the_first_entry_on_begins_as_its_ledger_does() {
    let (world, folder) = (with_history().await, Folder::new());
    let written = archive(&world, 6, &folder).await.expect("a file is written");
    let file = folder.files().remove(0);
    let mut made_up = lines(&file);
    let mut before = "0".repeat(64);
    made_up[0] = made_up[0].replace(&written[0].header.previous_hash, &before);
    // Every hash is made anew from there on, so that the file hangs together.
    for (entry, line) in entries(&world, 0).await.into_iter().zip(&mut made_up[1..7]) {
        let hash = hex::encode(entry.chained(world.tenant, &hex::decode(&before).expect("hex")));
        *line = line.replace(&hex::encode(&entry.hash), &hash);
        before = hash;
    }
    made_up[7] = made_up[7].replace(&written[0].last_hash, &before);
    write_lines(&file, &made_up);
    let refused = verify(&file, |_, _| {}).expect_err("no ledger of this tenant begins so");
    assert!(refused.to_string().contains("begins"), "{refused}");
}

#[tokio::test]
async fn what_was_noted_of_states_without_the_lost_entries_goes_when_they_are_put_back() {
    let (world, folder) = (with_history().await, Folder::new());
    let other = world.other_tenant().await;
    archive(&world, head(&world).await, &folder).await.expect("a file is written");
    tamper(&world, "delete from events where position = 6").await;
    let mut owner = world.database.owner().await;
    for tenant in [world.tenant, other.tenant] {
        for table in ["stream_snapshots", "snapshots"] {
            let sql = format!(
                "insert into {table} (tenant_id, stream, version, position, format, state)
                 values ('{tenant}', 'stock/x/main', 1, 1, 3, '{{}}')"
            );
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut owner).await.expect("a row is written");
        }
    }
    let left = async || {
        let sql = "select count(*) from (select tenant_id from stream_snapshots
                   union all select tenant_id from snapshots) s where tenant_id = $1";
        let mut counts = Vec::new();
        for tenant in [world.tenant, other.tenant] {
            let (count,): (i64,) = sqlx::query_as(sql)
                .bind(tenant.0)
                .fetch_one(world.onhand.pool())
                .await
                .expect("rows can be counted");
            counts.push(count);
        }
        counts
    };
    assert_eq!(restore(&world, &folder.files(), true).await.expect("it fits"), [1]);
    assert_eq!(left().await, [2, 2], "a dry run changes nothing");
    assert_eq!(restore(&world, &folder.files(), false).await.expect("it fits"), [1]);
    assert_eq!(left().await, [0, 2], "only of the ledger whose entries were missing");
    world.expect_intact().await;
}

#[tokio::test]
async fn files_that_overlap_are_put_back_together_and_each_entry_once() {
    let (world, folder) = (with_history().await, Folder::new());
    let to = head(&world).await;
    for (from, to) in [(1, 10), (1, 12), (13, to)] {
        archive_from(&world, from, to, &folder.0).await.expect("a file is written");
    }
    tamper(&world, "delete from events where position between 4 and 13").await;
    // Nothing but the two others vouches for the first.
    let first = [folder.files().remove(0)];
    let unfit = restore(&world, &first, true).await.expect_err("nothing shows that it fits");
    assert!(unfit.to_string().contains("from the file at position 10"), "{unfit}");
    let twice = [folder.files(), folder.files()].concat();
    assert_eq!(restore(&world, &twice, true).await.expect("they fit"), [1, 0, 9, 0, 0, 0]);
    assert_eq!(restore(&world, &folder.files(), false).await.expect("they fit"), [1, 9, 0]);
    world.expect_intact().await;
    assert_eq!(restore(&world, &twice, false).await.expect("they fit still"), [0; 6]);
}

#[tokio::test]
async fn a_file_that_overlaps_another_one_and_is_of_another_history_is_not_put_back() {
    let (world, folder) = (with_history().await, Folder::new());
    archive(&world, 12, &folder).await.expect("a file is written");
    archive(&world, head(&world).await, &folder).await.expect("another one goes on from it");
    archive_from(&world, 1, 10, &folder.0).await.expect("a file is written");
    let file = folder.files().remove(0);
    forge(&world, &file).await;
    verify(&file, |_, _| {}).expect("it hangs together");
    tamper(&world, "delete from events where position between 1 and 13").await;
    let unfit = restore(&world, &folder.files(), false).await.expect_err("it is another history");
    assert!(unfit.to_string().contains("from the file at position 10"), "{unfit}");
}

#[tokio::test]
async fn a_file_that_says_it_has_more_entries_than_any_is_not_read() {
    let (world, folder) = (with_history().await, Folder::new());
    archive(&world, 10, &folder).await.expect("a file is written");
    archive(&world, 12, &folder).await.expect("another one goes on from it");
    for (file, to) in folder.files().iter().zip(["10", "12"]) {
        let mut said = lines(file);
        said[0] = said[0].replace(&format!("\"to\":{to},"), &format!("\"to\":{},", i64::MAX - 1));
        write_lines(file, &said);
        let refused = verify(file, |_, _| {}).expect_err("no file is so long");
        assert!(refused.to_string().contains("1000000 entries at most"), "{refused}");
    }
    let refused = restore(&world, &folder.files(), true).await.expect_err("no file is so long");
    assert!(refused.to_string().contains("1000000 entries at most"), "{refused}");
}
