//! Ledgers as a whole: what is amiss around the entries, where no walk along them comes by, and whose they are.

use onhand_infrastructure::{
    database,
    ledger::proof::{self, Verdict},
};
use onhand_tests::process::onhand;
use uuid::Uuid;

use super::proof::{head, position_of, sign, tamper, verify_against, with_history};

#[tokio::test]
async fn an_entry_put_before_the_first_one_is_found() {
    let world = with_history().await;
    let checkpoint = sign(&world).await;
    for position in [0, -7] {
        let statements = [
            format!(
                "insert into events select tenant_id, {position}, gen_random_uuid(), stream, version + 100 - {position},
                     name, name_version, recorded_at, payload, metadata, hash from events where position = 5"
            ),
        ];
        tamper(&world, &statements).await;
        assert_eq!(position_of(&world.verify().await), Some(position));
        assert_eq!(
            position_of(&verify_against(&world, std::slice::from_ref(&checkpoint)).await),
            Some(position)
        );
        tamper(&world, &["delete from events where position < 1".to_owned()]).await;
        world.expect_intact().await;
    }
}

#[tokio::test]
async fn a_verification_writes_nothing() {
    let world = with_history().await;
    sign(&world).await;
    let options = world.database.options.clone().options([("default_transaction_read_only", "on")]);
    let pool = database::pool(&options, 4).await.expect("the database answers");
    let refused = sqlx::query("delete from merkle_nodes").execute(&pool).await;
    assert!(refused.is_err(), "nobody can write there");
    let verdict = proof::verify(&pool, world.tenant, |_, _| {}).await.expect("the ledger can be walked");
    assert_eq!(position_of(&verdict), None, "{verdict:?}");
}

#[tokio::test]
async fn a_verification_takes_as_long_as_it_takes() {
    let world = with_history().await;
    // Whoever reads against the clock finds no entries.
    let statements = [
        "alter table events enable row level security",
        "create policy unhurried on events using (current_setting('statement_timeout') = '0')",
    ];
    tamper(&world, &statements.map(str::to_owned)).await;
    assert_eq!(world.history().await, Vec::<String>::new(), "other statements have their time");
    let verdict = world.verify().await;
    let Verdict::Intact { entries, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(entries, head(&world).await.position);
}

#[tokio::test]
async fn a_head_that_is_dated_otherwise_than_history_allows_is_found() {
    let world = with_history().await;
    let recorded = head(&world).await;
    let dated = async |time: &str| {
        tamper(&world, &[format!("update ledger_heads set recorded_at = {time}")]).await;
        world.verify().await
    };
    for (time, why) in [
        ("(select max(recorded_at) from events) - interval '1 microsecond'", "before the last entry"),
        ("'-infinity'", "none that a calendar has"),
        ("'infinity'", "none that a calendar has"),
    ] {
        let verdict = dated(time).await;
        assert!(
            matches!(&verdict, Verdict::Broken { position, why: said } if *position == recorded.position && said.contains(why)),
            "{time}: {verdict:?}"
        );
        dated("(select max(recorded_at) from events)").await;
        world.expect_intact().await;
    }

    // What comes next would be dated so as well; no entry is wrong yet.
    let verdict = dated("now() + interval '1 day'").await;
    assert!(matches!(verdict, Verdict::Intact { seconds_ahead: Some(86_000..=86_400), .. }), "{verdict:?}");
    let (code, said, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert!(code == 0 && said.contains("ahead of the database's clock"), "{said}{wrong}");
    let verdict = dated("now() + interval '1 minute'").await;
    assert!(matches!(verdict, Verdict::Intact { seconds_ahead: None, .. }), "{verdict:?}");
}

#[tokio::test]
async fn ledgers_without_a_head_or_without_a_tenant_are_told_and_keep_no_other_from_being_looked_at() {
    let world = with_history().await;
    let other = world.other_tenant().await;
    other.stocked(&[("Z", 1)]).await;
    let unheard = Uuid::from_u128(7);
    let statements = [
        format!("delete from ledger_heads where tenant_id = '{}'", world.tenant),
        format!("delete from tenants where id = '{}'", other.tenant),
        format!(
            "insert into events select '{unheard}', position, event_id, stream, version, name, name_version, recorded_at,
                 payload, metadata, hash from events where tenant_id = '{}' and position = 1",
            world.tenant
        ),
    ];
    tamper(&world, &statements).await;
    assert_eq!(position_of(&world.verify().await), Some(world.history().await.len() as i64));
    let (code, said, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert_eq!(code, 1, "{said}{wrong}");
    let line = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(line("acme: ").contains("BROKEN") && line("acme: ").contains("is missing"), "{said}");
    assert!(line(&format!("ledger {}: ", other.tenant)).contains("intact"), "{said}");
    assert!(line(&format!("ledger {unheard}: ")).contains("BROKEN"), "{said}");
    assert_eq!(said.matches("its row in the table tenants is missing").count(), 2, "{said}");

    // A ledger that holds and that nobody owns is not passed over either.
    tamper(
        &world,
        &[
            "delete from events where tenant_id <> (select tenant_id from ledger_heads)".to_owned(),
            "delete from tenants".to_owned(),
        ],
    )
    .await;
    let (code, said, wrong) = onhand(&world, &["audit", "verify"]).await;
    assert!(code == 1 && said.contains("intact") && !said.contains("BROKEN"), "{said}{wrong}");
}

#[tokio::test]
async fn names_exchanged_between_ledgers_are_told() {
    let world = with_history().await;
    let other = world.other_tenant().await;
    other.stocked(&[("Z", 1)]).await;
    let file = std::env::temp_dir().join(format!("onhand-names-{}.json", Uuid::now_v7()));
    let checkpoint = serde_json::to_string(&sign(&world).await).expect("JSON");
    std::fs::write(&file, checkpoint).expect("a file is written");
    let against = ["audit", "verify", "--against", file.to_str().expect("a plain name")];
    let (code, said, wrong) = onhand(&world, &against).await;
    assert!(code == 0 && !said.contains("exchanged"), "{said}{wrong}");
    let renamed = |from: &str, to: &str| format!("update tenants set name = '{to}' where name = '{from}'");
    tamper(&world, &[renamed("acme", "x"), renamed("other", "acme"), renamed("x", "other")]).await;
    let (code, said, wrong) = onhand(&world, &against).await;
    std::fs::remove_file(&file).expect("a file of ours can be removed");
    assert!(
        code == 0 && said.contains(r#"it is called "other" here, and "acme" in the checkpoint"#),
        "{said}{wrong}"
    );
}
