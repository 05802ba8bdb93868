//! Connections, with or without what it takes to speak to them.

use onhand_domain::{
    connection::{ConnectionDetails, Platform, SyncRules},
    values::{ConnectionId, Currency, ExternalId, InvalidValue, LocationCode, Market, TenantId},
};
use serde::Serialize;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

use super::{Page, QueryError, Window};
use crate::ledger::SealedSecret;

/// What secrets of a connection are called.
pub const SECRET_NAMES: [&str; 5] =
    ["webhook_secret", "previous_webhook_secret", "access_token", "refresh_token", "app_secret"];

/// The most connections one unaddressed webhook is tried against.
const CANDIDATES_MAX: i64 = 64;

/// A connection with its sealed secrets.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: ConnectionId,
    /// What it is.
    pub details: ConnectionDetails,
    /// What may flow.
    pub rules: SyncRules,
    /// Whether it is switched on.
    pub enabled: bool,
    secrets: Vec<SealedSecret>,
}

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedSecret")
            .field("name", &self.name)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Connected {
    /// One of its secrets, sealed.
    pub fn secret(&self, name: &str) -> Option<&SealedSecret> {
        self.secrets.iter().find(|secret| secret.name == name)
    }
}

/// A connection as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ConnectionView {
    pub id: Uuid,
    pub platform: String,
    pub name: String,
    pub brand: String,
    pub account: Option<String>,
    pub app: Option<String>,
    pub endpoint: Option<String>,
    pub platform_location: Option<String>,
    pub location: String,
    pub market: String,
    pub currency: String,
    pub enabled: bool,
    pub paused: bool,
    pub rules: Json<SyncRules>,
}

#[derive(FromRow)]
struct ConnectedRow {
    tenant_id: Uuid,
    #[sqlx(flatten)]
    view: ConnectionView,
    secret_name: Option<String>,
    key_id: Option<String>,
    nonce: Option<Vec<u8>>,
    sealed: Option<Vec<u8>>,
}

const CONNECTED: &str = "select c.tenant_id, c.id, c.platform, c.name, c.brand, c.account, c.app, c.endpoint, \
     c.platform_location, c.location, c.market, c.currency, c.enabled, c.paused, c.rules, \
     s.name as secret_name, s.key_id, s.nonce, s.sealed \
     from connections c \
     left join connection_secrets s on s.tenant_id = c.tenant_id and s.connection_id = c.id";

/// A connection by its id alone, as a webhook's path names it.
pub async fn connected(pool: &PgPool, id: ConnectionId) -> Result<Option<Connected>, sqlx::Error> {
    let sql = format!("{CONNECTED} where c.id = $1"); // connections_id_idx
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_all(pool).await?;
    Ok(gather(rows)?.pop())
}

/// A tenant's connections to a platform whose accounts are these, in large letters or small.
pub async fn connected_accounts(
    pool: &PgPool,
    tenant: TenantId,
    platform: Platform,
    accounts: &[String],
) -> Result<Vec<Connected>, sqlx::Error> {
    let sql = format!(
        "{CONNECTED} where c.tenant_id = $1 and c.platform = $2 and lower(c.account) = any($3) \
         order by c.id limit 400"
    );
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(platform.name())
        .bind(accounts.iter().map(|account| account.to_lowercase()).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    gather(rows)
}

/// The enabled connections to a platform, of all tenants; for webhooks whose path names none.
pub async fn connected_to(pool: &PgPool, platform: Platform) -> Result<Vec<Connected>, sqlx::Error> {
    let sql = format!(
        "{CONNECTED} where c.id in (select id from connections \
         where platform = $1 and enabled order by id limit $2) order by c.id"
    );
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(platform.name())
        .bind(CANDIDATES_MAX)
        .fetch_all(pool)
        .await?;
    gather(rows)
}

/// The connections that are switched on and have an access token, of all tenants.
pub(crate) async fn enabled_connections(pool: &PgPool) -> Result<Vec<(TenantId, ConnectionId)>, sqlx::Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select c.tenant_id, c.id from connections c
         join connection_secrets s on s.tenant_id = c.tenant_id and s.connection_id = c.id and s.name = 'access_token'
         where c.enabled order by c.tenant_id, c.id",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(tenant, id)| (TenantId(tenant), ConnectionId(id))).collect())
}

/// One of some connections that a tenant does not have, or not for this brand.
pub async fn missing(
    pool: &PgPool,
    (tenant, brand): (TenantId, Option<&str>),
    ids: &[Uuid],
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select given.id from unnest($3::uuid[]) as given (id)
         where not exists (
             select from connections c
             where c.tenant_id = $1 and c.id = given.id and ($2::text is null or c.brand = $2)
         ) limit 1",
    )
    .bind(tenant.0)
    .bind(brand)
    .bind(ids)
    .fetch_optional(pool)
    .await
}

/// A tenant's connections, by id.
pub async fn list(pool: &PgPool, window: &Window) -> Result<Page<ConnectionView>, QueryError> {
    let rows = sqlx::query_as(
        "select id, platform, name, brand, account, app, endpoint, platform_location, location, market, currency,
                enabled, paused, rules
         from connections
         where tenant_id = $1 and ($2::text is null or brand = $2) and ($3::uuid is null or id > $3)
         order by id limit $4",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(window.after::<Uuid>()?)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &ConnectionView| row.id))
}

/// A credential before and after it was sealed anew.
pub(crate) struct Resealed<'s> {
    /// What it is now.
    pub(crate) before: &'s SealedSecret,
    /// What it is to be.
    pub(crate) after: &'s SealedSecret,
}

type SealedRow = (Uuid, Uuid, String, String, Vec<u8>, Vec<u8>, i64);

/// Credentials that are sealed with another key than this, of all tenants, and how many of them there are.
pub(crate) async fn sealed_otherwise(
    pool: &PgPool,
    key: &str,
    limit: i64,
) -> Result<(Vec<(Uuid, SealedSecret)>, i64), sqlx::Error> {
    let rows: Vec<SealedRow> = sqlx::query_as(
        "select tenant_id, connection_id, name, key_id, nonce, sealed, count(*) over () from connection_secrets
         where key_id <> $1 order by tenant_id, connection_id, name limit $2",
    )
    .bind(key)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let left = rows.first().map_or(0, |row| row.6);
    Ok((rows.into_iter().filter_map(secret_of).collect(), left))
}

fn secret_of(
    (tenant, connection, name, key_id, nonce, sealed, _): SealedRow,
) -> Option<(Uuid, SealedSecret)> {
    let name = SECRET_NAMES.into_iter().find(|known| *known == name)?;
    Some((tenant, SealedSecret { connection: ConnectionId(connection), name, key_id, nonce, sealed }))
}

/// One credential for each key that credentials are sealed with, of all tenants.
pub(crate) async fn one_of_each_key(pool: &PgPool) -> Result<Vec<(Uuid, SealedSecret)>, sqlx::Error> {
    let rows: Vec<SealedRow> = sqlx::query_as(
        "select distinct on (key_id) tenant_id, connection_id, name, key_id, nonce, sealed, 1::bigint
         from connection_secrets order by key_id, tenant_id, connection_id, name",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(secret_of).collect())
}

/// Puts a credential sealed anew in the place of itself. False, and nothing done, if it has been changed meanwhile.
pub(crate) async fn reseal(
    pool: &PgPool,
    tenant: TenantId,
    Resealed { before, after }: &Resealed<'_>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update connection_secrets set key_id = $5, nonce = $6, sealed = $7
         where tenant_id = $1 and connection_id = $2 and name = $3 and nonce = $4",
    )
    .bind(tenant.0)
    .bind(before.connection.0)
    .bind(before.name)
    .bind(&before.nonce)
    .bind(&after.key_id)
    .bind(&after.nonce)
    .bind(&after.sealed)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

fn gather(rows: Vec<ConnectedRow>) -> Result<Vec<Connected>, sqlx::Error> {
    let mut gathered: Vec<Connected> = Vec::new();
    for row in rows {
        let (tenant, id) = (TenantId(row.tenant_id), ConnectionId(row.view.id));
        let secret = sealed(id, &row);
        match gathered.last_mut().filter(|last| last.id == id && last.tenant == tenant) {
            Some(last) => last.secrets.extend(secret),
            None => {
                let (rules, enabled) = (row.view.rules.0.clone(), row.view.enabled);
                let details = details(row.view).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                gathered.push(Connected {
                    tenant,
                    id,
                    details,
                    rules,
                    enabled,
                    secrets: secret.into_iter().collect(),
                });
            }
        }
    }
    Ok(gathered)
}

fn sealed(connection: ConnectionId, row: &ConnectedRow) -> Option<SealedSecret> {
    let name = SECRET_NAMES.into_iter().find(|name| row.secret_name.as_deref() == Some(name))?;
    Some(SealedSecret {
        connection,
        name,
        key_id: row.key_id.clone()?,
        nonce: row.nonce.clone()?,
        sealed: row.sealed.clone()?,
    })
}

fn details(view: ConnectionView) -> Result<ConnectionDetails, InvalidValue> {
    Ok(ConnectionDetails {
        platform: view.platform.parse()?,
        name: view.name,
        brand: view.brand,
        account: view.account,
        app: view.app,
        endpoint: view.endpoint,
        platform_location: view.platform_location.as_deref().map(ExternalId::new).transpose()?,
        location: LocationCode::new(&view.location)?,
        market: Market::new(&view.market)?,
        currency: Currency::new(&view.currency)?,
    })
}
