//! Snapshots that are written after the fact.

use onhand_infrastructure::ledger::write_missing_snapshots;
use onhand_tests::World;

#[tokio::test]
async fn a_stream_whose_state_grows_with_every_entry_gets_its_snapshot_and_is_not_read_again() {
    let world = World::new().await;
    let skus: Vec<String> = (0..700).map(|n| format!("S-{n}")).collect();
    let variants: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 0)).collect();
    world.stocked(&variants).await;
    let (pool, tenant) = (world.onhand.pool(), world.tenant);
    assert_eq!(write_missing_snapshots(pool, tenant).await.expect("snapshots are written"), 1);
    assert_eq!(write_missing_snapshots(pool, tenant).await.expect("they are looked for"), 0);
}
