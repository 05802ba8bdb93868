//! Makes the cluster: folders, password, `initdb`.
//! A cluster appears under its name only when complete, so an interrupted first run is repaired by the
//! second.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::LocalPostgresError;
use super::account::{Account, is_root};
use super::binaries::Binaries;
use super::settings::Layout;

/// The only account in the cluster, and its superuser.
pub(super) const SUPERUSER: &str = "onhand";

/// The data folder itself: private to an ordinary user, but root's must let the server's account pass.
pub(super) fn make_root(root: &Path) -> Result<(), LocalPostgresError> {
    if root.is_dir() {
        return Ok(());
    }
    let mode = if is_root() { 0o755 } else { 0o700 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(root)
        .map_err(LocalPostgresError::io("create", root))?;
    // Said twice, because the umask has a say in the first.
    fs::set_permissions(root, Permissions::from_mode(mode)).map_err(LocalPostgresError::io("open up", root))
}

/// A folder only the server's account may enter.
pub(super) fn make_private(folder: &Path, account: Option<&Account>) -> Result<(), LocalPostgresError> {
    if !folder.is_dir() {
        DirBuilder::new().mode(0o700).create(folder).map_err(LocalPostgresError::io("create", folder))?;
    }
    account.map_or(Ok(()), |account| account.own(folder))
}

/// The major version of the cluster, if there is one.
pub(super) fn major(pg: &Path) -> Option<u32> {
    fs::read_to_string(pg.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// The superuser's password.
pub(super) fn password(layout: &Layout) -> Result<String, LocalPostgresError> {
    match fs::read_to_string(&layout.password) {
        Ok(password) if !password.trim().is_empty() => Ok(password.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LocalPostgresError::io("read", &layout.password)(error))
        }
        _ => Err(LocalPostgresError::PasswordMissing(layout.password.clone())),
    }
}

/// Writes a file that only its owner can read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), LocalPostgresError> {
    let aside = path.with_extension("part");
    let write = || {
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(LocalPostgresError::io("write", path))
}

/// A server program in a clean environment: an inherited `PGPORT` or `PGDATA` would bend it.
pub(super) fn command(program: &str, binaries: &Binaries, account: Option<&Account>) -> Command {
    let mut command = Command::new(binaries.dir.join(program));
    let path = format!("{}:/usr/bin:/bin", binaries.dir.display());
    command.env_clear().env("PATH", path).env("LC_ALL", "C").env("TZ", "UTC");
    if let Some(account) = account {
        account.assume(&mut command);
    }
    command
}

/// Makes the cluster. `lock` is the lock this program holds meanwhile.
pub(super) async fn initialise(
    layout: &Layout,
    binaries: &Binaries,
    account: Option<&Account>,
    durable: bool,
    lock: &File,
) -> Result<(), LocalPostgresError> {
    let password = match password(layout) {
        Ok(left_by_an_interrupted_run) => left_by_an_interrupted_run,
        Err(_) => {
            let fresh = random_hex()?;
            write_private(&layout.password, &fresh)?;
            fresh
        }
    };
    let (fresh, pwfile) = (layout.root.join("pg.tmp"), layout.root.join("pg.tmp.pass"));
    // The server's account cannot read ours.
    write_private(&pwfile, &password)?;
    account.map_or(Ok(()), |account| account.own(&pwfile))?;
    let mut output = String::new();
    let mut made = false;
    // macOS and some old distributions have no C.UTF-8; C sorts the same way.
    for locale in ["C.UTF-8", "C"] {
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(LocalPostgresError::io("remove", &fresh))?;
        }
        make_private(&fresh, account)?;
        let mut initdb = command("initdb", binaries, account);
        initdb.current_dir(&fresh).arg("-D").arg(&fresh).args([
            "-U",
            SUPERUSER,
            "-E",
            "UTF8",
            "--data-checksums",
        ]);
        initdb.args(["--auth=scram-sha-256", "--no-instructions", &format!("--locale={locale}")]);
        initdb.arg(format!("--pwfile={}", pwfile.display())).args((!durable).then_some("--no-sync"));
        // As long as an initdb runs, it keeps our lock through this descriptor, even when we are killed:
        // nobody else then begins beside it.
        initdb.stdin(lock.try_clone().map_err(LocalPostgresError::io("share", &layout.lock))?);
        initdb.stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended: Output = tokio::process::Command::from(initdb)
            .output()
            .await
            .map_err(LocalPostgresError::io("run", binaries.dir.join("initdb")))?;
        made = ended.status.success();
        output = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
        if made || !output.contains("locale") {
            break;
        }
    }
    let _ = fs::remove_file(&pwfile);
    if !made {
        return Err(LocalPostgresError::Initdb(output));
    }
    fs::rename(&fresh, &layout.pg).map_err(LocalPostgresError::io("put in place", &layout.pg))?;
    let folder = File::open(&layout.root).and_then(|root| root.sync_all());
    folder.map_err(LocalPostgresError::io("sync", &layout.root))
}

/// 32 random bytes.
fn random_hex() -> Result<String, LocalPostgresError> {
    let mut bytes = [0_u8; 32];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(LocalPostgresError::io("read", "/dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
