//! A history made in bulk: what buyers, shops and the passing of time do to shelves, decided by the domain, and written as a
//! sequencer writes it, but ten thousand entries at a time.

use std::{collections::BTreeMap, mem};

use anyhow::ensure;
use chrono::{DateTime, TimeDelta, Utc};
use onhand_domain::{
    Event, StreamId,
    stock::{Stock, StockCommand},
    values::{Quantity, ReservationId, StockId, TenantId},
};
use onhand_infrastructure::ledger::{Context, Entry, Head};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Chance, STRETCH, Stage};

/// How long a hold lasts if nobody ends it.
const HOLD: TimeDelta = TimeDelta::minutes(15);
/// How long a buyer takes who ends it himself, at most.
const HESITATION_SECONDS: i64 = 13 * 60;
/// Between one thing that happens and the next, on average: a million entries are about a month of trade.
const PAUSE_MICROS: i64 = 3_000_000;
/// What a shelf gets new units at, and by how many.
const LOW: i64 = 20;
const RESTOCKED: i64 = 200;
const RESTOCKED_HOT: i64 = 2_000;
/// Of a hundred lines, those that are about the first shelf.
const HOT_LINES: i64 = 26;
/// How many lines reservations have.
const LINES: [usize; 10] = [1, 1, 1, 1, 1, 1, 1, 2, 2, 3];
/// How reservations end.
const ENDS: [End; 10] = [
    End::Committed,
    End::Committed,
    End::Committed,
    End::Committed,
    End::Committed,
    End::Committed,
    End::Committed,
    End::Released,
    End::Released,
    End::Expired,
];

const APPEND: &str = "
    with head as (
        update ledger_heads set position = $3, hash = $4, recorded_at = $5
        where tenant_id = $1 and position = $2
        returning position
    )
    insert into events (tenant_id, position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash)
    select $1, e.position, e.event_id, e.stream, e.version, e.name, e.name_version, e.recorded_at, e.payload, e.metadata, e.hash
    from head
    cross join unnest($6::bigint[], $7::uuid[], $8::text[], $9::bigint[], $10::text[], $11::smallint[],
                      $12::timestamptz[], $13::text[], $14::text[], $15::bytea[])
        as e (position, event_id, stream, version, name, name_version, recorded_at, payload, metadata, hash)";

/// What was made.
pub(super) struct Made {
    /// Of the newest entry.
    pub(super) position: i64,
    /// Of the newest entry.
    pub(super) recorded_at: DateTime<Utc>,
    /// From the first entry to the newest.
    pub(super) lasts: TimeDelta,
    /// Those about the first shelf.
    pub(super) hot_entries: i64,
}

#[derive(Clone, Copy)]
enum End {
    Committed,
    Released,
    Expired,
}

/// A reservation that has not come to its end.
struct Open {
    shelves: Vec<usize>,
    end: End,
}

struct Shelf {
    stream: String,
    stock: Stock,
    version: i64,
}

struct Making {
    tenant: TenantId,
    /// Who asks.
    actor: String,
    /// Where history ends once `entries` are written.
    head: Head,
    now: DateTime<Utc>,
    shelves: Vec<Shelf>,
    /// By when they come to their end.
    open: BTreeMap<(DateTime<Utc>, ReservationId), Open>,
    chance: Chance,
    entries: Vec<Entry>,
}

/// Goes on with a stage's history until it has so many entries, or one or two more, for nothing is left half done.
pub(super) async fn make(stage: &Stage<'_>, entries: i64) -> anyhow::Result<Made> {
    let shelf = |id: &StockId| Shelf {
        stream: StreamId::Stock(id.clone()).to_string(),
        stock: Stock::default(),
        version: 0,
    };
    let head = stage.head().await?;
    let begun = head.recorded_at;
    let mut making = Making {
        tenant: stage.tenant,
        actor: format!("key:{}", Uuid::now_v7()),
        now: begun,
        head,
        shelves: stage.shelves.iter().map(|(_, id)| shelf(id)).collect(),
        open: BTreeMap::new(),
        chance: Chance(6),
        entries: Vec::with_capacity(STRETCH as usize),
    };
    let mut conn = stage.onhand.pool().acquire().await?;
    while making.head.position < entries {
        let before = making.head.position;
        while making.head.position < entries.min(before + STRETCH) {
            making.something_happens()?;
        }
        append(&mut conn, making.tenant, before, &making.entries).await?;
        making.entries.clear();
    }
    Ok(Made {
        position: making.head.position,
        recorded_at: making.head.recorded_at,
        lasts: making.head.recorded_at - begun,
        hot_entries: making.shelves[0].version,
    })
}

impl Making {
    fn something_happens(&mut self) -> anyhow::Result<()> {
        self.now += TimeDelta::microseconds(self.chance.below(2 * PAUSE_MICROS));
        let over = self.open.first_key_value().is_some_and(|((at, _), _)| *at <= self.now);
        if over && let Some(((_, reservation), open)) = self.open.pop_first() {
            return self.end(reservation, &open);
        }
        match self.chance.below(100) {
            0 => self.adjust(),
            _ => self.reserve(),
        }
    }

    fn reserve(&mut self) -> anyhow::Result<()> {
        let mut wanted = BTreeMap::new();
        for _ in 0..*self.chance.of(&LINES) {
            let shelf = self.some_shelf();
            wanted.insert(shelf, Quantity::new(1 + self.chance.below(3))?);
        }
        for shelf in wanted.keys() {
            self.keep_stocked(*shelf)?;
        }
        let reservation = ReservationId(Uuid::now_v7());
        let (now, due) = (self.now, self.now + HOLD);
        let metadata = self.request()?;
        for (shelf, quantity) in &wanted {
            let command =
                StockCommand::Reserve { reservation, quantity: *quantity, expires_at: Some(due), now };
            self.ask(*shelf, &metadata, command)?;
        }
        let end = *self.chance.of(&ENDS);
        let at = match end {
            End::Committed | End::Released => {
                now + TimeDelta::seconds(1 + self.chance.below(HESITATION_SECONDS))
            }
            End::Expired => due,
        };
        self.open.insert((at, reservation), Open { shelves: wanted.into_keys().collect(), end });
        Ok(())
    }

    fn end(&mut self, reservation: ReservationId, open: &Open) -> anyhow::Result<()> {
        let now = self.now;
        let metadata = match open.end {
            End::Committed | End::Released => self.request()?,
            End::Expired => serde_json::to_string(&Context::internal(self.tenant, "expiry"))?,
        };
        // Shops name the shipment, the till does not.
        let reference = (self.chance.below(2) == 0).then(|| format!("shipment-{}", self.head.position));
        for shelf in &open.shelves {
            let command = match open.end {
                End::Committed => {
                    StockCommand::Commit { reservation, quantity: None, reference: reference.clone(), now }
                }
                End::Released => StockCommand::Release { reservation, quantity: None, now },
                End::Expired => StockCommand::Expire { now, limit: 500 },
            };
            self.ask(*shelf, &metadata, command)?;
        }
        Ok(())
    }

    fn adjust(&mut self) -> anyhow::Result<()> {
        let shelf = self.some_shelf();
        self.keep_stocked(shelf)?;
        let delta = *self.chance.of(&[-2, -1, -1, 1, 3]);
        let command = StockCommand::Adjust {
            delta,
            reason: "found so".to_owned(),
            reference: None,
            occurred_at: self.now,
        };
        let metadata = self.request()?;
        self.ask(shelf, &metadata, command)
    }

    /// So that nobody is refused.
    fn keep_stocked(&mut self, shelf: usize) -> anyhow::Result<()> {
        if self.shelves[shelf].stock.available().units() > LOW {
            return Ok(());
        }
        let command = StockCommand::Restock {
            quantity: Quantity::new(if shelf == 0 { RESTOCKED_HOT } else { RESTOCKED })?,
            reference: Some(format!("purchase-{}", self.head.position)),
            occurred_at: self.now,
        };
        let metadata = self.request()?;
        self.ask(shelf, &metadata, command)
    }

    fn some_shelf(&mut self) -> usize {
        if self.chance.below(100) < HOT_LINES {
            return 0;
        }
        1 + self.chance.below(self.shelves.len() as i64 - 1) as usize
    }

    /// The metadata of a request over HTTP.
    fn request(&self) -> anyhow::Result<String> {
        let context = Context {
            actor: self.actor.clone(),
            address: Some("203.0.113.7".to_owned()),
            ..Context::internal(self.tenant, "rest")
        };
        Ok(serde_json::to_string(&context)?)
    }

    /// Asks a shelf, and puts what comes of it at the end of the chain.
    fn ask(&mut self, number: usize, metadata: &str, command: StockCommand) -> anyhow::Result<()> {
        let shelf = &mut self.shelves[number];
        for event in shelf.stock.decide(command)? {
            let stored = Event::from(event.clone()).stored();
            shelf.stock = mem::take(&mut shelf.stock).evolve(event);
            shelf.version += 1;
            let fields = metadata.strip_suffix('}').unwrap_or(metadata);
            let (on_hand, reserved) = (shelf.stock.on_hand(), shelf.stock.reserved());
            let mut entry = Entry {
                position: self.head.position + 1,
                event_id: Uuid::now_v7(),
                stream: shelf.stream.clone(),
                version: shelf.version,
                name: stored.name,
                name_version: stored.version,
                recorded_at: self.now,
                payload: stored.payload,
                metadata: format!(r#"{fields},"on_hand":{on_hand},"reserved":{reserved}}}"#),
                hash: vec![],
            };
            entry.hash = entry.chained(self.tenant, &self.head.hash).to_vec();
            self.head = Head { position: entry.position, hash: entry.hash.clone(), recorded_at: self.now };
            self.entries.push(entry);
        }
        Ok(())
    }
}

/// Writes entries and moves the head, in one transaction.
async fn append(
    conn: &mut PgConnection,
    tenant: TenantId,
    before: i64,
    entries: &[Entry],
) -> anyhow::Result<()> {
    let Some(last) = entries.last() else { return Ok(()) };
    let written = sqlx::query(APPEND)
        .bind(tenant.0)
        .bind(before)
        .bind(last.position)
        .bind(last.hash.as_slice())
        .bind(last.recorded_at)
        .bind(entries.iter().map(|e| e.position).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.event_id).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.stream.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.version).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.name_version).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.recorded_at).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.payload.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.metadata.as_str()).collect::<Vec<_>>())
        .bind(entries.iter().map(|e| e.hash.as_slice()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    ensure!(written.rows_affected() == entries.len() as u64, "the head is not where it was left");
    Ok(())
}
