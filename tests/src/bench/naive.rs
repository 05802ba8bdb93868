//! The naive way over HTTP: a transaction a request that locks the row, checks, writes, commits.
//!
//! No keys, no chain, no reasons, no refusals worth the name: only what keeps it from overselling. It stands for
//! the shops and services that do it like this, at their best.

use std::process::Stdio;

use anyhow::Context as _;
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use onhand_infrastructure::database::local::LocalPostgres;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Connection, PgPool, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use uuid::Uuid;

const DATABASE: &str = "bench_naive";

const SCHEMA: &str = "
    create table stock (sku text primary key, on_hand bigint not null, reserved bigint not null);
    create table events (
        position bigserial primary key, stream_id text, type text, payload jsonb, metadata jsonb,
        occurred_at timestamptz default now());
    create table outbox (
        id bigserial primary key, destination text, key text, payload jsonb, created_at timestamptz default now(),
        attempts int default 0);";

/// A running naive server.
pub(super) struct Naive {
    child: Child,
    /// `127.0.0.1:port`
    pub(super) address: String,
}

impl Naive {
    /// A fresh database with plenty of each SKU, and a server process on it.
    pub(super) async fn start(server: &LocalPostgres, skus: &[String]) -> anyhow::Result<Self> {
        super::fresh_database(server, DATABASE).await?;
        let mut conn = sqlx::PgConnection::connect_with(&server.connect_options(DATABASE)).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut conn).await?;
        sqlx::query("insert into stock select sku, 100000000, 0 from unnest($1::text[]) as s (sku)")
            .bind(skus)
            .execute(&mut conn)
            .await?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["naive", &server.url(DATABASE)])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let address = lines.next_line().await?.context("the naive server says where it listens")?;
        Ok(Self { child, address })
    }

    /// Ends the server.
    pub(super) async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

/// The server: `bench naive <url of the database>`.
pub(super) async fn serve(url: &str) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new().max_connections(32).test_before_acquire(false).connect(url).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let app = Router::new().route("/api/reservations", post(reserve)).with_state(pool);
    Ok(axum::serve(listener, app).await?)
}

#[derive(Deserialize)]
struct Ask {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: i64,
}

async fn reserve(State(pool): State<PgPool>, Json(ask): Json<Ask>) -> (StatusCode, Json<Value>) {
    match reserved(&pool, &ask).await {
        Ok(Some(id)) => (StatusCode::CREATED, Json(json!({ "reservation": id }))),
        Ok(None) => (StatusCode::CONFLICT, Json(json!({}))),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": error.to_string() }))),
    }
}

async fn reserved(pool: &PgPool, ask: &Ask) -> Result<Option<Uuid>, sqlx::Error> {
    let id = Uuid::now_v7();
    let mut tx = pool.begin().await?;
    for Line { sku, quantity } in &ask.lines {
        let (available,): (i64,) =
            sqlx::query_as("select on_hand - reserved from stock where sku = $1 for update")
                .bind(sku)
                .fetch_one(&mut *tx)
                .await?;
        if available < *quantity {
            return Ok(None);
        }
        let payload = json!({ "reservation": id, "sku": sku, "quantity": quantity });
        sqlx::query("update stock set reserved = reserved + $2 where sku = $1")
            .bind(sku)
            .bind(quantity)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "insert into events (stream_id, type, payload, metadata) values ($1, 'stock.reserved', $2, '{}')",
        )
        .bind(sku)
        .bind(&payload)
        .execute(&mut *tx)
        .await?;
        sqlx::query("insert into outbox (destination, key, payload) values ('shopify', $1, $2)")
            .bind(sku)
            .bind(&payload)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(Some(id))
}
