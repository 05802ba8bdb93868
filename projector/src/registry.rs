//! The table of read models. To add one: a migration (with its twin in `rebuild`), a file in `projections`, a line here.

use futures_util::future::BoxFuture;
use onhand_domain::{Event, StreamId, values::TenantId};
use onhand_infrastructure::ledger::{Entry, StateTable};
use sqlx::PgConnection;

use crate::{
    ProjectorError,
    projections::{
        api_keys, connections, deliveries, flags, listings, locations, monitors, products, reservations,
        stock_levels,
    },
};

/// A stretch of one tenant's ledger.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'e> {
    /// Whose.
    pub tenant: TenantId,
    /// What happened, in order, at least of the kinds the projection asked for.
    pub facts: &'e [Fact<'e>],
    /// Whether others append meanwhile, and are not to wait for it.
    pub gently: bool,
}

/// An entry with what it says, parsed.
#[derive(Debug, Clone)]
pub struct Fact<'e> {
    /// As it is stored.
    pub entry: &'e Entry,
    /// Where it happened.
    pub stream: StreamId,
    /// What happened.
    pub event: Event,
}

/// Applies a stretch, in the caller's transaction, with few statements however long the stretch is.
pub type Apply = for<'c> fn(&'c mut PgConnection, Stretch<'c>) -> BoxFuture<'c, Result<(), ProjectorError>>;

/// How a read model comes to its rows.
#[derive(Clone, Copy)]
pub enum Growth {
    /// It follows the ledger, and is handed entries of these kinds.
    Follows {
        /// Kinds of events.
        kinds: &'static [&'static str],
        /// How a stretch becomes rows.
        apply: Apply,
    },
    /// Its rows follow from the states of these streams and are written in their commit.
    InCommit {
        /// The kind of stream.
        kind: &'static str,
        /// How states become rows.
        table: StateTable,
    },
}

/// A read model.
#[derive(Clone, Copy)]
pub struct ReadModel {
    /// Its name, that of its first table.
    pub name: &'static str,
    /// The tables it owns, all with `tenant_id`.
    pub tables: &'static [&'static str],
    /// How it grows.
    pub growth: Growth,
}

impl ReadModel {
    /// Whether it follows the ledger at a distance; the others are written in the commit itself.
    pub fn follows(&self) -> bool {
        matches!(self.growth, Growth::Follows { .. })
    }
}

/// All of them.
pub const MODELS: &[ReadModel] = &[
    ReadModel {
        name: "products",
        tables: &["products", "variants"],
        growth: Growth::InCommit { kind: "product", table: products::TABLE },
    },
    ReadModel {
        name: "connections",
        tables: &["connections"],
        growth: Growth::InCommit { kind: "connection", table: connections::TABLE },
    },
    ReadModel {
        name: "listings",
        tables: &["listings"],
        growth: Growth::InCommit { kind: "listing", table: listings::TABLE },
    },
    ReadModel {
        name: "api_keys",
        tables: &["api_keys"],
        growth: Growth::InCommit { kind: "key", table: api_keys::TABLE },
    },
    ReadModel {
        name: "locations",
        tables: &["locations"],
        growth: Growth::InCommit { kind: "location", table: locations::TABLE },
    },
    ReadModel {
        name: "monitors",
        tables: &["monitors"],
        growth: Growth::InCommit { kind: "monitor", table: monitors::TABLE },
    },
    ReadModel {
        name: "flags",
        tables: &["flags"],
        growth: Growth::InCommit { kind: "flag", table: flags::TABLE },
    },
    ReadModel {
        name: "stock_levels",
        tables: &["stock_levels"],
        growth: Growth::Follows { kinds: &["stock"], apply: stock_levels::apply },
    },
    ReadModel {
        name: "reservations",
        tables: &["reservations"],
        growth: Growth::Follows { kinds: &["stock"], apply: reservations::apply },
    },
    ReadModel {
        name: "deliveries",
        tables: &["deliveries"],
        growth: Growth::Follows { kinds: &["delivery"], apply: deliveries::apply },
    },
];

/// The model of this name.
pub fn find(name: &str) -> Result<&'static ReadModel, ProjectorError> {
    MODELS.iter().find(|model| model.name == name).ok_or_else(|| ProjectorError::Unknown(name.to_owned()))
}

/// All of them by name, and whether each follows.
pub fn listed() -> Vec<(&'static str, bool)> {
    MODELS.iter().map(|model| (model.name, model.follows())).collect()
}

/// The names of those that follow.
pub fn following() -> Vec<&'static str> {
    MODELS.iter().filter(|model| model.follows()).map(|model| model.name).collect()
}

pub(crate) fn names() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.name).collect()
}

/// The tables every commit writes; what a ledger is opened with.
pub fn state_tables() -> Vec<StateTable> {
    let table = |model: &ReadModel| match model.growth {
        Growth::InCommit { table, .. } => Some(table),
        Growth::Follows { .. } => None,
    };
    MODELS.iter().filter_map(table).collect()
}
