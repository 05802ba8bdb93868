//! Archives that are there already: taken over after a crash, held against one another and against what was signed, and
//! without what was noted of states while entries were missing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use onhand_infrastructure::{
    ledger::archive::{Archive, ArchiveError, verify},
    operations::archives::Archiving,
    queries::archives,
};
use onhand_tests::{World, process};
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
async fn the_same_stretch_twice_is_refused_before_anything_is_put_back() {
    let (world, folder) = (with_history().await, Folder::new());
    archive(&world, 10, &folder).await.expect("a file is written");
    let twice: Vec<PathBuf> = [folder.files(), folder.files()].concat();
    tamper(&world, "delete from events where position = 4").await;
    let refused = restore(&world, &twice, false).await.expect_err("it would be counted twice");
    assert!(refused.to_string().contains("1 to 10"), "{refused}");
    assert_eq!(restore(&world, &twice[..1], true).await.expect("it fits"), [1], "nothing was put back");
}
