//! Resolver: finds the addresses of names, on threads of its own.
//!
//! The system's resolver cannot be bounded in time, so nobody waits for it longer than he wants:
//! each name has a thread, which leaves the answer where it is wanted when it comes. A name that is
//! being asked for is not asked for again. Only the prober, and the main process while it starts,
//! have such threads.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::sys;

/// One name's lookups.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    under_way: Arc<AtomicBool>,
    /// The process that this is about, as [`sys::process`] tells them apart: a fork leaves threads
    /// behind.
    process: u32,
}

impl Lookup {
    /// Begins to look `host` up, unless that is under way; `found` gets the addresses, one or more, on
    /// another thread.
    pub(crate) fn begin(&mut self, host: &str, found: impl FnOnce(&[IpAddr]) + Send + 'static) {
        sys::watch_forks();
        let process = sys::process();
        if self.process != process {
            *self = Self {
                under_way: Arc::default(),
                process,
            };
        }
        if self.under_way.swap(true, Ordering::Acquire) {
            return;
        }
        let (host, under_way) = (host.to_owned(), Arc::clone(&self.under_way));
        let look = move || {
            let addresses = addresses_of(&host);
            if !addresses.is_empty() {
                found(&addresses);
            }
            under_way.store(false, Ordering::Release);
        };
        let thread =
            sys::with_signals_blocked(|| thread::Builder::new().stack_size(256 * 1024).spawn(look));
        if thread.is_err() {
            self.under_way.store(false, Ordering::Release);
        }
    }

    /// Waits for the answer, `time` at most.
    pub(crate) fn wait(&self, time: Duration) {
        let step = Duration::from_millis(2);
        let steps = time.as_millis() / step.as_millis();
        for _ in 0..steps {
            if !self.under_way.load(Ordering::Acquire) {
                return;
            }
            thread::sleep(step);
        }
    }
}

/// The name's addresses, each once, in the resolver's order.
fn addresses_of(host: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in (host, 0).to_socket_addrs().into_iter().flatten() {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// Begins; where the addresses will come.
    fn begin(lookup: &mut Lookup, host: &str) -> Receiver<Vec<IpAddr>> {
        let (sender, receiver) = channel();
        lookup.begin(host, move |found| sender.send(found.to_vec()).unwrap());
        receiver
    }

    #[test]
    fn a_name_gets_its_addresses_and_others_get_none() {
        let mut lookup = Lookup::default();
        let answer = begin(&mut lookup, "localhost");
        lookup.wait(Duration::from_secs(10));
        let known = answer.try_recv().unwrap();
        assert!(
            known.iter().all(IpAddr::is_loopback) && !known.is_empty(),
            "{known:?}"
        );
        let answer = begin(&mut lookup, "no-such-host.invalid");
        lookup.wait(Duration::from_secs(10));
        assert!(answer.try_recv().is_err());
    }

    #[test]
    fn a_lookup_that_was_under_way_before_a_fork_is_begun_again() {
        let mut lookup = Lookup {
            under_way: Arc::new(AtomicBool::new(true)),
            process: sys::process(),
        };
        let answer = begin(&mut lookup, "localhost");
        assert!(answer.recv().is_err(), "one is under way");
        lookup.process = sys::process().wrapping_add(1);
        let answer = begin(&mut lookup, "localhost");
        assert!(answer.recv_timeout(Duration::from_secs(10)).is_ok());
    }
}
