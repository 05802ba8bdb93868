//! Proof: whatever is done to history behind the program's back is found, by the walk or by what was signed before.

use chrono::TimeDelta;
use onhand_infrastructure::{
    ledger::{
        Context, Entry, Head,
        proof::{SignedCheckpoint, Verdict, Verification},
        read,
    },
    operations::Caller,
};
use onhand_tests::World;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A world with some twenty entries.
pub(super) async fn with_history() -> World {
    let world = World::new().await;
    world.stocked(&[("A", 5), ("B", 5), ("C", 5), ("D", 5), ("E", 5), ("F", 5)]).await;
    world.expect_intact().await;
    world
}

/// What only a superuser can do: change history behind the triggers' back.
pub(super) async fn tamper(world: &World, statements: &[String]) {
    let mut owner = world.database.owner().await;
    let first = "set session_replication_role = replica".to_owned();
    for sql in std::iter::once(&first).chain(statements) {
        sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
            .execute(&mut owner)
            .await
            .unwrap_or_else(|error| panic!("a superuser may do anything: {sql}: {error}"));
    }
}

pub(super) async fn entries(world: &World, after: i64) -> Vec<Entry> {
    let mut conn = world.onhand.pool().acquire().await.expect("a connection");
    read::after(&mut conn, world.tenant, after, 100_000).await.expect("history can be read")
}

pub(super) async fn head(world: &World) -> Head {
    let mut conn = world.onhand.pool().acquire().await.expect("a connection");
    Head::read(&mut conn, world.tenant).await.expect("the tenant has a ledger")
}

/// Rewrites history from a position on as somebody would who knows how it is hashed: one entry is changed, and it and all
/// that follow get new hashes, the head as well.
pub(super) async fn rewrite(world: &World, from: i64, change: impl Fn(&mut Entry)) {
    let mut following = entries(world, from - 2).await.into_iter();
    let mut before = following.next().expect("the entry before").hash;
    let mut owner = world.database.owner().await;
    sqlx::query("set session_replication_role = replica").execute(&mut owner).await.expect("a superuser may");
    for mut entry in following {
        if entry.position == from {
            change(&mut entry);
        }
        let hash = entry.chained(world.tenant, &before).to_vec();
        sqlx::query(
            "update events set payload = $3, recorded_at = $4, hash = $5 where tenant_id = $1 and position = $2",
        )
        .bind(world.tenant.0)
        .bind(entry.position)
        .bind(&entry.payload)
        .bind(entry.recorded_at)
        .bind(&hash)
        .execute(&mut owner)
        .await
        .expect("a superuser may do anything");
        before = hash;
    }
    sqlx::query("update ledger_heads set hash = $2 where tenant_id = $1")
        .bind(world.tenant.0)
        .bind(&before)
        .execute(&mut owner)
        .await
        .expect("a superuser may do anything");
}

pub(super) fn another_payload(entry: &mut Entry) {
    entry.payload.push(' ');
}

pub(super) async fn verify(world: &World, verification: Verification<'_>) -> Verdict {
    verification.run(world.onhand.pool(), world.tenant, |_, _| {}).await.expect("the ledger can be walked")
}

async fn verify_cut(world: &World, stretch_height: u32) -> Verdict {
    verify(world, Verification { stretch_height, ..Verification::default() }).await
}

pub(super) async fn verify_against(world: &World, against: &[SignedCheckpoint]) -> Verdict {
    verify(world, Verification { against, ..Verification::default() }).await
}

pub(super) fn position_of(verdict: &Verdict) -> Option<i64> {
    match verdict {
        Verdict::Broken { position, .. } => Some(*position),
        Verdict::Intact { .. } => None,
    }
}

pub(super) async fn sign(world: &World) -> SignedCheckpoint {
    let caller = Caller::new(Context::internal(world.tenant, "test"));
    world.onhand.operations.sign_checkpoint(caller).await.expect("a ledger with entries can be signed for")
}

/// The root over hashes of entries, by the words of RFC 9162, section 2.1.1.
fn defined_root(hashes: &[Vec<u8>]) -> Vec<u8> {
    match hashes {
        [] => Sha256::digest(b"").to_vec(),
        [one] => Sha256::new().chain_update([0_u8]).chain_update(one).finalize().to_vec(),
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            let node = Sha256::new().chain_update([1_u8]).chain_update(defined_root(left));
            node.chain_update(defined_root(right)).finalize().to_vec()
        }
    }
}

#[tokio::test]
async fn the_verdict_is_the_same_however_the_ledger_is_cut_and_its_root_is_the_one_that_is_defined() {
    let world = with_history().await;
    let hashes: Vec<Vec<u8>> = entries(&world, 0).await.into_iter().map(|entry| entry.hash).collect();
    let expected = Verdict::Intact {
        entries: hashes.len() as i64,
        hash: hex::encode(hashes.last().expect("an entry")),
        root: hex::encode(defined_root(&hashes)),
        from: 1,
        tree_differed: None,
        seconds_ahead: None,
    };
    for height in [0, 1, 2, 3, 4, 5, 16] {
        assert_eq!(verify_cut(&world, height).await, expected, "stretches of 2^{height}");
    }
}

#[tokio::test]
async fn progress_ends_at_the_head_and_never_goes_back() {
    let world = with_history().await;
    let mut told = Vec::new();
    let verification = Verification { stretch_height: 1, ..Verification::default() };
    verification
        .run(world.onhand.pool(), world.tenant, |at, of| told.push((at, of)))
        .await
        .expect("the ledger can be walked");
    let end = head(&world).await.position;
    assert!(told.is_sorted() && told.iter().all(|(_, of)| *of == end), "{told:?}");
    assert_eq!(told.last(), Some(&(end, end)));
}

#[tokio::test]
async fn whatever_is_changed_is_found_where_it_was_changed_at_the_borders_of_stretches_too() {
    let world = with_history().await;
    tamper(&world, &["create table kept as table events".to_owned()]).await;
    let end = head(&world).await.position;
    assert!(end > 16, "{end}");
    for change in [
        "update events set payload = payload || ' '",
        "update events set metadata = replace(metadata, 'source', 'sauce')",
        "update events set recorded_at = recorded_at + interval '1 microsecond'",
        "update events set recorded_at = 'infinity'",
        "update events set event_id = gen_random_uuid()",
        "update events set stream = stream || 'x'",
        "update events set version = version + 1000",
        "update events set name = name || 'x'",
        "update events set name_version = name_version + 1",
        "update events set hash = sha256('x')",
        "delete from events",
    ] {
        for position in [1, 4, 5, 9, end] {
            tamper(&world, &[format!("{change} where position = {position}")]).await;
            for height in [2, 16] {
                let verdict = verify_cut(&world, height).await;
                assert_eq!(position_of(&verdict), Some(position), "{change} at {position}: {verdict:?}");
            }
            tamper(&world, &["delete from events".to_owned(), "insert into events table kept".to_owned()])
                .await;
        }
    }
    world.expect_intact().await;
}

#[tokio::test]
async fn an_entry_that_is_dated_before_the_one_before_it_is_found_even_if_every_hash_was_recomputed() {
    let world = with_history().await;
    rewrite(&world, 5, |entry| entry.recorded_at -= TimeDelta::days(1)).await;
    for height in [0, 2, 3, 16] {
        let verdict = verify_cut(&world, height).await;
        assert!(
            matches!(&verdict, Verdict::Broken { position: 5, why } if why.contains("dated")),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn an_entry_put_in_between_is_found() {
    let world = with_history().await;
    let statements = [
        "update events set position = -position - 1 where position >= 6",
        "update events set position = -position where position < 0",
        "insert into events select tenant_id, 6, gen_random_uuid(), stream, version + 100, name, name_version,
             recorded_at, payload, metadata, hash from events where position = 5",
        "update ledger_heads set position = position + 1",
    ];
    tamper(&world, &statements.map(str::to_owned)).await;
    for height in [0, 2, 16] {
        assert_eq!(position_of(&verify_cut(&world, height).await), Some(6));
    }
}

#[tokio::test]
async fn entries_exchanged_between_two_ledgers_are_found_in_both() {
    let world = with_history().await;
    let other = world.other_tenant().await;
    other.stocked(&[("Z", 1)]).await;
    let moved = |from: Uuid, to: Uuid| {
        format!("update events set tenant_id = '{to}' where tenant_id = '{from}' and position = 3")
    };
    let (one, two) = (world.tenant.0, other.tenant.0);
    tamper(&world, &[moved(one, Uuid::nil()), moved(two, one), moved(Uuid::nil(), two)]).await;
    assert_eq!(position_of(&world.verify().await), Some(3));
    assert_eq!(position_of(&other.verify().await), Some(3));
}

#[tokio::test]
async fn a_chain_rewritten_with_new_hashes_hangs_together_and_does_not_agree_with_a_checkpoint() {
    let world = with_history().await;
    let first = sign(&world).await;
    world.stocked(&[("G", 5), ("H", 5)]).await;
    let second = sign(&world).await;
    world.stocked(&[("I", 5)]).await;
    let both = [second.clone(), first.clone()];
    assert_eq!(position_of(&verify_against(&world, &both).await), None);

    // Behind what was signed for, nothing speaks for history but itself.
    let end = head(&world).await.position;
    rewrite(&world, second.position + 2, another_payload).await;
    assert_eq!(position_of(&verify_against(&world, &both).await), None);

    rewrite(&world, first.position + 1, another_payload).await;
    world.expect_intact().await;
    let verdict = verify_against(&world, &both).await;
    let since = format!("up to position {} it is what was signed", first.position);
    assert!(
        matches!(&verdict, Verdict::Broken { position, why }
            if *position == second.position && why.contains("rewritten after") && why.contains(&since)),
        "{verdict:?}"
    );

    rewrite(&world, 9, another_payload).await;
    world.expect_intact().await;
    for against in [&both[..], &both[..1], &both[1..]] {
        let oldest = against.iter().map(|it| it.position).min();
        assert_eq!(position_of(&verify_against(&world, against).await), oldest);
        let from = Some(&against[0]);
        let verdict =
            verify(&world, Verification { from, stretch_height: 2, ..Verification::default() }).await;
        assert_eq!(position_of(&verdict), Some(against[0].position));
    }
    assert_eq!(head(&world).await.position, end, "nothing was added or taken away");
}

#[tokio::test]
async fn an_end_that_was_cut_off_with_the_head_put_back_does_not_agree_with_a_checkpoint() {
    let world = with_history().await;
    let checkpoint = sign(&world).await;
    let left = checkpoint.position - 3;
    let statements = [
        format!("delete from events where position > {left}"),
        format!(
            "update ledger_heads set (position, hash) = (select position, hash from events where position = {left})"
        ),
    ];
    tamper(&world, &statements).await;
    world.expect_intact().await;
    let against = [checkpoint];
    for verification in [
        Verification { against: &against, ..Verification::default() },
        Verification { from: against.first(), ..Verification::default() },
    ] {
        let verdict = verify(&world, verification).await;
        assert!(
            matches!(&verdict, Verdict::Broken { position, why } if *position == left + 1 && why.contains("ends before")),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn a_verification_goes_on_from_a_trusted_checkpoint_and_comes_to_the_same() {
    let world = with_history().await;
    let trusted = sign(&world).await;
    world.stocked(&[("G", 5), ("H", 5)]).await;
    let from = Some(&trusted);
    let Verdict::Intact { entries, hash, root, .. } = world.verify().await else { panic!("it is intact") };
    for height in [0, 2, 3, 16] {
        let begin = (trusted.position - 1) >> height << height;
        let verdict =
            verify(&world, Verification { from, stretch_height: height, ..Verification::default() }).await;
        let expected = Verdict::Intact {
            entries,
            hash: hash.clone(),
            root: root.clone(),
            from: begin + 1,
            tree_differed: None,
            seconds_ahead: None,
        };
        assert_eq!(verdict, expected, "stretches of 2^{height}");
    }

    // What is behind it is walked as ever; of what is before it only the hashes are looked at.
    let resumed = Verification { from, stretch_height: 0, ..Verification::default() };
    tamper(&world, &["update events set payload = payload || ' ' where position = 4".to_owned()]).await;
    assert_eq!(position_of(&verify(&world, resumed).await), None);
    tamper(&world, &["update events set hash = sha256('x') where position = 4".to_owned()]).await;
    assert_eq!(position_of(&verify(&world, resumed).await), Some(trusted.position));
    let behind = trusted.position + 2;
    tamper(&world, &[format!("delete from events where position in (2, {behind})")]).await;
    assert_eq!(position_of(&verify(&world, resumed).await), Some(2), "one is missing before it, too");
}
