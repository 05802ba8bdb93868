//! The tail: the newest entries of a ledger this process has written, so that whoever follows it here need not read
//! them back. A convenience only: what is not in it is in the database.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::Entry;

/// What the entries of one tail take in memory at most; older ones are read from the database.
const BYTES_MAX: usize = 4 << 20;

/// The part of what a tenant may have in memory that its tail may take.
pub(super) fn bytes_of(share: usize) -> usize {
    BYTES_MAX.min(share / 8)
}

/// The newest entries of one tenant's ledger, without gaps, as far as this process has written them.
#[derive(Default)]
pub(super) struct Tail {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    batches: VecDeque<Batch>,
    bytes: usize,
}

struct Batch {
    entries: Arc<[Entry]>,
    bytes: usize,
}

impl Batch {
    fn first(&self) -> i64 {
        self.entries.first().map_or(0, |entry| entry.position)
    }

    fn last(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.position)
    }
}

impl Tail {
    /// Adds what has just been committed, and keeps `bytes_max` of the newest. If others have written since the batch
    /// before, the tail begins here.
    pub(super) fn add(&self, entries: Vec<Entry>, bytes_max: usize) {
        let Some(first) = entries.first().map(|entry| entry.position) else { return };
        let bytes = entries.iter().map(size).sum();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.batches.back().is_some_and(|before| before.last() + 1 != first) {
            *kept = Kept::default();
        }
        kept.batches.push_back(Batch { entries: entries.into(), bytes });
        kept.bytes += bytes;
        while kept.bytes > bytes_max
            && let Some(oldest) = kept.batches.pop_front()
        {
            kept.bytes -= oldest.bytes;
        }
    }

    /// Whole batches that go on right after a position, about `limit` entries. None if the tail does not reach back that far.
    pub(super) fn after(&self, position: i64, limit: usize) -> Option<Vec<Arc<[Entry]>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = kept.batches.binary_search_by_key(&(position + 1), Batch::first).ok()?;
        let mut entries = 0;
        let batches = kept.batches.range(begin..).take_while(|batch| {
            let more = entries < limit;
            entries += batch.entries.len();
            more
        });
        Some(batches.map(|batch| Arc::clone(&batch.entries)).collect())
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

fn size(entry: &Entry) -> usize {
    let texts = [&entry.stream, &entry.name, &entry.payload, &entry.metadata];
    size_of::<Entry>() + entry.hash.len() + texts.iter().map(|text| text.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn batch(positions: std::ops::RangeInclusive<i64>, payload_bytes: usize) -> Vec<Entry> {
        let entry = |position| Entry {
            position,
            event_id: Uuid::nil(),
            stream: "stock/x/main".into(),
            version: position,
            name: "stock.restocked".into(),
            name_version: 1,
            recorded_at: DateTime::UNIX_EPOCH,
            payload: "x".repeat(payload_bytes),
            metadata: "{}".into(),
            hash: vec![],
        };
        positions.map(entry).collect()
    }

    fn positions(tail: &Tail, after: i64, limit: usize) -> Option<Vec<i64>> {
        let batches = tail.after(after, limit)?;
        Some(batches.iter().flat_map(|batch| batch.iter()).map(|entry| entry.position).collect())
    }

    #[test]
    fn a_follower_goes_on_where_a_batch_begins_and_takes_whole_batches() {
        let tail = Tail::default();
        tail.add(batch(1..=2, 1), BYTES_MAX);
        tail.add(batch(3..=5, 1), BYTES_MAX);
        tail.add(batch(6..=6, 1), BYTES_MAX);
        assert_eq!(positions(&tail, 0, 100), Some(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(positions(&tail, 2, 2), Some(vec![3, 4, 5]));
        assert_eq!(positions(&tail, 3, 100), None, "not where a batch begins");
        assert_eq!(positions(&tail, 6, 100), None, "nothing there yet");
    }

    #[test]
    fn what_others_have_written_in_between_is_never_passed_over() {
        let tail = Tail::default();
        tail.add(batch(1..=2, 1), BYTES_MAX);
        tail.add(batch(4..=5, 1), BYTES_MAX);
        assert_eq!(positions(&tail, 0, 100), None);
        assert_eq!(positions(&tail, 2, 100), None, "position 3 is somebody else's");
        assert_eq!(positions(&tail, 3, 100), Some(vec![4, 5]));
    }

    #[test]
    fn the_oldest_batches_give_way_when_the_tail_is_full() {
        let tail = Tail::default();
        for position in 1..=20 {
            tail.add(batch(position..=position, BYTES_MAX / 8), BYTES_MAX);
        }
        assert_eq!(positions(&tail, 0, 100), None);
        let kept = positions(&tail, 14, 100).expect("the newest are there");
        assert_eq!(kept, [15, 16, 17, 18, 19, 20]);
        tail.add(batch(21..=21, 2 * BYTES_MAX), BYTES_MAX);
        assert_eq!(positions(&tail, 20, 100), None, "too large to be kept at all");
    }
}
