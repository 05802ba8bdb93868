//! What may be chosen about the local Postgres, where its files lie, and what is told about it.
//! Everything has a default, because set-up is what this module saves.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What may be chosen; the cluster in `root` is the only state.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// The data folder; holds the cluster, its socket, its password, its log and the locks.
    pub root: PathBuf,
    /// A folder with server binaries, instead of a search.
    pub bin_dir: Option<PathBuf>,
    /// The account to run the server as when the program is root; default `postgres`, then `nobody`. The
    /// owner of a cluster that already exists comes before all of these.
    pub run_as: Option<String>,
    /// Whether commits survive a power failure; `false` is for throw-away test clusters only.
    pub durable: bool,
    /// Further server settings (name, value), stronger than ours; without effect on a server that already
    /// runs.
    pub extra: Vec<(String, String)>,
}

impl LocalSettings {
    /// Defaults for this user, changed by `ONHAND_DATA_DIR`, `ONHAND_PG_BIN_DIR` and `ONHAND_PG_RUN_AS`.
    ///
    /// The data folder is `/var/lib/onhand` for root, whose home the server's account could not enter; for
    /// others `$XDG_DATA_HOME/onhand` or `~/.local/share/onhand`.
    pub fn from_env() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = var("ONHAND_DATA_DIR").map(PathBuf::from).unwrap_or_else(default_root);
        Self {
            bin_dir: var("ONHAND_PG_BIN_DIR").map(PathBuf::from),
            run_as: var("ONHAND_PG_RUN_AS").map(|name| name.to_string_lossy().into_owned()),
            ..Self::at(root)
        }
    }

    /// Defaults, with the data in `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), bin_dir: None, run_as: None, durable: true, extra: Vec::new() }
    }
}

fn default_root() -> PathBuf {
    #[cfg(unix)]
    if super::account::is_root() {
        return PathBuf::from("/var/lib/onhand");
    }
    let data_home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    data_home
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from(".onhand"), |base| base.join("onhand"))
}

/// Facts about a running local server, as `onhand db info` shows them and `connection.json` keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalInfo {
    /// As the server's binary says it, such as `15.18`; `unknown` for a server this program has not started.
    pub version: String,
    /// Where the server's binaries lie.
    pub bin_dir: PathBuf,
    /// How they were found, such as `on PATH`.
    pub found: String,
    /// The cluster.
    pub data_dir: PathBuf,
    /// The folder of the Unix socket; none when the server listens on 127.0.0.1 instead.
    pub socket_dir: Option<PathBuf>,
    /// The TCP port, or the number in the socket's name.
    pub port: u16,
    /// The server's main process.
    pub pid: u32,
}

/// The files of one data folder, by their absolute paths.
#[derive(Debug, Clone)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix runs a server"))]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) pg: PathBuf,
    pub(super) run: PathBuf,
    pub(super) password: PathBuf,
    pub(super) log: PathBuf,
    pub(super) connection: PathBuf,
    pub(super) downloads: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) in_use: PathBuf,
}

#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix runs a server"))]
impl Layout {
    pub(super) fn of(root: &Path) -> Self {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self {
            pg: root.join("pg"),
            run: root.join("run"),
            password: root.join("pg.pass"),
            log: root.join("postgres.log"),
            connection: root.join("connection.json"),
            downloads: root.join("postgresql"),
            lock: root.join("lock"),
            in_use: root.join("in-use.lock"),
            root,
        }
    }
}
