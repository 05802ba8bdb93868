//! What is kept of the tree over entries: it gives the same roots and paths as they do, is made again where it is missing,
//! told where it is wrong, and never believed.

use onhand_infrastructure::ledger::proof::{
    SignedCheckpoint, SigningKey, Verdict, Verification, prove, standing,
};
use onhand_tests::{World, process::onhand};
use serde_json::json;

use super::{
    proof::{position_of, sign, tamper, verify, verify_against, with_history},
    signed_checkpoints::public_key,
};

/// A world whose tree has nodes that are worth keeping.
async fn with_a_tree() -> World {
    let world = World::new().await;
    world.stocked(&[("A", 0)]).await;
    let row = json!({ "restock": { "sku": "A", "quantity": 1 } });
    world.admin.post("/api/stock/bulk", json!({ "rows": vec![row; 700] })).await.expect(200);
    world
}

async fn kept_nodes(world: &World) -> i64 {
    let (count,): (i64,) = sqlx::query_as("select count(*) from merkle_nodes")
        .fetch_one(world.onhand.pool())
        .await
        .expect("nodes can be counted");
    count
}

async fn spoil_tree(world: &World, sql: &'static str) {
    let spoilt = sqlx::query(sql).execute(world.onhand.pool()).await.expect("nodes can be spoilt");
    assert!(spoilt.rows_affected() > 0, "{sql} spoils something");
}

const SPOIL: &str = "update merkle_nodes set hash = sha256('x') where index = 0";

#[tokio::test]
async fn what_is_kept_of_the_tree_gives_the_same_root_and_paths_as_the_entries() {
    let world = with_a_tree().await;
    let checkpoint = sign(&world).await;
    assert_eq!(kept_nodes(&world).await, checkpoint.position / 256);
    assert_eq!(position_of(&verify_against(&world, std::slice::from_ref(&checkpoint)).await), None);
    let key = public_key(&world).await;
    for position in [1, 2, 255, 256, 257, 512, 513, checkpoint.position - 1, checkpoint.position] {
        let proof = prove(world.onhand.pool(), world.tenant, position, checkpoint.clone()).await;
        let proof = proof.expect("it is part of what was signed");
        assert_eq!((proof.check(Some(&key)), proof.entry.position), (Ok(()), position));
    }
    // From where the last one ends, and again from there.
    for sku in ["B", "C"] {
        world.stocked(&[(sku, 5)]).await;
        let next = sign(&world).await;
        assert_eq!(position_of(&verify_against(&world, &[checkpoint.clone(), next]).await), None);
    }
}

#[tokio::test]
async fn a_kept_node_that_is_wrong_is_told_left_as_it_is_and_never_mistaken_for_history() {
    let world = with_a_tree().await;
    let checkpoint = sign(&world).await;
    let Verdict::Intact { root, .. } = world.verify().await else { panic!("it is intact") };
    let differed = async |expected: Option<i64>| {
        let verdict = world.verify().await;
        let Verdict::Intact { root: found, tree_differed, .. } = &verdict else { panic!("{verdict:?}") };
        assert_eq!((found, tree_differed), (&root, &expected));
    };
    let prove_one = async || prove(world.onhand.pool(), world.tenant, 300, checkpoint.clone()).await;
    differed(None).await;

    spoil_tree(&world, SPOIL).await;
    let kept = kept_nodes(&world).await;
    differed(Some(1)).await;
    let unproven = prove_one().await.expect_err("it is not believed");
    assert!(unproven.to_string().contains("audit verify"), "{unproven}");
    let resumed = Verification { from: Some(&checkpoint), stretch_height: 8, ..Verification::default() };
    let verdict = verify(&world, resumed).await;
    assert!(matches!(verdict, Verdict::Intact { from: 513, tree_differed: Some(1), .. }), "{verdict:?}");
    let (code, said, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert!(code == 1 && said.contains("merkle_nodes"), "{said}{wrong}");
    differed(Some(1)).await;
    assert_eq!(kept_nodes(&world).await, kept, "what was found is still there to be looked at");

    for sql in ["delete from merkle_nodes", "delete from merkle_nodes where index = 0"] {
        spoil_tree(&world, sql).await;
        assert_eq!(prove_one().await.expect("it is part of what was signed").check(None), Ok(()));
        differed(None).await;
    }
    spoil_tree(&world, "insert into merkle_nodes select tenant_id, 1, 1000, hash from merkle_nodes limit 1")
        .await;
    differed(Some(256_001)).await;
}

#[tokio::test]
async fn nodes_that_are_missing_are_made_again_wherever_they_are_and_no_other_is_touched() {
    let world = with_history().await;
    // A tree of two levels takes more entries than a test may make: these have hashes that nobody looks into.
    let statements = [
        "insert into events select tenant_id, n, gen_random_uuid(), 'planted/' || n, 1, name, name_version, recorded_at,
             payload, metadata, sha256(n::text::bytea)
         from events, generate_series((select position + 1 from ledger_heads), 66000) n where position = 5",
        "update ledger_heads set (position, hash) = (select position, hash from events order by position desc limit 1)",
    ];
    tamper(&world, &statements.map(str::to_owned)).await;
    let standing = standing(world.onhand.pool(), world.tenant).await.expect("it can be read");
    let key = SigningKey::from_seed(&[7; 32]).expect("32 bytes");
    let checkpoint = key.sign(standing.expect("it has entries"), world.clock.now());
    let kept = kept_nodes(&world).await;
    assert_eq!(kept, 66_000 / 256 + 1);
    let prove_one = async || prove(world.onhand.pool(), world.tenant, 5, checkpoint.clone()).await;
    for lost in [
        "delete from merkle_nodes where level = 1 and index = 5", // below a node that is there
        "delete from merkle_nodes where level = 1 and index = 256", // at the edge
        "delete from merkle_nodes where level = 2",
        "delete from merkle_nodes",
    ] {
        spoil_tree(&world, lost).await;
        let proof = prove_one().await.unwrap_or_else(|error| panic!("{lost}: {error}"));
        assert_eq!((proof.check(None), kept_nodes(&world).await), (Ok(()), kept), "{lost}");
    }

    // What somebody was at stays as it is, whatever else is missing.
    let altered = "update merkle_nodes set hash = sha256('x') where level = 1 and index = 7";
    for sql in [altered, "delete from merkle_nodes where level = 2"] {
        spoil_tree(&world, sql).await;
    }
    let unproven = prove_one().await.expect_err("the altered node is on its way");
    assert!(unproven.to_string().contains("audit verify"), "{unproven}");
    let (still,): (bool,) =
        sqlx::query_as("select hash = sha256('x') from merkle_nodes where level = 1 and index = 7")
            .fetch_one(world.onhand.pool())
            .await
            .expect("it is there");
    assert!(still && kept_nodes(&world).await == kept);
}

#[tokio::test]
async fn what_is_signed_never_rests_on_what_is_kept_of_the_tree() {
    let world = with_a_tree().await;
    sign(&world).await;
    spoil_tree(&world, SPOIL).await;
    let checkpoint = sign(&world).await;
    assert_eq!(position_of(&verify_against(&world, std::slice::from_ref(&checkpoint)).await), None);

    // As an earlier program may have signed it: that is told apart from history that was rewritten.
    let signed_wrong = SignedCheckpoint { root: "ab".repeat(32), ..checkpoint };
    let why = async |verification: Verification<'_>| match verify(&world, verification).await {
        Verdict::Broken { position, why } if position == signed_wrong.position => why,
        verdict => panic!("{verdict:?}"),
    };
    let against = [signed_wrong.clone()];
    let whole = why(Verification { against: &against, ..Verification::default() }).await;
    assert!(whole.contains("wrong when it was signed") && !whole.contains("altered"), "{whole}");
    let from = Some(&signed_wrong);
    let part = why(Verification { from, stretch_height: 8, ..Verification::default() }).await;
    assert!(part.contains("up to position 512 was altered, or"), "{part}");
}

#[tokio::test]
async fn a_hash_altered_before_a_trusted_checkpoint_is_found_whatever_is_kept_of_the_tree() {
    let world = with_a_tree().await;
    let trusted = sign(&world).await;
    let resumed = Verification { from: Some(&trusted), stretch_height: 8, ..Verification::default() };
    let verdict = verify(&world, resumed).await;
    assert!(matches!(verdict, Verdict::Intact { from: 513, .. }), "{verdict:?}");
    tamper(&world, &["update events set hash = sha256('x') where position = 100".to_owned()]).await;
    assert_eq!(position_of(&verify(&world, resumed).await), Some(trusted.position));
    tamper(&world, &["delete from events where position = 100".to_owned()]).await;
    assert_eq!(position_of(&verify(&world, resumed).await), Some(100));
}
