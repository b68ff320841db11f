//! The memcached module for Kamailio.

pub mod hash;
