//! Stock: every operation, under every circumstance.

mod bulk;
mod cases;
mod holds;
mod locations;
mod model;
mod moves;
mod policy;
mod rush;
mod stress;
