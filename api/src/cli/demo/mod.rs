//! x
/// x
#[derive(clap::Args)]
pub(super) struct Args {}
pub(super) async fn run(_args: Args) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("soon")
}
