//! Archives: history copied into files, and put back where it was lost. Both are on record.

use std::path::{Path, PathBuf};

use onhand_domain::{administration::AdministrationEvent, values::TenantId};

use super::{Caller, Operations};
use crate::{
    ledger::{
        Context, Head,
        archive::{self, Archive, ArchiveError, ENTRIES_MAX, Restored, Stretch},
    },
    queries::archives,
};

/// What is to be copied, and to where.
#[derive(Debug, Clone, Copy)]
pub struct Archiving<'a> {
    /// Whose history.
    pub tenant: TenantId,
    /// What the tenant is called.
    pub tenant_name: &'a str,
    /// From this position on; none for the first one that is in no file yet.
    pub from: Option<i64>,
    /// Up to this position.
    pub to: i64,
    /// The folder for the files.
    pub folder: &'a Path,
}

impl Operations {
    /// Copies entries into files, as many as it takes. `progress` is told how many entries of how many are written.
    ///
    /// Broken off, it leaves whole files only, and goes on after the last one that was noted. One that was not is taken over
    /// where the same entries are asked for again, and else overlapped by the next.
    pub async fn archive(
        &self,
        actor: &str,
        archiving: Archiving<'_>,
        mut progress: impl FnMut(i64, i64),
    ) -> Result<Vec<Archive>, ArchiveError> {
        let Archiving { tenant, tenant_name, from, to, folder } = archiving;
        let pool = self.ledger().pool();
        let first = match from {
            Some(from) => from,
            None => archives::archived_to(pool, tenant).await? + 1,
        };
        let head = Head::read(&mut *pool.acquire().await?, tenant).await?.position;
        if first < 1 || to > head {
            return Err(ArchiveError::Unfit(format!("the ledger of {tenant_name} goes from 1 to {head}")));
        }
        if let Some(from) = from.filter(|from| *from > to) {
            return Err(ArchiveError::Unfit(format!("there is nothing from {from} up to {to}")));
        }
        let mut written = Vec::new();
        for (from, last) in stretches(first, to, ENTRIES_MAX) {
            let stretch = Stretch { tenant, tenant_name: tenant_name.to_owned(), from, to: last };
            let archive =
                archive::write(pool, stretch, folder, |at| progress(at - first + 1, to - first + 1)).await?;
            let (file, sha256) = (archive.file.clone(), archive.sha256.clone());
            let event = AdministrationEvent::Archived { from, to: last, file, sha256 };
            // The entry first: what is listed is on record, however this is broken off.
            self.note(Caller::new(Context::internal(tenant, actor)), event).await?;
            archives::keep(pool, &archive, self.ledger().clock().now()).await?;
            written.push(archive);
        }
        Ok(written)
    }

    /// Puts back what ledgers have lost of the entries in some files; a dry run only looks. See [`archive::restore()`].
    pub async fn restore_archives(
        &self,
        actor: &str,
        files: &[PathBuf],
        dry_run: bool,
        progress: impl FnMut(i64, i64),
    ) -> Result<Vec<Restored>, ArchiveError> {
        let restored = archive::restore(self.ledger().pool(), files, dry_run, progress).await?;
        let mut unnoted = None;
        for Restored { header, file, missing } in &restored {
            if dry_run || *missing == 0 {
                continue;
            }
            let (from, to, entries, file) = (header.from, header.to, *missing, file.clone());
            let event = AdministrationEvent::Restored { from, to, entries, file };
            let caller = Caller::new(Context::internal(header.tenant, actor));
            // One ledger's trouble is not another's, and all of them have their entries back by now.
            if let Err(error) = self.note(caller, event).await {
                tracing::error!(tenant = %header.tenant, %error, "what was put back could not be noted");
                unnoted = unnoted.or(Some(ArchiveError::Unnoted { tenant: header.tenant, error }));
            }
        }
        unnoted.map_or(Ok(restored), Err)
    }
}

/// A stretch cut into shorter ones.
fn stretches(from: i64, to: i64, most: i64) -> impl Iterator<Item = (i64, i64)> {
    (from..=to).step_by(most as usize).map(move |first| (first, to.min(first + most - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_cut_without_gaps_and_without_overlaps() {
        let cut = |from, to| stretches(from, to, 10).collect::<Vec<_>>();
        assert_eq!(cut(1, 10), [(1, 10)]);
        assert_eq!(cut(1, 11), [(1, 10), (11, 11)]);
        assert_eq!(cut(5, 26), [(5, 14), (15, 24), (25, 26)]);
        assert_eq!(cut(8, 7), []);
    }
}
