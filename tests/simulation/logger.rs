//! Logger: what the library logs goes into the history of the run.

use std::cell::Cell;

use super::world::World;

thread_local! {
    /// The world whose log is written.
    static LOGGED: Cell<Option<&'static World>> = const { Cell::new(None) };
}

/// Writes what the library logs to the history of the run.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if let Some(world) = LOGGED.get() {
            let line = format!("{}: {}", record.level(), record.args());
            let mut state = world.state.borrow_mut();
            state.say(|_| line.clone());
            let now = state.now;
            state.history.log.push((now, line));
        }
    }

    fn flush(&self) {}
}

/// Has the world take the log lines of this thread, or nobody.
pub fn log_to(world: Option<&'static World>) {
    LOGGED.set(world);
}

/// Has log lines of this program go into the histories.
pub fn take_log() {
    log::set_logger(&Logger).expect("the first logger");
    log::set_max_level(log::LevelFilter::Info);
}
