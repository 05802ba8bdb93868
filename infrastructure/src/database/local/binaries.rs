//! Finds the server binaries that are already on the machine.
//! Distributions keep them off the `PATH`, each in a place of its own, often several versions side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::{LocalPostgresError, LocalSettings};

/// The oldest major version the schema is written for.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// One folder with a server in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    /// As the server says it, such as `15.18`.
    pub(super) version: String,
    pub(super) major: u32,
    /// How it was found, for people.
    pub(super) found: String,
}

/// Parent folder, start of the name of its children, what follows them, how to call the place.
const PLACES: [(&str, &str, &str, &str); 7] = [
    ("/usr/lib/postgresql", "", "bin", "in Debian's place"),
    ("/usr", "pgsql-", "bin", "in PGDG's place"),
    ("/usr/libexec", "postgresql", "", "in Alpine's place"),
    ("/usr/libexec", "postgresql", "bin", "in Alpine's place"),
    ("/opt/homebrew/opt", "postgresql", "bin", "from Homebrew"),
    ("/usr/local/opt", "postgresql", "bin", "from Homebrew"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin", "from Postgres.app"),
];

/// The best binaries on this machine, for a cluster of version `major` if there is one already.
pub(super) fn installed(
    settings: &LocalSettings,
    downloads: &Path,
    major: Option<u32>,
    account: Option<&Account>,
) -> Result<Option<Binaries>, LocalPostgresError> {
    if let Some(dir) = &settings.bin_dir {
        let unfit = |why: String| LocalPostgresError::BinDir { folder: dir.clone(), why };
        let dir = std::path::absolute(dir).map_err(LocalPostgresError::io("find", dir))?;
        let named = inspect(&dir, "as named").ok_or_else(|| unfit("initdb or postgres is missing".into()))?;
        account.map_or(Ok(()), |account| account.reach(&dir))?;
        let why = format!("it is {}, needed is {}", named.version, wanted(major));
        return choose(&[named], major).map(Some).ok_or_else(|| unfit(why));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| (dir, "on PATH"));
    let in_places = PLACES.iter().flat_map(|(parent, start, end, place)| {
        children(Path::new(parent), start).into_iter().map(move |child| (child.join(end), *place))
    });
    let downloaded = children(downloads, "").into_iter().map(|child| (child.join("bin"), "downloaded"));
    let reachable = |dir: &Path| account.is_none_or(|account| account.reach(dir).is_ok());
    let candidates: Vec<Binaries> = on_path
        .chain(in_places)
        .chain(downloaded)
        .filter(|(dir, _)| holds_server(dir) && reachable(dir))
        .filter_map(|(dir, place)| inspect(&dir, place))
        .collect();
    Ok(choose(&candidates, major))
}

/// The highest major version that is fit; among equals the first.
fn choose(candidates: &[Binaries], major: Option<u32>) -> Option<Binaries> {
    let fit = |one: &&Binaries| one.major >= OLDEST_MAJOR && major.is_none_or(|major| one.major == major);
    candidates.iter().rev().filter(fit).max_by_key(|one| one.major).cloned()
}

/// What would do, in words.
pub(super) fn wanted(major: Option<u32>) -> String {
    major.map_or_else(
        || format!("{OLDEST_MAJOR} or newer"),
        |major| format!("{major} (the version of the data)"),
    )
}

/// The binaries in `dir`, if they are there and run.
pub(super) fn inspect(dir: &Path, found: &str) -> Option<Binaries> {
    if !holds_server(dir) {
        return None;
    }
    let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    let (version, major) = parse_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { dir: dir.to_owned(), version, major, found: found.to_owned() })
}

fn holds_server(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}

fn parse_version(line: &str) -> Option<(String, u32)> {
    let version = line.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    let major = version.split(|digit: char| !digit.is_ascii_digit()).next()?.parse().ok()?;
    Some((version.to_owned(), major))
}

fn children(parent: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start));
    named.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(major: u32, found: &str) -> Binaries {
        Binaries {
            dir: format!("/{major}/bin").into(),
            version: format!("{major}.1"),
            major,
            found: found.into(),
        }
    }

    #[test]
    fn the_highest_version_is_chosen_and_the_first_among_equals() {
        let list = [binaries(15, "a"), binaries(17, "b"), binaries(17, "c"), binaries(16, "d")];
        assert_eq!(choose(&list, None), Some(binaries(17, "b")));
    }

    #[test]
    fn a_cluster_accepts_its_own_version_only() {
        let list = [binaries(15, "a"), binaries(17, "b")];
        assert_eq!(choose(&list, Some(15)), Some(binaries(15, "a")));
        assert_eq!(choose(&list, Some(16)), None);
    }

    #[test]
    fn servers_older_than_the_schema_are_passed_over() {
        assert_eq!(choose(&[binaries(14, "a")], None), None);
    }

    #[test]
    fn versions_are_read_as_distributions_print_them() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(debian), Some(("15.18".into(), 15)));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta2\n"), Some(("19beta2".into(), 19)));
        assert_eq!(parse_version("zsh: command not found"), None);
    }
}
