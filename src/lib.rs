//! The memcached module for Kamailio.
