//! What can stand between a newcomer and a running Postgres, each with the way out in its message.
//! One type, because whoever sees it can only read it.

use std::io;
use std::path::PathBuf;

/// Why there is no local Postgres; the text is meant for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum LocalPostgresError {
    /// Neither found, nor downloaded, nor installed.
    #[error(
        "PostgreSQL {wanted} is not on this machine and could not be fetched ({tried}). Any one of these \
         helps:\n  \
         apt-get install postgresql    (or dnf install postgresql-server, apk add postgresql, \
         brew install postgresql)\n  \
         docker run -d -e POSTGRES_USER=onhand -e POSTGRES_PASSWORD=onhand -p 5432:5432 postgres:18\n  \
         DATABASE_URL=postgres://user:password@host:5432/database    (an existing server, such as that \
         container)\n\
         ONHAND_PG_BIN_DIR names server binaries in an unusual place."
    )]
    NoBinaries {
        /// Which versions would do.
        wanted: String,
        /// What was tried, and how it ended.
        tried: String,
    },
    /// The folder named by `ONHAND_PG_BIN_DIR` is of no use.
    #[error("{} holds no usable PostgreSQL server: {why}", folder.display())]
    BinDir {
        /// The folder that was named.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Not Unix.
    #[error(
        "a local Postgres runs on Linux and macOS only; set DATABASE_URL to a PostgreSQL server (15 or newer)"
    )]
    Unsupported,
    /// Root may not run Postgres, and there is no account to run it as.
    #[error(
        "root may not run Postgres and there is no account {0}; create it, or name one in ONHAND_PG_RUN_AS"
    )]
    NoAccount(String),
    /// The account that was named is root's.
    #[error("Postgres may not be run as {0}, which is root; name another account in ONHAND_PG_RUN_AS")]
    RootAccount(String),
    /// A folder above the data or the binaries is closed to the account that runs Postgres.
    #[error(
        "account {account} cannot enter {}, which lies above {}; choose another place with ONHAND_DATA_DIR (or \
         ONHAND_PG_BIN_DIR, for binaries)", closed.display(), target.display()
    )]
    Unreachable {
        /// Who would run the server.
        account: String,
        /// The folder that is closed to it.
        closed: PathBuf,
        /// What it would have to reach.
        target: PathBuf,
    },
    /// A file or program did not do what was asked.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        /// A verb, such as `create`.
        doing: &'static str,
        /// The file, folder or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` failed; holds its output.
    #[error("initdb failed:\n{0}")]
    Initdb(String),
    /// The server ended before it accepted connections; holds the last lines of its log.
    #[error("Postgres ended while starting; the end of its log:\n{0}")]
    Ended(String),
    /// The server neither ended nor accepted a connection in time; holds the last lines of its log.
    #[error("Postgres did not become ready within {seconds} s; the end of its log:\n{log}")]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// The server answered, but refused.
    #[error("Postgres refused: {0}")]
    Refused(#[from] sqlx::Error),
    /// Another program held the lock for too long.
    #[error("another program has been starting or stopping Postgres for {0} s; if none is, try again")]
    Locked(u64),
    /// There is a cluster but the password to it is gone.
    #[error(
        "{} is missing, so the cluster beside it cannot be opened; restore the file, or reset the cluster",
        .0.display()
    )]
    PasswordMissing(PathBuf),
    /// No server to talk to.
    #[error("no local Postgres is running; start onhand first")]
    NotRunning,
    /// The folder holds something else.
    #[error(
        "{} is not a data folder of onhand, so it was left alone; name another in ONHAND_DATA_DIR",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// What is to be removed is in use.
    #[error("a program uses the Postgres in {}, so it was left alone; stop that program first", .0.display())]
    InUse(PathBuf),
    /// The server did not obey.
    #[error("Postgres (process {0}) did not stop; see its log")]
    DidNotStop(u32),
    /// Not a name this program gives to databases.
    #[error("'{0}' cannot be the name of a database: small letters, digits and underscores, a letter first")]
    DatabaseName(String),
}

impl LocalPostgresError {
    /// For `map_err`: says what was being done to which path when the system refused.
    #[cfg(unix)]
    pub(super) fn io(
        doing: &'static str,
        path: impl AsRef<std::path::Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
