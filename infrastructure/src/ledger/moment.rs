//! Moments: a place in history that somebody names, by its position or by a time.

use std::{fmt, str::FromStr};

use chrono::{DateTime, SecondsFormat, Utc};
use onhand_domain::values::TenantId;
use sqlx::PgConnection;

use super::{Head, LedgerError, position_at};

/// A place in history: after an entry, or when it was so late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Right after the entry at this position; 0 before everything.
    Position(i64),
    /// With every entry that was recorded by then.
    Time(DateTime<Utc>),
}

/// Why a moment leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum MomentError {
    /// Neither a position nor a time.
    #[error("{0:?} is neither a position nor a time such as 2026-01-02T03:04:05Z")]
    Invalid(String),
    /// It has not come yet.
    #[error("{0} is still to come; the ledger ends at position {1}")]
    Future(Moment, i64),
    /// History could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => write!(f, "position {position}"),
            Self::Time(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        match text.parse::<i64>() {
            Ok(position) if position >= 0 => Ok(Self::Position(position)),
            Ok(_) => Err(MomentError::Invalid(text.to_owned())),
            Err(_) => DateTime::parse_from_rfc3339(text)
                .map(|time| Self::Time(time.to_utc()))
                .map_err(|_| MomentError::Invalid(text.to_owned())),
        }
    }
}

impl Moment {
    /// The position of the newest entry that was there by then; 0 if there was none. `now` is what the clock says.
    pub async fn position(
        self,
        conn: &mut PgConnection,
        tenant: TenantId,
        now: DateTime<Utc>,
    ) -> Result<i64, MomentError> {
        let head = Head::read(conn, tenant).await?;
        match self {
            Self::Position(position) if position <= head.position => Ok(position),
            // The clock of another process may be ahead of ours.
            Self::Time(time) if time <= now.max(head.recorded_at) => {
                Ok(position_at(conn, tenant, time).await?)
            }
            still_to_come => Err(MomentError::Future(still_to_come, head.position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_position_or_a_time_in_any_zone() {
        let time = |text: &str| text.parse::<Moment>().expect("a time");
        assert_eq!("17".parse::<Moment>().ok(), Some(Moment::Position(17)));
        assert_eq!(time("2026-01-02T03:04:05Z"), time("2026-01-02T04:04:05+01:00"));
        assert_eq!(time("2026-01-02T03:04:05.5Z").to_string(), "2026-01-02T03:04:05.500Z");
        for nonsense in ["", "-1", "now", "2026-01-02", "2026-01-02T03:04:05", "1.5"] {
            let refused = nonsense.parse::<Moment>();
            assert!(matches!(refused, Err(MomentError::Invalid(_))), "{nonsense:?}: {refused:?}");
        }
    }
}
