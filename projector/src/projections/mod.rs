//! One file a read model, named after its table.

pub mod api_keys;
pub mod connections;
pub mod deliveries;
pub mod flags;
pub mod listings;
pub mod locations;
pub mod monitors;
pub mod products;
pub mod reservations;
pub mod stock_levels;
