//! A live table and its twin in schema `rebuild`, for one tenant: compared by key, whole rows against whole rows, and the
//! rows that differ put in the place of the live ones.

use onhand_domain::values::TenantId;
use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

/// A row that is in only one of the two, or another one there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferingRow {
    /// In which table.
    pub table: &'static str,
    /// Its key, without the tenant.
    pub key: Value,
    /// As it is, if there is one.
    pub live: Option<Value>,
    /// As it is to be, if there is to be one.
    pub rebuilt: Option<Value>,
}

/// A table with its twin.
pub(super) struct Twin {
    table: &'static str,
    /// The columns of the primary key, without the tenant.
    key: Vec<String>,
}

impl Twin {
    /// The table of this name, with its key as the catalogue has it.
    pub(super) async fn of(conn: &mut PgConnection, table: &'static str) -> Result<Self, sqlx::Error> {
        let (key,): (Option<Vec<String>>,) = sqlx::query_as(
            "select array_agg(quote_ident(a.attname) order by array_position(i.indkey::int2[], a.attnum))
             from pg_index i
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
             where i.indrelid = $1::text::regclass and i.indisprimary and a.attname <> 'tenant_id'",
        )
        .bind(format!("public.{table}"))
        .fetch_one(conn)
        .await?;
        Ok(Self { table, key: key.ok_or(sqlx::Error::RowNotFound)? })
    }

    /// How many rows were rebuilt, and how many differ.
    pub(super) async fn compare(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
    ) -> Result<(i64, i64), sqlx::Error> {
        let sql = format!(
            "select count(r.tenant_id), count(*) filter (where row(l.*) is distinct from row(r.*)) from {}",
            self.side_by_side()
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(tenant.0).fetch_one(conn).await
    }

    /// The first rows that differ, by key, at most `limit`.
    pub(super) async fn sample(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        limit: i64,
    ) -> Result<Vec<DifferingRow>, sqlx::Error> {
        let each = |text: fn(&str) -> String| {
            self.key.iter().map(|column| text(column)).collect::<Vec<_>>().join(", ")
        };
        let sql = format!(
            "select jsonb_build_object({}), to_jsonb(l) - 'tenant_id', to_jsonb(r) - 'tenant_id' from {}
             where row(l.*) is distinct from row(r.*) order by {} limit $2",
            each(|column| format!("'{column}', coalesce(l.{column}, r.{column})")),
            self.side_by_side(),
            each(|column| format!("coalesce(l.{column}, r.{column})")),
        );
        let rows: Vec<(Value, Option<Value>, Option<Value>)> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(tenant.0).bind(limit).fetch_all(conn).await?;
        let row = |(key, live, rebuilt)| DifferingRow { table: self.table, key, live, rebuilt };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Makes the live rows what the rebuilt ones are; those that are equal are left alone. Readers see all of it or nothing.
    pub(super) async fn replace(&self, conn: &mut PgConnection, tenant: TenantId) -> Result<(), sqlx::Error> {
        let (table, same_key) = (self.table, self.same_key());
        for sql in [
            format!(
                "delete from public.{table} l where l.tenant_id = $1 and not exists (
                     select from rebuild.{table} r
                     where r.tenant_id = $1 and {same_key} and row(l.*) is not distinct from row(r.*))"
            ),
            format!(
                "insert into public.{table} select r.* from rebuild.{table} r where r.tenant_id = $1 and not exists (
                     select from public.{table} l where l.tenant_id = $1 and {same_key})"
            ),
        ] {
            sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Live rows as `l`, rebuilt ones as `r`; either may be missing.
    fn side_by_side(&self) -> String {
        let (table, same_key) = (self.table, self.same_key());
        format!(
            "(select * from public.{table} where tenant_id = $1) l
             full join (select * from rebuild.{table} where tenant_id = $1) r on {same_key}"
        )
    }

    fn same_key(&self) -> String {
        let same = |column: &String| format!("l.{column} = r.{column}");
        self.key.iter().map(same).collect::<Vec<_>>().join(" and ")
    }
}

/// Empties a twin. Says how many rows there were.
pub(super) async fn clear(
    conn: &mut PgConnection,
    tenant: TenantId,
    table: &'static str,
) -> Result<u64, sqlx::Error> {
    let sql = format!("delete from rebuild.{table} where tenant_id = $1");
    let done = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).execute(conn).await?;
    Ok(done.rows_affected())
}
