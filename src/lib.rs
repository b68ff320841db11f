//! The memcached module for Kamailio.

pub mod hash;
pub mod server;
