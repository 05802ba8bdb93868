//! What of its allowance an account has used, counted for all processes together.
//!
//! A limit of N calls within W is kept for any window of that length, not only for whole minutes: calls are earned one after
//! the other, and of N a third may be saved up. A burst of B and what is earned in W are never more than N.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Utc};
use onhand_domain::values::{ConnectionId, TenantId};
use sqlx::PgPool;

use crate::platforms::outbound::Limit;

/// Limits of a day and longer are counted by the day: nobody wants a day's calls spread evenly over the night.
const A_DAY: Duration = Duration::from_hours(24);
/// Calls are on their way for a while, some longer than others; a window is taken for that much longer.
const MARGIN: Duration = Duration::from_secs(2);
/// Calls that are earned more often than this are waited for one by one.
const A_MOMENT: TimeDelta = TimeDelta::seconds(1);
/// Days begin at midnight in this zone, as the quotas of the platforms that have daily ones do.
const DAY_OFFSET_SECONDS: i32 = 8 * 3_600;

/// What asking for a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It may be made. True if with it four fifths of the day's calls are used, which is told once a day.
    Granted {
        /// See above.
        low: bool,
    },
    /// Not before this has passed.
    Wait(Duration),
}

/// How a limit is kept: a burst, and the time in which one more call is earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    burst: u32,
    each: TimeDelta,
}

impl Pace {
    fn of(limit: Limit) -> Self {
        let burst = (limit.calls / 3).max(1);
        let earned = limit.calls.saturating_sub(burst).max(1);
        let within = limit.within + MARGIN.min(limit.within);
        Self { burst, each: TimeDelta::from_std(within / earned).unwrap_or(TimeDelta::MAX) }
    }

    /// How long to wait when nothing is there: for the next call where that comes at once, else for a burst, or an account at its
    /// limit would be looked at for each call.
    fn wait(self) -> TimeDelta {
        if self.each < A_MOMENT { self.each } else { self.each * self.burst as i32 }
    }

    /// The time up to which may have been taken, at `now`, for one more to be there.
    fn earliest(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.each * (self.burst as i32 - 1)
    }
}

/// Takes one call of an account's allowance under one limit.
pub async fn take(
    pool: &PgPool,
    (tenant, connection): (TenantId, ConnectionId),
    limit: Limit,
    now: DateTime<Utc>,
) -> Result<Taken, sqlx::Error> {
    let daily = limit.within >= A_DAY;
    let pace = Pace::of(limit);
    // A limit by the day does not pace calls, and one by the minute does not count them.
    let each_ms = if daily { 0 } else { pace.each.num_milliseconds() };
    let most = if daily { i64::from(limit.calls) } else { i64::MAX };
    let row: Option<(bool,)> = sqlx::query_as(
        "insert into budgets as b (tenant_id, connection_id, within_ms, earned_at, day, used)
         values ($1, $2, $3, $4 + $6::bigint * interval '1 millisecond', $7, 1)
         on conflict (tenant_id, connection_id, within_ms) do update
             set earned_at = greatest(b.earned_at, $4) + $6::bigint * interval '1 millisecond',
                 used = case when b.day = $7 then b.used + 1 else 1 end,
                 day = $7
             where b.earned_at <= $5 and (b.day <> $7 or b.used < $8::bigint)
         -- True for the very call with which four fifths are reached.
         returning b.used * 5 >= $8::bigint::numeric * 4 and (b.used - 1) * 5 < $8::bigint::numeric * 4",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(i64::try_from(limit.within.as_millis()).unwrap_or(i64::MAX))
    .bind(now)
    .bind(pace.earliest(now))
    .bind(each_ms)
    .bind(day(now))
    .bind(most)
    .fetch_optional(pool)
    .await?;
    Ok(match row {
        Some((low,)) => Taken::Granted { low },
        None if daily => Taken::Wait(until_tomorrow(now)),
        None => Taken::Wait(pace.wait().to_std().unwrap_or(limit.within)),
    })
}

fn day(now: DateTime<Utc>) -> NaiveDate {
    local(now).date_naive()
}

fn until_tomorrow(now: DateTime<Utc>) -> Duration {
    let left = local(now).date_naive().succ_opt().and_then(|day| day.and_hms_opt(0, 0, 0));
    let left = left.map(|midnight| midnight - local(now).naive_local());
    left.and_then(|left| left.to_std().ok()).unwrap_or(A_DAY)
}

fn local(now: DateTime<Utc>) -> DateTime<FixedOffset> {
    match FixedOffset::east_opt(DAY_OFFSET_SECONDS) {
        Some(zone) => now.with_timezone(&zone),
        None => now.fixed_offset(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_and_what_is_earned_are_never_more_than_the_limit() {
        for (calls, seconds) in [(60, 60), (100, 60), (16, 1), (10, 1), (1, 60), (2, 1)] {
            let limit = Limit { calls, within: Duration::from_secs(seconds) };
            let pace = Pace::of(limit);
            let window = TimeDelta::from_std(limit.within).expect("a short time");
            let earned =
                window.num_microseconds().expect("short") / pace.each.num_microseconds().expect("short");
            assert!(
                i64::from(pace.burst) + earned <= i64::from(calls.max(2)),
                "{calls} in {seconds}: {pace:?}"
            );
        }
    }

    #[test]
    fn a_day_ends_at_midnight_where_the_platforms_are() {
        let now: DateTime<Utc> = "2026-11-01T15:30:00Z".parse().expect("a time");
        assert_eq!(until_tomorrow(now), Duration::from_mins(30));
        assert_ne!(day(now), day(now + TimeDelta::minutes(30)));
    }
}
