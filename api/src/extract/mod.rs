//! What a handler is given: who asks, with what right, and what for. No route that touches data is without one of these.

mod ask;
mod bearer;
mod body;
mod path;
mod reader;
mod reference;
mod time;

pub use ask::{AdminAsk, Ask, Empty, JudgedAsk, Query};
pub(crate) use bearer::{KeyCache, no_keys_known};
pub use body::{each_once, object, read_body};
pub use path::{OpenPath, Path};
pub use reader::{AnyTime, Listing, Reader, position_of};
pub use reference::Reference;
pub use time::Time;
