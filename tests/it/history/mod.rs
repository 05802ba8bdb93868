//! History: kept, copied, put back, and what is only kept for a while.

mod archive;
mod archive_files;
mod audit;
mod erasures;
mod export;
mod ledgers;
mod looking_back;
mod maintenance;
mod persons;
mod proof;
mod restore;
mod signed_checkpoints;
mod streams;
mod travel;
