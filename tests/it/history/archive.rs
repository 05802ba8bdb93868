//! Archives: files that prove themselves, and history that is put back from them where it was lost, and only there.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use onhand_infrastructure::{
    ledger::{
        archive::{Archive, ArchiveError, verify},
        proof::Verdict,
    },
    operations::archives::Archiving,
};
use onhand_tests::{
    World,
    process::{self, onhand},
};
use tokio::process::Command;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder that is gone with the test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let name = format!("onhand-archives-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder is made");
        Self(folder)
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("a folder of ours can be read");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A world with some twenty entries.
pub(super) async fn with_history() -> World {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 6), ("C", 7)]).await;
    for _ in 0..4 {
        world.reserve(&[("A", 1), ("B", 1)]).await.expect(201);
    }
    world
}

pub(super) async fn archive(world: &World, to: i64, folder: &Folder) -> Result<Vec<Archive>, ArchiveError> {
    let archiving =
        Archiving { tenant: world.tenant, tenant_name: "acme", from: None, to, folder: &folder.0 };
    world.onhand.operations.archive("test", archiving, |_, _| {}).await
}

/// Files put back, or only looked at. Gives how many entries were missing, the last stretch first.
pub(super) async fn restore(
    world: &World,
    files: &[PathBuf],
    dry_run: bool,
) -> Result<Vec<u64>, ArchiveError> {
    let restored = world.onhand.operations.restore_archives("test", files, dry_run, |_, _| {}).await?;
    Ok(restored.into_iter().map(|one| one.missing).collect())
}

/// What only a superuser can do.
pub(super) async fn tamper(world: &World, sql: &'static str) {
    let mut owner = world.database.owner().await;
    for sql in ["set session_replication_role = replica", sql] {
        sqlx::query(sql).execute(&mut owner).await.expect("a superuser may do anything");
    }
}

pub(super) async fn head(world: &World) -> i64 {
    world.history().await.len() as i64
}

pub(super) fn lines(file: &Path) -> Vec<String> {
    let mut text = String::new();
    let mut file = GzDecoder::new(File::open(file).expect("it is there"));
    file.read_to_string(&mut text).expect("it is gzipped text");
    text.lines().map(str::to_owned).collect()
}

pub(super) fn write_lines(file: &Path, lines: &[String]) {
    let mut file = GzEncoder::new(File::create(file).expect("a file is made"), Compression::fast());
    for line in lines {
        writeln!(file, "{line}").expect("a line is written");
    }
    file.finish().expect("it is ended");
}

#[tokio::test]
async fn what_was_lost_is_put_back_from_files_that_are_whole() {
    let (world, folder) = (with_history().await, Folder::new());
    let first = archive(&world, 10, &folder).await.expect("a file is written");
    let to = head(&world).await;
    let second = archive(&world, to, &folder).await.expect("another one goes on from it");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!((first[0].header.from, first[0].header.to), (1, 10));
    assert_eq!((second[0].header.from, second[0].header.to), (11, to));
    assert_eq!(second[0].header.previous_hash, first[0].last_hash);
    for (file, written) in folder.files().iter().zip([&first[0], &second[0]]) {
        assert_eq!(verify(file, |_, _| {}).expect("it is whole"), *written);
    }
    assert_eq!(restore(&world, &folder.files(), true).await.expect("they fit"), [0, 0]);

    tamper(&world, "delete from events where position between 4 and 13").await;
    assert!(matches!(world.verify().await, Verdict::Broken { position: 4, .. }));
    // What is missing across the border of two files takes both: the ledger itself vouches for the second only.
    let unfit = restore(&world, &folder.files()[..1], false).await.expect_err("nothing shows that it fits");
    assert!(matches!(unfit, ArchiveError::Unfit(_)), "{unfit}");
    assert_eq!(restore(&world, &folder.files(), true).await.expect("they fit"), [3, 7]);
    assert!(
        matches!(world.verify().await, Verdict::Broken { position: 4, .. }),
        "a dry run puts nothing back"
    );

    assert_eq!(restore(&world, &folder.files(), false).await.expect("they fit"), [3, 7]);
    world.expect_intact().await;
    assert_eq!(restore(&world, &folder.files(), false).await.expect("they fit still"), [0, 0]);
    world.project().await;
    world.expect_rebuilt_equals_live().await;
    let history = world.history().await;
    let times = |name: &str| history.iter().filter(|it| *it == name).count();
    assert_eq!(times("administration.archived"), 2);
    assert_eq!(times("administration.restored"), 2, "what put nothing back is not told");
    world.expect_intact().await;
}

/// What is done to the lines of a file.
type Change<'a> = &'a dyn Fn(&mut Vec<String>);

#[tokio::test]
async fn a_file_that_was_altered_anywhere_is_not_whole() {
    let (world, folder) = (with_history().await, Folder::new());
    let written = archive(&world, 10, &folder).await.expect("a file is written");
    let (file, altered) = (folder.files().remove(0), folder.0.join("altered"));
    let original = lines(&file);
    assert_eq!(original.len(), 12, "a header, ten entries and a trailer");
    let tenant = world.tenant.to_string();
    let hash = &written[0].header.previous_hash;
    let none = "0".repeat(64);
    let changes: [(&str, Change<'_>); 12] = [
        ("a field", &|l| l[5] = l[5].replace("\"name_version\":1", "\"name_version\":2")),
        ("a payload", &|l| l[5] = l[5].replace("\"payload\":\"{", "\"payload\":\"{ ")),
        ("a time", &|l| l[5] = l[5].replace("\"recorded_at\":\"20", "\"recorded_at\":\"21")),
        ("a lost entry", &|l| drop(l.remove(5))),
        ("the order", &|l| l.swap(5, 6)),
        ("an entry twice", &|l| l.insert(5, l[5].clone())),
        ("a lost end", &|l| drop(l.pop())),
        ("lost entries at the end", &|l| drop(l.drain(8..11))),
        ("something after the end", &|l| l.push("{}".to_owned())),
        ("the range", &|l| l[0] = l[0].replace("\"to\":10", "\"to\":9")),
        ("the tenant", &|l| l[0] = l[0].replace(&tenant, "00000000-0000-0000-0000-000000000001")),
        ("the hash before", &|l| l[0] = l[0].replace(hash, &none)),
    ];
    for (what, change) in changes {
        let mut changed = original.clone();
        change(&mut changed);
        assert_ne!(changed, original, "{what} is changed");
        write_lines(&altered, &changed);
        verify(&altered, |_, _| {}).expect_err(what);
    }

    let bytes = fs::read(&file).expect("the file can be read");
    // Behind the header of the compression, which nothing depends on, and before its last bits, some of which are none.
    for at in (10..bytes.len() - 9).step_by(bytes.len() / 40) {
        let mut changed = bytes.clone();
        changed[at] = !changed[at];
        fs::write(&altered, changed).expect("a file is written");
        assert!(verify(&altered, |_, _| {}).is_err(), "byte {at}");
    }
    for end in (0..bytes.len()).step_by(bytes.len() / 40) {
        fs::write(&altered, &bytes[..end]).expect("a file is written");
        assert!(verify(&altered, |_, _| {}).is_err(), "cut off at {end}");
    }
    fs::write(&altered, [bytes.as_slice(), b"more"].concat()).expect("a file is written");
    verify(&altered, |_, _| {}).expect_err("something follows");
    fs::write(&altered, bytes).expect("a file is written");
    verify(&altered, |_, _| {}).expect("as it was, it is whole");
}

#[tokio::test]
async fn history_that_does_not_hold_is_not_archived() {
    let (world, folder) = (with_history().await, Folder::new());
    tamper(&world, "update events set payload = payload || ' ' where position = 5").await;
    let broken = archive(&world, 10, &folder).await.expect_err("it does not hold");
    assert!(matches!(broken, ArchiveError::Broken { position: 5, .. }), "{broken}");
    tamper(&world, "delete from events where position = 3").await;
    let broken = archive(&world, 10, &folder).await.expect_err("it does not hold");
    assert!(matches!(broken, ArchiveError::Broken { position: 3, .. }), "{broken}");
    assert_eq!(folder.files(), Vec::<PathBuf>::new(), "nothing is left behind");
    let beyond = archive(&world, 1_000, &folder).await.expect_err("there is no such entry");
    assert!(matches!(beyond, ArchiveError::Unfit(_)), "{beyond}");
}

#[tokio::test]
async fn what_is_of_another_history_is_not_put_back() {
    let (world, folder) = (with_history().await, Folder::new());
    let elsewhere = World::new().await;
    let split = head(&world).await;
    // The same ledger from a backup, which then goes on in another way.
    let other = World::on(world.database.dumped_and_restored().await).await;
    other.reserve(&[("C", 1)]).await.expect(201);
    for _ in 0..3 {
        world.reserve(&[("C", 2)]).await.expect(201);
        other.reserve(&[("C", 1)]).await.expect(201);
    }
    archive(&world, split + 2, &folder).await.expect("a file is written");
    let files = folder.files();
    let refused = async |world: &World, why: &str| {
        let before = (world.history().await, world.verify().await);
        for dry_run in [true, false] {
            let unfit = restore(world, &files, dry_run).await.expect_err(why);
            assert!(unfit.to_string().contains(why), "{unfit}");
        }
        assert_eq!((world.history().await, world.verify().await), before);
    };
    refused(&elsewhere, "there is no ledger").await;
    refused(&other, &format!("position {} is there and is another", split + 1)).await;
    // Also where the ledger has nothing to hold against it but what follows.
    let mut owner = other.database.owner().await;
    for sql in [
        "set session_replication_role = replica".to_owned(),
        format!("delete from events where position between 4 and {}", split + 2),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut owner)
            .await
            .expect("a superuser may do anything");
    }
    refused(&other, "goes on from the file").await;

    // What was altered in place is told, and not papered over.
    tamper(&world, "update events set payload = payload || ' ' where position = 5").await;
    refused(&world, "position 5 is there and is another").await;
    // A ledger that ends before the file does has lost more than a file can give back.
    tamper(&world, "update ledger_heads set position = 5").await;
    refused(&world, "ends at 5").await;
}

#[tokio::test]
async fn on_the_command_line_files_are_written_checked_without_a_database_listed_and_put_back() {
    let (world, folder) = (with_history().await, Folder::new());
    let dir = folder.0.to_str().expect("a plain name");
    let write = ["archive", "write", "--tenant", "acme", "--dir", dir];
    let (code, said, wrong) = onhand(&world, &[&write[..], &["--older-than", "1"]].concat()).await;
    assert!(code == 0 && said.contains("nothing"), "{said}{wrong}");
    let (code, _, wrong) = onhand(&world, &write).await;
    assert!(code != 0 && wrong.contains("--to"), "{wrong}");
    let (code, said, wrong) = onhand(&world, &[&write[..], &["--older-than", "365000"]].concat()).await;
    assert!(code == 0 && said.contains("nothing"), "{said}{wrong}");
    let (code, _, wrong) = onhand(&world, &[&write[..], &["--older-than", "100000000"]].concat()).await;
    assert!(code == 2 && wrong.contains("365000"), "no calendar goes back so far: {wrong}");
    let (code, said, wrong) = onhand(&world, &[&write[..], &["--to", "9"]].concat()).await;
    assert_eq!(code, 0, "{said}{wrong}");
    let file = folder.files().remove(0);
    assert_eq!(
        file.file_name().and_then(|name| name.to_str()),
        Some("acme-000000000001-000000000009.ndjson.gz")
    );
    // One that is there already and is the same is not written again.
    let bytes = fs::read(&file).expect("the file can be read");
    let (code, said, wrong) = onhand(&world, &[&write[..], &["--from", "1", "--to", "9"]].concat()).await;
    assert!(code == 0 && said.contains("acme-"), "{said}{wrong}");
    assert_eq!(fs::read(&file).expect("the file can be read"), bytes);

    let path = file.to_str().expect("a plain name");
    let (code, said, _) = onhand(&world, &["archive", "list"]).await;
    assert!(code == 0 && said.contains("acme-000000000001-000000000009.ndjson.gz"), "{said}");
    let never = folder.0.join("never");
    let check = async |path: &str| {
        let output = Command::new(process::binary())
            .args(["archive", "verify", path])
            .env_remove("DATABASE_URL")
            .env("ONHAND_DATA_DIR", &never)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("the program runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = check(path).await;
    assert!(code == Some(0) && said.contains("whole"), "{said}");
    assert!(!never.exists(), "no database was made for it");

    tamper(&world, "delete from events where position = 6").await;
    let (code, said, wrong) = onhand(&world, &["archive", "restore", "--dry-run", path]).await;
    assert!(code == 0 && said.contains("1 are missing"), "{said}{wrong}");
    let (code, said, wrong) = onhand(&world, &["archive", "restore", path]).await;
    assert!(code == 0 && said.contains("1 were missing"), "{said}{wrong}");
    world.expect_intact().await;

    let mut lost = lines(&file);
    lost.remove(4);
    write_lines(&file, &lost);
    let (code, said) = check(path).await;
    assert!(code == Some(1) && said.contains("BROKEN"), "{said}");
    let (code, _, wrong) = onhand(&world, &["archive", "restore", path]).await;
    assert!(code != 0 && wrong.contains("position 4"), "{wrong}");
}
