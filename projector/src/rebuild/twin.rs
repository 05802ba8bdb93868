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

    /// How many rows were rebuilt, and how many differ. The keys of the latter are kept in a temporary table.
    pub(super) async fn compare(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
    ) -> Result<(i64, i64), sqlx::Error> {
        let (table, keys) = (self.table, self.key.join(", "));
        // A temporary one, because however many differ it takes no room in memory, and it has to outlive nothing.
        let make = format!(
            "create temporary table differing_{table} as select {keys} from public.{table} with no data"
        );
        sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *conn).await?;
        let fill = format!(
            "insert into pg_temp.differing_{table} select {} from {} where row(l.*) is distinct from row(r.*)",
            self.each(|column| format!("coalesce(l.{column}, r.{column})")),
            self.side_by_side()
        );
        let differing =
            sqlx::query(AssertSqlSafe(fill)).bind(tenant.0).execute(&mut *conn).await?.rows_affected();
        // So that a few rows are looked up by their keys, and many are not.
        let analyze = format!("analyze pg_temp.differing_{table}");
        sqlx::raw_sql(AssertSqlSafe(analyze)).execute(&mut *conn).await?;
        let count = format!("select count(*) from rebuild.{table} where tenant_id = $1");
        let (rows,): (i64,) = sqlx::query_as(AssertSqlSafe(count)).bind(tenant.0).fetch_one(conn).await?;
        Ok((rows, differing as i64))
    }

    /// The first rows that were found to differ, by key, at most `limit`.
    pub(super) async fn sample(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        limit: i64,
    ) -> Result<Vec<DifferingRow>, sqlx::Error> {
        let (table, keys) = (self.table, self.key.join(", "));
        let sql = format!(
            "select jsonb_build_object({}), to_jsonb(l) - 'tenant_id', to_jsonb(r) - 'tenant_id'
             from (select * from pg_temp.differing_{table} order by {keys} limit $2) d
             left join public.{table} l on l.tenant_id = $1 and {}
             left join rebuild.{table} r on r.tenant_id = $1 and {}
             order by {}",
            self.each(|column| format!("'{column}', d.{column}")),
            self.same_key("l", "d"),
            self.same_key("r", "d"),
            self.each(|column| format!("d.{column}")),
        );
        let rows: Vec<(Value, Option<Value>, Option<Value>)> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(tenant.0).bind(limit).fetch_all(conn).await?;
        let row = |(key, live, rebuilt)| DifferingRow { table, key, live, rebuilt };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Makes the live rows that were found to differ what the rebuilt ones are by now, and leaves the others alone. Readers
    /// see all of it or nothing.
    pub(super) async fn replace(&self, conn: &mut PgConnection, tenant: TenantId) -> Result<(), sqlx::Error> {
        let table = self.table;
        for sql in [
            format!(
                "delete from public.{table} l using pg_temp.differing_{table} d where l.tenant_id = $1 and {}",
                self.same_key("l", "d")
            ),
            format!(
                "insert into public.{table}
                 select r.* from pg_temp.differing_{table} d join rebuild.{table} r on r.tenant_id = $1 and {}",
                self.same_key("r", "d")
            ),
        ] {
            sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Live rows as `l`, rebuilt ones as `r`; either may be missing.
    fn side_by_side(&self) -> String {
        let (table, same_key) = (self.table, self.same_key("l", "r"));
        format!(
            "(select * from public.{table} where tenant_id = $1) l
             full join (select * from rebuild.{table} where tenant_id = $1) r on {same_key}"
        )
    }

    fn same_key(&self, one: &str, other: &str) -> String {
        let same = |column: &String| format!("{one}.{column} = {other}.{column}");
        self.key.iter().map(same).collect::<Vec<_>>().join(" and ")
    }

    fn each(&self, text: impl Fn(&str) -> String) -> String {
        self.key.iter().map(|column| text(column)).collect::<Vec<_>>().join(", ")
    }
}

/// Empties a twin.
pub(super) async fn clear(
    conn: &mut PgConnection,
    tenant: TenantId,
    table: &'static str,
) -> Result<(), sqlx::Error> {
    let sql = format!("delete from rebuild.{table} where tenant_id = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).execute(conn).await?;
    Ok(())
}
