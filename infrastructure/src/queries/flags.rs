//! Flags: how each stands.

use std::collections::HashMap;

use onhand_domain::{flag::FlagName, values::TenantId};
use serde::Serialize;
use sqlx::PgPool;

/// A flag as a reader sees it.
#[derive(Debug, Clone, Serialize)]
pub struct FlagView {
    /// Its name.
    pub name: FlagName,
    /// How it stands.
    pub value: bool,
    /// Whether nobody may turn it.
    pub locked: bool,
}

/// Every flag of a tenant.
pub async fn all(pool: &PgPool, tenant: TenantId) -> Result<Vec<FlagView>, sqlx::Error> {
    let turned: Vec<(String, bool)> = sqlx::query_as("select name, value from flags where tenant_id = $1")
        .bind(tenant.0)
        .fetch_all(pool)
        .await?;
    let turned: HashMap<String, bool> = turned.into_iter().collect();
    Ok(FlagName::ALL
        .into_iter()
        .map(|name| FlagView {
            name,
            value: turned.get(name.name()).copied().unwrap_or_else(|| name.initial()),
            locked: name.locked(),
        })
        .collect())
}
