//! History: kept, copied, put back, and what is only kept for a while.

mod archive;
mod audit;
mod export;
mod maintenance;
mod persons;
mod proof;
mod restore;
mod signed_checkpoints;
mod streams;
mod travel;
