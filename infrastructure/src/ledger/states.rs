//! States of streams, in memory: current as of the head this process has seen, bounded, reloadable at will.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::LazyLock,
    thread,
};

use futures_util::TryStreamExt;
use onhand_domain::{
    Event, State, StreamId,
    flag::FlagName,
    values::{
        CartId, ConnectionId, DeliveryId, KeyId, ListingId, LocationCode, MonitorId, OrderId, ProductId, Sku,
        StockId, TenantId, VariantId,
    },
};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::LedgerError;

/// Snapshots of another format are not read; raise it when a state changes its shape, or what it makes of an entry.
pub(super) const SNAPSHOT_FORMAT: i16 = 13;
/// Entries after which a snapshot is worth its writing, at least.
pub(super) const SNAPSHOT_EVERY: i64 = 500;
/// What a state takes besides itself: its name, and its place in maps that have room for twice as many; measured.
const PLACE_BYTES: usize = 500;

/// Letting go of more states than these takes longer than a batch may.
const MANY: usize = 10_000;

/// A state with the number of entries it stands for.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) state: State,
    pub(super) version: i64,
    snapshot_version: i64,
}

impl Cached {
    /// After how many entries it is worth the writing of its next snapshot: once they are about twice as many as what that
    /// one holds. By then reading it is the shorter way, however large it is.
    pub(super) fn snapshot_every(&self) -> i64 {
        SNAPSHOT_EVERY.max(self.state.bytes() as i64 / 100)
    }

    /// Its snapshot, if one is due; taking it marks it as written.
    pub(super) fn due_snapshot(&mut self, id: &StreamId) -> Option<Snapshot> {
        if self.version - self.snapshot_version < self.snapshot_every() {
            return None;
        }
        let state = serde_json::to_string(&self.state).ok()?;
        self.snapshot_version = self.version;
        Some(Snapshot { stream: id.to_string(), version: self.version, state })
    }
}

/// The cached states of one tenant.
///
/// Two generations: what is used moves to the young one, and when that is full the old one is forgotten.
#[derive(Debug, Default)]
pub(super) struct States {
    young: HashMap<StreamId, Cached>,
    old: HashMap<StreamId, Cached>,
    bytes: usize,
}

/// A snapshot to be written.
pub(super) struct Snapshot {
    pub(super) stream: String,
    pub(super) version: i64,
    pub(super) state: String,
}

impl States {
    /// Makes room, between batches: nothing vanishes while a batch looks at it.
    pub(super) fn make_room(&mut self, bytes_max: usize) {
        if self.bytes > bytes_max / 2 {
            // The next generation has about as many, and a map that grows moves all it has, each time.
            let room = HashMap::with_capacity(self.young.len());
            let forgotten = mem::replace(&mut self.old, mem::replace(&mut self.young, room));
            self.bytes = 0;
            if forgotten.len() > MANY {
                // The next batch does not wait until they are gone. If no thread is to be had, it does.
                let _ = thread::Builder::new().name("states".to_owned()).spawn(move || drop(forgotten));
            }
        }
    }

    /// The state, or none if it is not in memory.
    pub(super) fn get(&self, id: &StreamId) -> Option<&State> {
        self.young.get(id).or_else(|| self.old.get(id)).map(|cached| &cached.state)
    }

    /// Whether all of them are in memory.
    pub(super) fn has<'a>(&self, ids: impl IntoIterator<Item = &'a StreamId>) -> bool {
        ids.into_iter().all(|id| self.get(id).is_some())
    }

    /// The streams of `ids` that are not in memory; the others are marked as used.
    pub(super) fn missing<'a>(&mut self, ids: impl IntoIterator<Item = &'a StreamId>) -> Vec<StreamId> {
        let mut missing = HashSet::new();
        for id in ids {
            if self.young.contains_key(id) {
                continue;
            }
            match self.old.remove_entry(id) {
                Some((id, cached)) => self.insert(id, cached),
                None => {
                    missing.insert(id);
                }
            }
        }
        missing.into_iter().cloned().collect()
    }

    /// Takes streams for new that are not in memory. Says which; they are to be forgotten unless they get entries.
    pub(super) fn suppose<'a>(&mut self, ids: impl IntoIterator<Item = &'a StreamId>) -> Vec<StreamId> {
        let unknown = self.missing(ids);
        for id in &unknown {
            let state = State::initial(id);
            self.insert(id.clone(), Cached { state, version: 0, snapshot_version: 0 });
        }
        unknown
    }

    /// Takes a new entry of a stream in memory; gives its version.
    pub(super) fn evolve(&mut self, id: &StreamId, event: Event) -> Option<Result<i64, LedgerError>> {
        // What a batch changes is used: it has to be here still when the batch is written.
        if let Some((id, cached)) = self.old.remove_entry(id) {
            self.insert(id, cached);
        }
        let cached = self.young.get_mut(id)?;
        let before = cached.state.bytes();
        if let Err(misplaced) = cached.state.evolve(event) {
            return Some(Err(LedgerError::misplaced(0, &misplaced)));
        }
        cached.version += 1;
        self.bytes = (self.bytes + cached.state.bytes()).saturating_sub(before);
        Some(Ok(cached.version))
    }

    /// Forgets streams whose state may not be what the ledger says.
    pub(super) fn forget<'a>(&mut self, ids: impl IntoIterator<Item = &'a StreamId>) {
        for id in ids {
            self.old.remove(id);
            if let Some(cached) = self.young.remove(id) {
                self.bytes = self.bytes.saturating_sub(cached.state.bytes() + PLACE_BYTES);
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Reads streams as they are at `position`, the head: snapshot and tail, two queries for all of them.
    pub(super) async fn load(
        &mut self,
        conn: &mut PgConnection,
        tenant: TenantId,
        position: i64,
        ids: Vec<StreamId>,
    ) -> Result<(), LedgerError> {
        let mut readings: HashMap<String, Reading> =
            ids.into_iter().map(|id| (id.to_string(), Reading::new(id, i64::MAX))).collect();
        read_states(conn, tenant, position, &mut readings).await?;
        for Reading { id, cached, .. } in readings.into_values() {
            self.insert(id, cached);
        }
        Ok(())
    }

    /// Snapshots that are due among `ids`; taking them marks them as written.
    pub(super) fn due_snapshots<'a>(&mut self, ids: impl IntoIterator<Item = &'a StreamId>) -> Vec<Snapshot> {
        let mut due = Vec::new();
        for id in ids.into_iter().filter(|id| is_long(id)) {
            let cached = self.young.get_mut(id).or_else(|| self.old.get_mut(id));
            due.extend(cached.and_then(|cached| cached.due_snapshot(id)));
        }
        due
    }

    fn insert(&mut self, id: StreamId, cached: Cached) {
        self.bytes += cached.state.bytes() + PLACE_BYTES;
        self.young.insert(id, cached);
    }
}

/// A stream that is being read.
pub(super) struct Reading {
    pub(super) id: StreamId,
    pub(super) cached: Cached,
    /// The last version that is read.
    upto: i64,
}

impl Reading {
    /// Nothing has been read yet; up to and with a version is to be.
    pub(super) fn new(id: StreamId, upto: i64) -> Self {
        let state = State::initial(&id);
        Self { id, cached: Cached { state, version: 0, snapshot_version: 0 }, upto }
    }
}

/// Reads streams, each by its name, as they were at `position`: the newest snapshots that are not younger, and what came
/// after them.
pub(super) async fn read_states(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    readings: &mut HashMap<String, Reading>,
) -> Result<(), LedgerError> {
    if readings.values().any(|reading| is_long(&reading.id)) {
        read_snapshots(conn, tenant, position, readings).await?;
    }
    read_tails(conn, tenant, position, readings).await
}

/// The kinds of [`is_long`], as the names of streams begin.
pub(super) const LONG_KINDS: [&str; 8] =
    ["administration", "cart", "connection", "flag", "listing", "product", "signal", "stock"];

/// Kinds of streams that grow without end. The others come to an end or are changed now and then by somebody; they are read
/// from their beginning.
fn is_long(id: &StreamId) -> bool {
    matches!(
        id,
        StreamId::Stock(_)
            | StreamId::Product(_)
            | StreamId::Listing(_)
            | StreamId::Connection(_)
            | StreamId::Cart(_)
            | StreamId::Signal(_)
            | StreamId::Flag(_)
            | StreamId::Administration
    )
}

async fn read_snapshots(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    readings: &mut HashMap<String, Reading>,
) -> Result<(), LedgerError> {
    let long = readings.iter().filter(|(_, reading)| is_long(&reading.id));
    let (streams, upto): (Vec<&str>, Vec<i64>) =
        long.map(|(stream, reading)| (stream.as_str(), reading.upto)).unzip();
    let rows: Vec<(String, i64, String, Option<String>)> = sqlx::query_as(
        "select s.stream, newest.version, newest.state, e.metadata
         from unnest($2::text[], $3::bigint[]) as s (stream, upto)
         cross join lateral (
             select version, state from stream_snapshots
             where tenant_id = $1 and stream = s.stream and version <= s.upto and position <= $4 and format = $5
             order by version desc limit 1 -- the primary key, from its end back
         ) newest
         left join events e on e.tenant_id = $1 and e.stream = s.stream and e.version = newest.version",
    )
    .bind(tenant.0)
    .bind(streams)
    .bind(upto)
    .bind(position)
    .bind(SNAPSHOT_FORMAT)
    .fetch_all(conn)
    .await?;
    for (stream, version, text, metadata) in rows {
        let Some(reading) = readings.get_mut(&stream) else { continue };
        match serde_json::from_str(&text) {
            Ok(state) if !agrees(&state, metadata.as_deref()) => {
                tracing::error!(%stream, version, "a snapshot that is not what history says was passed over");
            }
            Ok(state) => reading.cached = Cached { state, version, snapshot_version: version },
            // A snapshot is only a short cut; the entries are still there.
            Err(error) => tracing::warn!(%stream, %error, "an unreadable snapshot was passed over"),
        }
    }
    Ok(())
}

/// Whether a snapshot says the same of a shelf as the entry it was taken at, which nobody can change unseen. Entries of the first
/// releases say nothing of it.
fn agrees(state: &State, metadata: Option<&str>) -> bool {
    #[derive(serde::Deserialize)]
    struct Level {
        on_hand: Option<i64>,
        reserved: Option<i64>,
    }
    let State::Stock(shelf) = state else { return true };
    let level = metadata.and_then(|text| serde_json::from_str::<Level>(text).ok());
    level.is_some_and(|level| {
        level.on_hand.is_none_or(|units| units == shelf.on_hand().units())
            && level.reserved.is_none_or(|units| units == shelf.reserved().units())
    })
}

async fn read_tails(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    readings: &mut HashMap<String, Reading>,
) -> Result<(), LedgerError> {
    let streams: Vec<String> = readings.keys().cloned().collect();
    let (versions, upto): (Vec<i64>, Vec<i64>) =
        readings.values().map(|reading| (reading.cached.version, reading.upto)).unzip();
    let mut rows = sqlx::query(
        "select e.position, e.stream, e.version, e.name, e.name_version, e.payload
         from unnest($2::text[], $3::bigint[], $4::bigint[]) as s (stream, version, upto)
         join events e on e.tenant_id = $1 and e.stream = s.stream and e.version > s.version and e.version <= s.upto
         where e.position <= $5
         order by e.stream, e.version -- events_tenant_id_stream_version_key",
    )
    .bind(tenant.0)
    .bind(streams)
    .bind(versions)
    .bind(upto)
    .bind(position)
    .fetch(conn);
    while let Some(row) = rows.try_next().await? {
        let Some(Reading { cached, .. }) = readings.get_mut(row.try_get::<&str, _>("stream")?) else {
            continue;
        };
        let at: i64 = row.try_get("position")?;
        let event = Event::read(row.try_get("name")?, row.try_get("name_version")?, row.try_get("payload")?)
            .map_err(|why| LedgerError::unreadable(at, &why))?;
        cached.state.evolve(event).map_err(|why| LedgerError::misplaced(at, &why))?;
        cached.version = row.try_get("version")?;
    }
    Ok(())
}

/// Writes snapshots, beside those that are there: looks into the past start from them.
pub(super) async fn write_snapshots(
    conn: &mut PgConnection,
    tenant: TenantId,
    position: i64,
    snapshots: &[Snapshot],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into stream_snapshots (tenant_id, stream, version, position, format, state)
         select $1, s.stream, s.version, $2, $3, s.state
         from unnest($4::text[], $5::bigint[], $6::text[]) as s (stream, version, state)
         on conflict (tenant_id, stream, version) do update -- of the same state, by a program that reads others
             set format = excluded.format, state = excluded.state
             where stream_snapshots.format <> excluded.format",
    )
    .bind(tenant.0)
    .bind(position)
    .bind(SNAPSHOT_FORMAT)
    .bind(snapshots.iter().map(|s| s.stream.as_str()).collect::<Vec<_>>())
    .bind(snapshots.iter().map(|s| s.version).collect::<Vec<_>>())
    .bind(snapshots.iter().map(|s| s.state.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// A state to stand in while the real one is being loaded; of the right kind, so that no decision trips over it.
pub(super) fn stand_in(id: &StreamId) -> &'static State {
    static INITIAL: LazyLock<[State; 14]> = LazyLock::new(|| {
        let nil = Uuid::nil();
        let sku = Sku::new("-").expect("a dash is a SKU");
        [
            StreamId::Stock(StockId { variant: VariantId(nil), location: LocationCode::default() }),
            StreamId::Product(ProductId(nil)),
            StreamId::Sku(sku),
            StreamId::Connection(ConnectionId(nil)),
            StreamId::Listing(ListingId(nil)),
            StreamId::Delivery(DeliveryId(nil)),
            StreamId::Order(OrderId(nil)),
            StreamId::Key(KeyId(nil)),
            StreamId::Location(LocationCode::default()),
            StreamId::Cart(CartId(nil)),
            StreamId::Signal(ConnectionId(nil)),
            StreamId::Flag(FlagName::FeatureOrdersMoveStock),
            StreamId::Monitor(MonitorId(nil)),
            StreamId::Administration,
        ]
        .map(|id| State::initial(&id))
    });
    match id {
        StreamId::Stock(_) => &INITIAL[0],
        StreamId::Product(_) => &INITIAL[1],
        StreamId::Sku(_) => &INITIAL[2],
        StreamId::Connection(_) => &INITIAL[3],
        StreamId::Listing(_) => &INITIAL[4],
        StreamId::Delivery(_) => &INITIAL[5],
        StreamId::Order(_) => &INITIAL[6],
        StreamId::Key(_) => &INITIAL[7],
        StreamId::Location(_) => &INITIAL[8],
        StreamId::Cart(_) => &INITIAL[9],
        StreamId::Signal(_) => &INITIAL[10],
        StreamId::Flag(_) => &INITIAL[11],
        StreamId::Monitor(_) => &INITIAL[12],
        StreamId::Administration => &INITIAL[13],
    }
}

#[cfg(test)]
mod tests {
    use onhand_domain::{stock::StockEvent, values::Quantity};

    use super::*;

    #[test]
    fn the_kinds_that_get_long_are_called_as_their_streams_are() {
        let nil = Uuid::nil();
        let ids =
            ["product", "connection", "listing", "delivery", "order", "key", "cart", "signal", "monitor"]
                .map(|kind| format!("{kind}/{nil}"));
        let others = ["sku/A", "location/main", "administration/log"].map(str::to_owned);
        for name in ids.into_iter().chain(others).chain([format!("stock/{nil}/main")]) {
            let stream: StreamId = name.parse().expect("the name of a stream");
            let kind = name.split('/').next().unwrap_or_default();
            assert_eq!(LONG_KINDS.contains(&kind), is_long(&stream), "{name}");
        }
    }
    #[test]
    fn what_a_batch_changes_is_in_memory_until_it_is_written_whether_it_was_named_or_not() {
        let shelf: StreamId = format!("stock/{}/main", Uuid::nil()).parse().expect("the name of a stream");
        let mut states = States::default();
        states.suppose([&shelf]);
        states.make_room(0);
        let unit = StockEvent::Restocked {
            quantity: Quantity::new(1).expect("in range"),
            reference: None,
            occurred_at: None,
            origin: None,
        };
        assert_eq!(states.evolve(&shelf, unit.into()).expect("it is in memory").expect("it fits"), 1);

        states.suppose([&StreamId::Administration]);
        states.make_room(0);
        assert!(states.get(&shelf).is_some());
    }

    #[test]
    fn what_is_not_used_is_forgotten_however_much_it_is() {
        let ids: Vec<StreamId> =
            (0..=MANY).map(|n| StreamId::Order(OrderId(Uuid::from_u128(n as u128)))).collect();
        let mut states = States::default();
        states.suppose(&ids);
        states.make_room(0);
        states.suppose(&ids[..1]);
        assert!(states.get(&ids[MANY]).is_some());
        states.make_room(0);
        assert!(states.get(&ids[0]).is_some());
        assert!(states.get(&ids[MANY]).is_none());
    }
}
