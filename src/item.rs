//! An item as memcached keeps it: its key, its lifetime, its value.

pub(crate) mod compression;
pub(crate) mod forms;
pub(crate) mod key;
pub(crate) mod key_parts;
pub(crate) mod lifetime;
pub(crate) mod value;
