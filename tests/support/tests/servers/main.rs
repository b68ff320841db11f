//! Whether the servers do what tests rely on.

mod faulty;
mod forwarder;
mod kamailio;
mod memcached;
mod model;
mod twemproxy;
