//! Shared: what all processes of the host share of one pool: the list of servers, a slot for each
//! of them, the statistics, and what may be changed while running.
//!
//! A server keeps its slot, and so its health, as long as its address is in the list. In the
//! roster's text each line is a slot and a server. All bits zero = no servers.

pub(crate) mod server_list;
pub(crate) mod slot;
pub(crate) mod tunables;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Moment;
use crate::server::{MAX_SERVERS, ServerSpec};
use crate::shared::server_list::{NotWritten, Roster};
use crate::shared::slot::Slot;
use crate::shared::tunables::Tunables;
use crate::stats::Stats;

/// A pool's part of the shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct Shared {
    roster: Roster,
    /// How often a server of the pool has changed its state, or a parameter its value.
    changes: AtomicU32,
    slots: [Slot; MAX_SERVERS],
    stats: Stats,
    tunables: Tunables,
}

impl Shared {
    /// The number of the list's present version.
    pub fn version(&self) -> u32 {
        self.roster.version()
    }

    /// How often a server has changed its state, or a parameter its value.
    pub fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    /// Tells all processes of such a change, once it is made.
    pub fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The slot of that number.
    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// The pool's counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The parameters that may be changed.
    pub fn tunables(&self) -> &Tunables {
        &self.tunables
    }

    /// The list with the number of its version, or `None` while it is being replaced.
    pub fn list(&self) -> Option<(u32, Vec<(usize, ServerSpec)>)> {
        let (version, text) = self.roster.read()?;
        let entry = |line: &str| {
            let (slot, server) = line.split_once(' ')?;
            let slot = slot.parse().ok().filter(|slot| *slot < MAX_SERVERS)?;
            Some((slot, server.parse().ok()?))
        };
        Some((version, text.lines().filter_map(entry).collect()))
    }

    /// Replaces the list; new servers begin active.
    ///
    /// # Errors
    /// [`NotWritten`]; the list is then as it was.
    pub fn publish(&self, servers: &[ServerSpec], now: Moment) -> Result<(), NotWritten> {
        let (_, old) = self.list().ok_or(NotWritten::Busy)?;
        let unused = (0..MAX_SERVERS).filter(|slot| old.iter().all(|(used, _)| used != slot));
        // Slots of servers that leave come last: who still has the old list looks at them.
        let leaves = |known: &ServerSpec| servers.iter().all(|new| new.address != known.address);
        let leaving = old.iter().filter(|(_, known)| leaves(known));
        let mut free = unused.chain(leaving.map(|&(slot, _)| slot));
        let (mut lines, mut fresh) = (Vec::new(), Vec::new());
        for server in servers {
            let known = old
                .iter()
                .find(|(_, known)| known.address == server.address);
            let slot = match known {
                Some((slot, _)) => *slot,
                None => {
                    let slot = free.next().ok_or(NotWritten::TooLong)?;
                    fresh.push(slot);
                    slot
                }
            };
            lines.push(format!("{slot} {server}"));
        }
        // Nobody uses an unused slot before the list names it.
        for slot in fresh {
            self.slots[slot].reset(now);
        }
        self.roster.write(&lines.join("\n"))?;
        self.note_change();
        Ok(())
    }

    /// Such memory of a process's own, for programs that share nothing.
    pub fn private(count: usize) -> &'static [Self] {
        // More than the stack of a thread usually holds, so this one has its own.
        let build = move || -> &'static [Self] {
            (0..count).map(|_| Self::new()).collect::<Vec<_>>().leak()
        };
        let builder = std::thread::Builder::new().stack_size(8 * size_of::<Self>());
        let built = builder.spawn(build).map(|thread| thread.join());
        built.ok().and_then(Result::ok).unwrap_or_default()
    }

    fn new() -> Self {
        Self {
            roster: Roster::new(),
            changes: AtomicU32::new(0),
            slots: std::array::from_fn(|_| Slot::default()),
            stats: Stats::default(),
            tunables: Tunables::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::State;
    use crate::server::parse_list;

    fn slots(shared: &Shared) -> Vec<(usize, String)> {
        let (_, list) = shared.list().unwrap();
        list.into_iter()
            .map(|(slot, server)| (slot, server.to_string()))
            .collect()
    }

    #[test]
    fn a_server_keeps_its_slot_and_health_while_it_is_listed() {
        let shared = &Shared::private(1)[0];
        let now = Moment::now();
        shared
            .publish(&parse_list("a:1,b:2,c:3").unwrap(), now)
            .unwrap();
        shared.slot(1).health.set(now, State::Disabled);
        let before = shared.changes();
        shared
            .publish(&parse_list("d:4,b:2:7 bee").unwrap(), now)
            .unwrap();
        assert_ne!(shared.changes(), before);
        assert_eq!(
            slots(shared),
            [(3, "d:4:1".into()), (1, "b:2:7 bee".into())]
        );
        assert_eq!(shared.slot(1).health.state(), State::Disabled);
        shared
            .publish(&parse_list("e:5,f:6").unwrap(), now)
            .unwrap();
        shared
            .publish(&parse_list("g:7,h:8").unwrap(), now)
            .unwrap();
        assert_eq!(
            shared.slot(1).health.state(),
            State::Active,
            "a new server begins anew"
        );
    }

    #[test]
    fn a_full_list_may_be_replaced_by_another() {
        let shared = &Shared::private(1)[0];
        let list = |name: &str| {
            let items = (1..=MAX_SERVERS).map(|port| format!("{name}:{port}"));
            parse_list(&items.collect::<Vec<_>>().join(",")).unwrap()
        };
        for name in ["a", "b"] {
            shared.publish(&list(name), Moment::now()).unwrap();
            let mut slots: Vec<usize> = slots(shared).into_iter().map(|(slot, _)| slot).collect();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), MAX_SERVERS, "each has its own");
        }
    }
}
