//! A Postgres of the tests' own, brought up by the product's own mechanism, and a fresh database for each test.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use onhand_infrastructure::database::{
    self,
    local::{LocalPostgres, LocalSettings},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

static SERVER: OnceCell<Server> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

struct Server {
    admin: PgConnectOptions,
    template: String,
    /// Where its programs lie, if it is ours.
    programs: Option<PathBuf>,
}

impl Server {
    /// Runs one of the programs that come with Postgres.
    async fn run(&self, program: &str, args: &[&str]) {
        let beside = self.programs.as_ref().map(|folder| folder.join(program)).filter(|path| path.exists());
        let path = beside.unwrap_or_else(|| program.into());
        let output = tokio::process::Command::new(path).args(args).output().await;
        let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Where the tests' cluster lives and how it runs. It is thrown away at will, so it need not be durable.
pub fn settings(root: impl Into<PathBuf>) -> LocalSettings {
    LocalSettings {
        durable: false,
        extra: vec![("max_connections".into(), "400".into())],
        ..LocalSettings::at(root)
    }
}

/// A database of one test's own, with the schema in place.
#[derive(Debug, Clone)]
pub struct Database {
    /// How to connect to it, as its owner.
    pub options: PgConnectOptions,
    /// Its name.
    pub name: String,
}

impl Database {
    /// Makes one, as a copy of a template.
    pub async fn create() -> Self {
        let server = SERVER.get_or_init(start).await;
        Self::create_from(server, &format!("{} strategy file_copy", server.template)).await
    }

    /// Makes another one with what is in this one, by a file that `pg_dump` writes and `pg_restore` reads.
    pub async fn dumped_and_restored(&self) -> Self {
        let server = SERVER.get_or_init(start).await;
        let copy = Self::create_from(server, "template0").await;
        let file = std::env::temp_dir().join(format!("{}.dump", copy.name));
        let path = file.to_str().expect("the folder for temporary files has a plain name");
        server.run("pg_dump", &["--format", "custom", "--file", path, "--dbname", &self.plain_url()]).await;
        server.run("pg_restore", &["--exit-on-error", "--dbname", &copy.plain_url(), path]).await;
        std::fs::remove_file(&file).expect("a file of ours can be removed");
        copy
    }

    async fn create_from(server: &Server, template: &str) -> Self {
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect_with(&server.admin).await.expect("the server answers");
        let sql = format!("create database {name} template {template}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await.expect("a database is made");
        Self { options: server.admin.clone().database(&name), name }
    }

    /// The URL without parameters that only sqlx knows.
    fn plain_url(&self) -> String {
        self.url().split('?').next().unwrap_or_default().to_owned()
    }

    /// `postgres://…`, for a process.
    pub fn url(&self) -> String {
        use sqlx::ConnectOptions;
        self.options.to_url_lossy().to_string()
    }

    /// Lets nobody in any more, and cuts off those who are.
    pub async fn close(&self) {
        self.let_in(false).await;
        let mut admin = PgConnection::connect_with(&self.options.clone().database("postgres"))
            .await
            .expect("the server has another database");
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
            .bind(&self.name)
            .execute(&mut admin)
            .await
            .expect("a superuser may cut connections");
    }

    /// Lets everybody in again.
    pub async fn open(&self) {
        self.let_in(true).await;
    }

    async fn let_in(&self, whether: bool) {
        let mut admin = PgConnection::connect_with(&self.options.clone().database("postgres"))
            .await
            .expect("the server has another database");
        let sql = format!("alter database {} allow_connections {whether}", self.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await.expect("the owner may");
    }

    /// A connection as the owner of everything: what an intruder with the superuser's password has.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect_with(&self.options).await.expect("the server answers")
    }
}

/// `DATABASE_URL` names a server to use instead; its user must be able to make databases.
async fn start() -> Server {
    let (admin, programs): (PgConnectOptions, _) = match std::env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => (url.parse().expect("DATABASE_URL is a postgres URL"), None),
        _ => start_local().await,
    };
    let template = format!("template_{}", std::process::id());
    let mut conn = PgConnection::connect_with(&admin).await.expect("the server answers");
    drop_leftovers(&mut conn).await;
    let sql = format!("create database {template}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.expect("a database is made");
    let options = admin.clone().database(&template);
    database::migrate(&options).await.expect("the schema is made");
    let mut conn = PgConnection::connect_with(&options).await.expect("the server answers");
    sqlx::raw_sql(include_str!("checks.sql")).execute(&mut conn).await.expect("the tables are there");
    conn.close().await.expect("nobody may be there when it is copied");
    Server { admin, template, programs }
}

async fn start_local() -> (PgConnectOptions, Option<PathBuf>) {
    let user = std::env::var("USER").unwrap_or_else(|_| "nobody".into());
    let root = std::env::temp_dir().join(format!("onhand-tests-{user}"));
    let server = LocalPostgres::start(settings(&root)).await.expect("Postgres comes up");
    let (options, programs) = (server.connect_options("postgres"), server.info().bin_dir);
    // Held open, and so in use, until this process ends; then the warden stops the server.
    std::mem::forget(server);
    let warden = Command::new(crate::process::binary())
        .args(["stop-postgres-after", &std::process::id().to_string()])
        .arg(&root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    drop(warden);
    (options, Some(programs))
}

/// Databases of runs that are gone.
async fn drop_leftovers(conn: &mut PgConnection) {
    let names: Vec<(String,)> =
        sqlx::query_as("select datname from pg_database where datname ~ '^(test|template)_[0-9]+'")
            .fetch_all(&mut *conn)
            .await
            .expect("the catalogue can be read");
    for (name,) in names {
        let pid = name.split('_').nth(1).unwrap_or_default();
        if !std::path::Path::new("/proc").join(pid).exists() {
            let sql = format!("drop database if exists {name} with (force)");
            let _ = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *conn).await;
        }
    }
}
