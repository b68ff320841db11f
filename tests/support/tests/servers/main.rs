//! Whether the servers do what tests rely on.

mod faulty;
mod kamailio;
mod memcached;
mod twemproxy;
