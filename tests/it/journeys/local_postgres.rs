//! A Postgres of our own: whoever uses it notices that it has died, and nobody takes it away from them.

use onhand_infrastructure::database::local::{self, LocalPostgres, LocalPostgresError};
use onhand_tests::postgres::settings;

#[tokio::test]
async fn a_server_that_has_died_is_missed_and_one_that_is_used_is_not_removed() {
    let root = std::env::temp_dir().join(format!("onhand-local-{}", std::process::id()));
    let settings = settings(&root);
    let server = LocalPostgres::start(settings.clone()).await.expect("Postgres comes up");
    let refused = local::reset(&settings).await;
    assert!(matches!(refused, Err(LocalPostgresError::InUse(_))), "{refused:?}");

    let kill = format!("kill -KILL {}", server.info().pid);
    let killed =
        tokio::process::Command::new("sh").args(["-c", &kill]).status().await.expect("there is a shell");
    assert!(killed.success(), "{kill}");
    server.gone().await;
    server.stop().await.expect("there is nothing left to stop");

    assert!(local::reset(&settings).await.expect("nobody uses it"), "there was a cluster");
    assert!(!local::reset(&settings).await.expect("nobody uses it"), "it is gone");
    std::fs::remove_dir_all(root).expect("a folder of ours can be removed");
}
