//! Convergence in full size: what it costs until five platforms that fail show what the ledger says.

use onhand_infrastructure::database::{self, local::LocalPostgres};

use crate::{
    Database, World,
    convergence::{self, ATTEMPTS_MAX, Size},
};

const DATABASE: &str = "bench_convergence";

/// Runs it in a fresh database, and prints what it took. It panics where something is not as it has to be.
pub(super) async fn run(server: &LocalPostgres) -> anyhow::Result<()> {
    super::fresh_database(server, DATABASE).await?;
    let options = server.connect_options(DATABASE);
    database::migrate(&options).await?;
    let world = World::on(Database { options, name: DATABASE.to_owned() }).await;
    let size = Size::FULL;
    println!("{} listings, {} changes in {} rounds\n", size.listings, size.changes, size.rounds);
    let took = convergence::run(&world, size).await;
    for (platform, calls) in &took.calls {
        println!("  {:<12} {calls:>7} calls", platform.name());
    }
    println!(
        "\n{} attempts for {} figures that had changed, each round for itself: {:.3} (at most {ATTEMPTS_MAX}), {:.1} s",
        took.attempts,
        took.changed,
        took.ratio(),
        took.time.as_secs_f64(),
    );
    Ok(())
}
