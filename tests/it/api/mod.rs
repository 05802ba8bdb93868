//! REST: who may do what, and what a mistake is answered with.

mod access;
mod contract;
mod mistakes;
mod oidc;
mod products;
