//! Comparing and exchanging a live table with its rebuilt twin, for one tenant.

use onhand_domain::values::TenantId;
use sqlx::PgConnection;

/// Rows that are in one of the two and not in the other.
pub(crate) async fn differences(
    conn: &mut PgConnection,
    tenant: TenantId,
    table: &'static str,
) -> Result<i64, sqlx::Error> {
    // `is distinct`-equality of whole rows, json columns included, by their text.
    let sql = format!(
        "select (select count(*) from (select md5(r::text) from rebuild.{table} r where tenant_id = $1
                                       except all select md5(r::text) from public.{table} r where tenant_id = $1) a)
              + (select count(*) from (select md5(r::text) from public.{table} r where tenant_id = $1
                                       except all select md5(r::text) from rebuild.{table} r where tenant_id = $1) b)"
    );
    let (count,): (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(tenant.0).fetch_one(conn).await?;
    Ok(count)
}

/// Puts the rebuilt rows in the place of the live ones. Readers see the one or the other, never neither.
pub(crate) async fn exchange(
    conn: &mut PgConnection,
    tenant: TenantId,
    table: &'static str,
) -> Result<(), sqlx::Error> {
    for sql in [
        format!("delete from public.{table} where tenant_id = $1"),
        format!("insert into public.{table} select * from rebuild.{table} where tenant_id = $1"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant.0).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Empties the rebuilt twin. Says how many rows there were.
pub(crate) async fn clear(
    conn: &mut PgConnection,
    tenant: TenantId,
    table: &'static str,
) -> Result<u64, sqlx::Error> {
    let sql = format!("delete from rebuild.{table} where tenant_id = $1");
    let done = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant.0).execute(conn).await?;
    Ok(done.rows_affected())
}
