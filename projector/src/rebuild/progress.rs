//! Where a run is: counted, told, and noted in the transaction of its rows.

use std::ops::ControlFlow;

use onhand_infrastructure::queries::rebuilds;
use sqlx::PgConnection;

use super::run::Run;
use crate::ProjectorError;

impl Run<'_> {
    /// Notes where the run is, in the transaction of its rows, and as late in it as can be: whoever would end the run waits
    /// from then on.
    pub(super) async fn keep(&self, conn: &mut PgConnection) -> Result<(), ProjectorError> {
        let now = self.ledger().clock().now();
        match rebuilds::advance(conn, self.tenant, &self.row, now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ProjectorError::Cancelled(self.model.name)),
            // The same, of what was done since the snapshot was taken.
            Err(error) if is_outdated(&error) => Err(ProjectorError::Cancelled(self.model.name)),
            Err(error) => Err(error.into()),
        }
    }

    /// The twin is of this position now, and so many more entries are through.
    pub(super) fn moved(&mut self, position: i64, entries: i64) {
        self.row.position = position;
        if self.model.follows() {
            (self.row.reached, self.row.target) = (position, self.row.target.max(position));
        }
        self.count(entries);
    }

    /// So many more entries are through.
    pub(super) fn count(&mut self, entries: i64) {
        self.pacer.count(entries);
        let pace = self.pacer.pace(self.row.reached, self.row.target);
        self.row.rate = pace.entries_per_second;
        self.row.seconds_left = pace.seconds_left;
    }

    /// Tells how far it is. An error if it is not to go on.
    pub(super) fn tell(&mut self) -> Result<(), ProjectorError> {
        match (self.progress)(self.pacer.pace(self.row.reached, self.row.target)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ProjectorError::Interrupted(self.model.name)),
        }
    }
}

/// Whether a row was changed since the transaction's snapshot.
fn is_outdated(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40001")
}
