//! Programs whose words nobody reads any more: what else they are there for they do all the same.

use std::{fs, io::PipeWriter, process::Stdio};

use onhand_infrastructure::platforms::outbound::http_client;
use onhand_tests::{
    World,
    process::{binary, master_keys, until},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// A pipe whose reader has gone.
fn unread() -> PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe is made");
    drop(reader);
    writer
}

#[tokio::test]
async fn a_server_whose_log_nobody_reads_goes_on_with_all_it_does_when_there_is_much_to_log() {
    let world = World::new().await;
    let mut server = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("DATABASE_URL", world.database.url())
        .env("ONHAND_MASTER_KEYS", master_keys())
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(unread())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    let mut said = BufReader::new(server.stdout.take().expect("stdout is piped")).lines();
    let line = said.next_line().await.expect("stdout can be read").expect("it says where it listens");
    let ready = format!("{}/readyz", line.strip_prefix("listening on ").expect("it listens"));
    let http = http_client().expect("a client");
    let answers = async |wanted: u16| {
        http.get(&ready).send().await.is_ok_and(|answer| answer.status().as_u16() == wanted)
    };
    until("it is ready", || answers(200)).await;
    world.database.close().await;
    until("it says that its database is away", || answers(503)).await;
    world.database.open().await;
    until("it is ready, and nothing of it has ended meanwhile", || answers(200)).await;
}

#[tokio::test]
async fn a_report_is_written_though_nobody_reads_what_is_said_beside() {
    let world = World::new().await;
    world.stocked(&[("A", 5)]).await;
    let report = std::env::temp_dir().join(format!("{}.md", world.database.name));
    let ended = Command::new(binary())
        .args(["audit", "verify", "--report"])
        .arg(&report)
        .env("DATABASE_URL", world.database.url())
        .env("ONHAND_MASTER_KEYS", master_keys())
        .stdin(Stdio::null())
        .stdout(unread())
        .stderr(Stdio::null())
        .status()
        .await
        .expect("the program runs");
    assert_eq!(ended.code(), Some(141));
    let written = fs::read_to_string(&report).expect("the report is there");
    assert!(written.contains("acme"), "{written}");
    fs::remove_file(&report).expect("a file of ours can be removed");
}
