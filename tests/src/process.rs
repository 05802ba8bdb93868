//! The product as a process, to be killed, or stopped and let go on.

use std::{
    fs::{self, DirEntry},
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
    /// Where it answers; empty if it does nowhere.
    pub url: String,
}

impl Process {
    /// Starts a server on this database, on a port of its own.
    pub async fn serve(database: &Database, duties: &str) -> Self {
        Self::start(database, &["serve", "--listen", "127.0.0.1:0", "--roles", duties]).await
    }

    /// Starts a relay on this database that is told this besides.
    pub async fn relay(database: &Database, more: &[&str]) -> Self {
        Self::start(database, &[&["relay"][..], more].concat()).await
    }

    async fn start(database: &Database, args: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(args)
            .env("DATABASE_URL", database.url())
            .env("ONHAND_MASTER_KEYS", master_keys())
            .env("RUST_LOG", "error")
            .env_remove("ONHAND_LISTEN")
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
            match line.strip_prefix("listening on ") {
                Some(url) => break url.to_owned(),
                None if line == "working without HTTP" => break String::new(),
                None => {}
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

    /// Stops it where it stands, as a machine does that was put to sleep; its connections stay. Returns once it does nothing
    /// any more.
    pub async fn stand_still(&self) {
        self.signal("STOP").await;
        let threads = format!("/proc/{}/task", self.pid());
        until("the process stands still", || async { are_stopped(&threads) }).await;
    }

    /// Lets it go on, as if no time had passed.
    pub async fn go_on(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        // Built into every shell, while the program of this name is not everywhere.
        let kill = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &kill]).status().await.expect("there is a shell");
        assert!(status.success(), "{kill}: {status}");
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("who was not waited for has an id")
    }
}

/// Whether every thread in a folder of `/proc` is stopped.
fn are_stopped(threads: &str) -> bool {
    let is_stopped = |thread: DirEntry| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // `1234 (name) T …`, and a name may have anything in it.
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    };
    fs::read_dir(threads).is_ok_and(|threads| threads.flatten().all(is_stopped))
}

/// Waits for a condition, looking again and again; panics with `what` after three minutes. What the product itself puts off by
/// a minute comes in that time.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited three minutes for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
