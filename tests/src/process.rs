//! The product as a process, to be killed.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{Database, World};

/// The master key of every process of a test.
pub fn master_keys() -> String {
    format!("test:{}", STANDARD.encode([7; 32]))
}

/// The program that acts as the product.
pub fn binary() -> PathBuf {
    // Cargo builds the programs of this package before its tests, into the folder above theirs.
    let mut path = std::env::current_exe().expect("a test knows its own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("onhand-server")
}

/// Runs the program on a world's database. Gives its exit code and what it said on stdout and stderr.
pub async fn onhand(world: &World, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary())
        .args(args)
        .env("DATABASE_URL", world.database.url())
        .env("ONHAND_MASTER_KEYS", master_keys())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A server in a process of its own.
pub struct Process {
    child: Child,
    /// Where it answers.
    pub url: String,
}

impl Process {
    /// Starts a server on this database, on a port of its own.
    pub async fn serve(database: &Database, duties: &str) -> Self {
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--roles", duties])
            .env("DATABASE_URL", database.url())
            .env("ONHAND_MASTER_KEYS", master_keys())
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let url = loop {
            let line = lines
                .next_line()
                .await
                .expect("stdout can be read")
                .expect("the server says where it listens");
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        // What else it has to say must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url }
    }

    /// Kills it as a power cut would: no signal handler runs.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a process of ours can be killed");
    }
}

/// Waits for a condition, looking again and again; panics with `what` after a minute.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited a minute for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
