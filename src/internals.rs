//! What the benches, the fuzzing and the tests in `tests/` use of this library. It may change at
//! any time.

use crate::config::Parameter;

#[cfg(feature = "simulation")]
pub mod simulation;

pub use crate::cache::Cache;
pub use crate::config::{Given, Parameters};
pub use crate::error::{Down, Error, Refusal, Waiting};
pub use crate::item::forms::ItemForm;
pub use crate::item::key::WireKey;
pub use crate::item::key_parts::{KeyParts, cut_list};
pub use crate::item::value::{Found, Numbers, Value};
pub use crate::placement::Placement;
pub use crate::placement::hash::{KeyHash, System};
pub use crate::placement::ring::{Distribution, Ring};
pub use crate::server::{Address, ServerSpec, parse_list};
pub use crate::shared::Shared;
pub use crate::shared::near::{Set, Slot, Table, WAYS};
pub use crate::status::Status;
pub use crate::wire::protocol::text::encode;
pub use crate::wire::protocol::{Kind, Reply, Request, Store, Way};
pub use crate::wire::session::Session;

/// The names of all parameters.
pub fn parameter_names() -> impl Iterator<Item = &'static str> {
    let names = Parameter::ALL.iter().map(|row| row.name.to_str());
    names.map(|name| name.unwrap_or_default())
}
