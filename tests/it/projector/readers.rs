use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use onhand_projector::{OnDifference, checkpoint::Checkpoint};
use onhand_tests::World;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::Dice;

const SKUS: usize = 12;
const PRODUCTS: i64 = 6;

/// Reads both tables again and again, each time with one statement. Gives how often that was.
async fn read_on(pool: PgPool, over: Arc<AtomicBool>) -> u64 {
    let mut newest: HashMap<Uuid, i64> = HashMap::new();
    let mut reads = 0;
    while !over.load(Ordering::Relaxed) {
        let levels: Vec<(Uuid, i64, Option<i64>)> =
            sqlx::query_as("select variant_id, position, low_stock_threshold from stock_levels")
                .fetch_all(&pool)
                .await
                .expect("levels can be read");
        assert_eq!(levels.len(), SKUS, "a row is missing");
        let spoilt = levels.iter().filter(|(_, _, threshold)| threshold.is_some()).count();
        assert!(spoilt == 0 || spoilt == SKUS, "{spoilt} rows were exchanged, and the others not yet");
        for (variant, position, _) in levels {
            let before = newest.insert(variant, position).unwrap_or_default();
            assert!(before <= position, "what was at {before} is at {position} again");
        }
        let (products, spoilt): (i64, i64) =
            sqlx::query_as("select count(*), count(*) filter (where vendor = 'spoilt') from products")
                .fetch_one(&pool)
                .await
                .expect("products can be read");
        assert_eq!(products, PRODUCTS, "a product is missing");
        assert!(
            spoilt == 0 || spoilt == PRODUCTS,
            "{spoilt} products were exchanged, and the others not yet"
        );
        reads += 1;
    }
    reads
}

const WRITERS: u64 = 6;
/// Entries that are written while readers look, at least.
const WRITTEN: u64 = 300;

/// Moves stock until it is over. Counts what it has written.
async fn write_on(world: Arc<World>, seed: u64, over: Arc<AtomicBool>, written: Arc<AtomicU64>) {
    let mut dice = Dice(seed);
    while !over.load(Ordering::Relaxed) {
        let sku = format!("SKU-{}", dice.roll(SKUS as u64));
        let restock = json!({ "sku": sku, "quantity": 1 + dice.roll(3) });
        world.admin.post("/api/stock/restock", restock).await.expect(200);
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Spoils every level and every product, each at once, without touching what readers go by.
async fn spoil(world: &World) {
    let mut tx = world.onhand.pool().begin().await.expect("a transaction");
    // A stretch under way would write some of them once more as they were.
    Checkpoint::hold(&mut tx, world.tenant, "stock_levels").await.expect("it is free in a moment");
    for sql in ["update stock_levels set low_stock_threshold = 4711", "update products set vendor = 'spoilt'"]
    {
        sqlx::query(sql).execute(&mut *tx).await.expect("a read model may be changed");
    }
    tx.commit().await.expect("they are spoilt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_find_every_row_and_none_from_before_while_rows_are_rebuilt_and_replaced() {
    let world = Arc::new(World::new().await);
    let skus: Vec<String> = (0..SKUS).map(|n| format!("SKU-{n}")).collect();
    for pair in skus.chunks(SKUS / PRODUCTS as usize) {
        let stock: Vec<(&str, i64)> = pair.iter().map(|sku| (sku.as_str(), 10)).collect();
        world.stocked(&stock).await;
    }
    world.project().await;
    let _following = world.projecting();
    let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|seed| tokio::spawn(write_on(Arc::clone(&world), seed, Arc::clone(&over), Arc::clone(&written))))
        .collect();
    let readers: Vec<_> =
        (0..2).map(|_| tokio::spawn(read_on(world.onhand.pool().clone(), Arc::clone(&over)))).collect();

    let mut rounds = 0;
    while rounds < 5 || written.load(Ordering::Relaxed) < WRITTEN {
        rounds += 1;
        let before = written.load(Ordering::Relaxed);
        spoil(&world).await;
        let rebuilt = world.rebuild("stock_levels", OnDifference::Replace).await;
        assert_eq!((rebuilt.differences, rebuilt.replaced), (SKUS as u64, true), "{:?}", rebuilt.sample);
        let rebuilt = world.rebuild("products", OnDifference::Replace).await;
        assert_eq!((rebuilt.differences, rebuilt.replaced), (PRODUCTS as u64, true), "{:?}", rebuilt.sample);
        assert!(written.load(Ordering::Relaxed) > before, "writers go on meanwhile");
    }

    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("every write goes through");
    }
    for reader in readers {
        assert!(reader.await.expect("readers find what they look for") > 10);
    }
    world.expect_rebuilt_equals_live().await;
}
