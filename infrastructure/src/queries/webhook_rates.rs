//! Rates: how many requests all processes together may still let in this minute.

use sqlx::PgPool;

/// Takes up to `wanted` of what is left of `limit` in this minute. Says how many were got.
pub async fn take(
    pool: &PgPool,
    name: &str,
    minute: i64,
    limit: i64,
    wanted: i64,
) -> Result<i64, sqlx::Error> {
    let (got,): (i64,) = sqlx::query_as(
        "with before as (select minute, used from webhook_rates where name = $1 for update),
         taken as (
             select coalesce((select least($4, greatest($3 - used, 0)) from before where minute between $2 and $2 + 1),
                             least($3, $4)) as units
         ),
         kept as (
             insert into webhook_rates (name, minute, used) select $1, $2, units from taken
             -- Two that begin a minute at the same instant both count.
             on conflict (name) do update
                 -- A clock that is a little behind counts against the minute that has begun; what a clock far ahead has
                 -- written is of no account.
                 set used = case when webhook_rates.minute between excluded.minute and excluded.minute + 1
                                 then webhook_rates.used + excluded.used else excluded.used end,
                     minute = case when webhook_rates.minute = excluded.minute + 1
                                   then webhook_rates.minute else excluded.minute end
         )
         select units from taken",
    )
    .bind(name)
    .bind(minute)
    .bind(limit)
    .bind(wanted)
    .fetch_one(pool)
    .await?;
    Ok(got)
}

/// Removes minutes gone by. Says how many.
pub async fn prune(pool: &PgPool, minute: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("delete from webhook_rates where minute < $1").bind(minute).execute(pool).await?;
    Ok(done.rows_affected())
}
