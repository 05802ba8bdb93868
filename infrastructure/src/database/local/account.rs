//! Who runs the server: the user of the program, or, for root, an account that Postgres accepts.
//! Postgres refuses root, and a container or a fresh server often has nobody else at the keyboard.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::LocalPostgresError;

/// A line of `/etc/passwd`; Postgres needs a name, so a bare number would not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to change to, or `None` when the program is not root and simply stays who it is.
    pub(super) fn for_server(
        run_as: Option<&str>,
        cluster: &Path,
    ) -> Result<Option<Self>, LocalPostgresError> {
        if !is_root() {
            return Ok(None);
        }
        let passwd =
            fs::read_to_string("/etc/passwd").map_err(LocalPostgresError::io("read", "/etc/passwd"))?;
        let accounts = parse(&passwd);
        // Postgres insists on owning its cluster, so one that exists has already decided.
        let owner = fs::metadata(cluster).ok().map(|cluster| cluster.uid()).filter(|uid| *uid != 0);
        if let Some(owner) = owner.and_then(|uid| accounts.iter().find(|account| account.uid == uid)) {
            return Ok(Some(owner.clone()));
        }
        let wanted = run_as.map_or(vec!["postgres", "nobody"], |name| vec![name]);
        let found = wanted.iter().find_map(|name| accounts.iter().find(|account| account.name == *name));
        match found {
            Some(account) if account.uid == 0 => Err(LocalPostgresError::RootAccount(account.name.clone())),
            Some(account) => Ok(Some(account.clone())),
            None => Err(LocalPostgresError::NoAccount(wanted.join(" or "))),
        }
    }

    /// Makes `command` run as this account, with none of root's groups.
    pub(super) fn assume(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or folder to this account.
    pub(super) fn own(&self, path: &Path) -> Result<(), LocalPostgresError> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(LocalPostgresError::io("change the owner of", path))
    }

    /// Fails with the first folder on the way to `target`, itself included, that this account may not enter.
    pub(super) fn reach(&self, target: &Path) -> Result<(), LocalPostgresError> {
        let real = fs::canonicalize(target).map_err(LocalPostgresError::io("find", target))?;
        let mut folders: Vec<&Path> = real.ancestors().collect();
        folders.reverse();
        for folder in folders {
            let found = fs::metadata(folder).map_err(LocalPostgresError::io("look at", folder))?;
            if !self.may_enter(found.mode(), found.uid(), found.gid()) {
                return Err(self.kept_out(folder, target));
            }
        }
        Ok(())
    }

    fn may_enter(&self, mode: u32, uid: u32, gid: u32) -> bool {
        let bit = if uid == self.uid {
            0o100
        } else if gid == self.gid {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }

    fn kept_out(&self, closed: &Path, target: &Path) -> LocalPostgresError {
        let (closed, target) = (PathBuf::from(closed), PathBuf::from(target));
        LocalPostgresError::Unreachable { account: self.name.clone(), closed, target }
    }
}

/// Whether this program runs as root.
pub(super) fn is_root() -> bool {
    // Without `unsafe` there is no `geteuid`; Linux shows the answer as a file's owner, others have `id`.
    match fs::metadata("/proc/self") {
        Ok(me) => me.uid() == 0,
        Err(_) => Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0"),
    }
}

fn parse(passwd: &str) -> Vec<Account> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Account { name, uid, gid })
    };
    passwd.lines().filter_map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd_and_broken_lines_are_passed_over() {
        let accounts = parse(
            "root:x:0:0:root:/root:/bin/sh\n# remark\n+::::::\npostgres:x:101:104:,,,:/var/lib:/bin/sh\n",
        );
        let postgres = Account { name: "postgres".into(), uid: 101, gid: 104 };
        assert_eq!(accounts.len(), 2);
        assert_eq!(accounts[1], postgres);
    }

    #[test]
    fn the_first_class_of_permissions_that_applies_decides_alone() {
        let postgres = Account { name: "postgres".into(), uid: 101, gid: 104 };
        assert!(postgres.may_enter(0o40755, 0, 0));
        assert!(!postgres.may_enter(0o40700, 0, 0));
        assert!(postgres.may_enter(0o40700, 101, 0));
        assert!(postgres.may_enter(0o40710, 0, 104));
        assert!(!postgres.may_enter(0o40707, 0, 104));
    }
}
