//! History: kept, copied, put back, and what is only kept for a while.

mod archive;
mod archive_files;
pub(crate) mod audit;
mod erasures;
mod erasures_in_turns;
mod export;
mod kept_nodes;
mod ledgers;
mod looking_back;
mod maintenance;
mod persons;
mod proof;
mod rebuilds;
mod restore;
mod signed_checkpoints;
mod snapshots;
mod streams;
mod travel;
mod unmapped;
