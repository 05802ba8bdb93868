//! `KicksDB`: market prices in, nothing out.
//!
//! It knows what a model is traded for, by the maker's code and the size, and never what a seller has.

pub mod inbound;
