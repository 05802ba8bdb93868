//! The server as a process: who it is, whether it lives, where it listens, how it is told to stop.
//! `postmaster.pid` outlives a killed server and process ids are used again, so neither is believed alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::cluster::SUPERUSER;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The folder of the socket, and the number in its name.
    Socket(PathBuf, u16),
    /// A port of 127.0.0.1.
    Tcp(u16),
}

impl Endpoint {
    /// Whether a socket in `folder` has an address that the system accepts.
    pub(super) fn socket_fits(folder: &Path) -> bool {
        let longest = if cfg!(target_os = "linux") { 107 } else { 103 };
        folder.join(".s.PGSQL.5432").as_os_str().len() <= longest
    }

    pub(super) fn options(&self, password: &str, database: &str) -> PgConnectOptions {
        let options =
            PgConnectOptions::new_without_pgpass().username(SUPERUSER).password(password).database(database);
        // Nothing leaves the machine, so encryption would only cost time.
        let options = options.ssl_mode(PgSslMode::Disable).application_name("onhand");
        match self {
            Self::Socket(folder, number) => options.socket(folder).port(*number),
            Self::Tcp(port) => options.host("127.0.0.1").port(*port),
        }
    }

    pub(super) fn url(&self, password: &str, database: &str) -> String {
        let (host, port) = match self {
            Self::Socket(folder, number) => (percent_encoded(&folder.to_string_lossy()), number),
            Self::Tcp(port) => ("127.0.0.1".to_owned(), port),
        };
        let (password, database) = (percent_encoded(password), percent_encoded(database));
        format!("postgres://{SUPERUSER}:{password}@{host}:{port}/{database}?sslmode=disable")
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// What `postmaster.pid` says; the endpoint comes a moment after the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    pub(super) endpoint: Option<Endpoint>,
}

impl PidFile {
    pub(super) fn read(pg: &Path) -> Option<Self> {
        parse(&fs::read_to_string(pg.join("postmaster.pid")).ok()?)
    }
}

// Lines: process, data folder, start time, port, socket folder, listen address, shared memory, state.
fn parse(text: &str) -> Option<PidFile> {
    let line = |number: usize| text.lines().nth(number).map(str::trim).filter(|line| !line.is_empty());
    let endpoint = match (line(3).and_then(|port| port.parse().ok()), line(4), line(5)) {
        (Some(port), Some(folder), _) => Some(Endpoint::Socket(folder.into(), port)),
        (Some(port), None, Some(_)) => Some(Endpoint::Tcp(port)),
        _ => None,
    };
    // A negative number marks a single-user session, which nobody can connect to.
    Some(PidFile { pid: line(0)?.parse().ok()?, endpoint })
}

/// What a process number turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Process {
    /// The server of this cluster, and its program.
    Ours(PathBuf),
    /// Something else that was given the number since.
    Other,
    /// Nothing, or nothing we may see.
    Gone,
}

impl Process {
    pub(super) fn of(pid: u32, pg: &Path) -> Self {
        if Path::new("/proc/self").exists() {
            let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<String> = bytes
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            return Self::recognise(&words, pg);
        }
        let pid = pid.to_string();
        let listed = Command::new("ps").args(["-ww", "-o", "comm=", "-p", &pid]).output();
        let program =
            listed.map(|ps| String::from_utf8_lossy(&ps.stdout).trim().to_owned()).unwrap_or_default();
        Self::recognise(&[program], pg)
    }

    fn recognise(words: &[String], pg: &Path) -> Self {
        // An ended process that nobody has waited for has no words.
        let Some(program) = words.first().filter(|program| !program.is_empty()).map(PathBuf::from) else {
            return Self::Gone;
        };
        if !program.file_name().is_some_and(|name| name == "postgres" || name == "postmaster") {
            return Self::Other;
        }
        let same = |folder: &String| match (fs::canonicalize(folder), fs::canonicalize(pg)) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            _ => Path::new(folder) == pg,
        };
        match words.iter().position(|word| word == "-D").and_then(|flag| words.get(flag + 1)) {
            Some(folder) if !same(folder) => Self::Other,
            // Without the word we cannot tell, and must not remove the file of a server that lives.
            _ => Self::Ours(program),
        }
    }
}

/// The live server of this cluster, whoever started it.
pub(super) fn running(pg: &Path) -> Option<(PidFile, PathBuf)> {
    let file = PidFile::read(pg)?;
    match Process::of(file.pid, pg) {
        Process::Ours(program) => Some((file, program)),
        Process::Other | Process::Gone => None,
    }
}

/// Sends `INT` (finish now, in order) or `QUIT` (drop everything, recover at the next start).
pub(super) fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: slim images lack the program, and a system call would take `unsafe`.
    let sent = Command::new("/bin/sh").arg("-c").arg(format!("kill -s {name} {pid}")).output();
    if let Err(error) = sent {
        tracing::warn!(%error, pid, "could not signal Postgres");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_tells_process_and_socket() {
        let text = "417\n/d/pg\n1763780000\n5432\n/d/run\n\n  9289 3\nready   \n";
        assert_eq!(
            parse(text),
            Some(PidFile { pid: 417, endpoint: Some(Endpoint::Socket("/d/run".into(), 5432)) })
        );
    }

    #[test]
    fn a_pid_file_tells_the_port_where_there_is_no_socket() {
        let text = "417\n/d/pg\n1763780000\n40123\n\n127.0.0.1\n  9289 3\nready   \n";
        assert_eq!(parse(text), Some(PidFile { pid: 417, endpoint: Some(Endpoint::Tcp(40123)) }));
    }

    #[test]
    fn an_unfinished_pid_file_tells_the_process_only() {
        assert_eq!(parse("417\n/d/pg\n1763780000\n5432\n"), Some(PidFile { pid: 417, endpoint: None }));
        assert_eq!(parse(""), None);
        assert_eq!(parse("-417\n/d/pg\n"), None);
    }

    #[test]
    fn a_process_is_ours_only_as_a_postgres_of_this_cluster() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Process::recognise(&words, Path::new("/nowhere/pg"))
        };
        assert_eq!(of(&["/b/postgres", "-D", "/nowhere/pg"]), Process::Ours("/b/postgres".into()));
        assert_eq!(of(&["/b/postgres", "-D", "/elsewhere/pg"]), Process::Other);
        assert_eq!(of(&["/bin/sleep", "9"]), Process::Other);
        assert_eq!(of(&[""]), Process::Gone);
    }

    #[test]
    fn a_socket_address_may_not_exceed_what_the_system_accepts() {
        let longest = if cfg!(target_os = "linux") { 107 } else { 103 };
        let folder =
            |length: usize| PathBuf::from(format!("/{}", "x".repeat(length - 1 - "/.s.PGSQL.5432".len())));
        assert!(Endpoint::socket_fits(&folder(longest)));
        assert!(!Endpoint::socket_fits(&folder(longest + 1)));
    }

    #[test]
    fn a_url_carries_the_socket_folder_as_its_host() {
        let socket = Endpoint::Socket("/var/lib/on hand/run".into(), 5432);
        let expected = "postgres://onhand:ab@%2Fvar%2Flib%2Fon%20hand%2Frun:5432/shop?sslmode=disable";
        assert_eq!(socket.url("ab", "shop"), expected);
        assert_eq!(
            Endpoint::Tcp(4001).url("ab", "shop"),
            "postgres://onhand:ab@127.0.0.1:4001/shop?sslmode=disable"
        );
    }

    #[test]
    fn a_url_means_to_sqlx_what_the_options_say() {
        let socket = Endpoint::Socket("/var/lib/on hand/run".into(), 5432);
        let parsed: PgConnectOptions = socket.url("ab", "shop").parse().expect("a well-formed url");
        let options = socket.options("ab", "shop");
        assert_eq!(parsed.get_socket(), options.get_socket());
        assert_eq!(parsed.get_port(), options.get_port());
        assert_eq!(parsed.get_database(), options.get_database());
    }
}
