//! Shared: one pool's part of the memory that all processes of Kamailio share: the list of servers,
//! a slot for each server, the statistics, and the parameters that may be changed while running.
//!
//! A server keeps its slot, and so its health, as long as its address is in the list. Each line of
//! the list's text is the number of a slot and the server that has it. All bits zero = no servers.

pub(crate) mod server_list;
pub(crate) mod slot;
pub(crate) mod tunables;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Moment;
use crate::server::{MAX_SERVERS, ServerSpec};
use crate::shared::server_list::{NotPublished, ServerList, Text};
use crate::shared::slot::Slot;
use crate::shared::tunables::Tunables;
use crate::stats::Stats;

/// One pool's part of the shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct Shared {
    list: ServerList,
    /// How often a server of the pool has changed its state, or a parameter its value.
    changes: AtomicU32,
    slots: [Slot; MAX_SERVERS],
    stats: Stats,
    tunables: Tunables,
}

impl Shared {
    /// The present version of the list.
    pub fn version(&self) -> u32 {
        self.list.version()
    }

    /// How often a server has changed its state, or a parameter its value.
    pub fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    /// Tells all processes that such a change was made.
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

    /// The version of the list, and each server with the number of its slot; `None` while the list
    /// is being replaced.
    pub fn list(&self) -> Option<(u32, Vec<(usize, ServerSpec)>)> {
        let (version, text) = self.list.read()?;
        Some((version, entries(&text)))
    }

    /// Replaces the list of that version; new servers begin active.
    ///
    /// # Errors
    /// [`NotPublished`]; the list and all slots are then as they were.
    pub(crate) fn publish(
        &self,
        version: u32,
        servers: &[ServerSpec],
        now: Moment,
    ) -> Result<(), NotPublished> {
        // From here on this process alone may replace the list, and so give slots away.
        let writer = self.list.begin_write(version)?;
        let old = entries(&writer.text());
        let unused = (0..MAX_SERVERS).filter(|slot| old.iter().all(|(used, _)| used != slot));
        // Slots of servers that leave come last: a process that has the old list still uses them.
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
                    let slot = free.next().ok_or(NotPublished::TooLong)?;
                    fresh.push(slot);
                    slot
                }
            };
            lines.push(format!("{slot} {server}"));
        }
        let text = Text::new(lines.join("\n"))?;
        // No process uses an unused slot before the list names it.
        fresh
            .into_iter()
            .for_each(|slot| self.slots[slot].reset(now));
        writer.write(&text);
        self.note_change();
        Ok(())
    }

    /// The same in this process's own memory, for programs that share nothing.
    pub fn private(count: usize) -> &'static [Self] {
        // The value is larger than a thread's usual stack, so it is made on a thread with more.
        let build = move || -> &'static [Self] {
            (0..count).map(|_| Self::new()).collect::<Vec<_>>().leak()
        };
        let builder = std::thread::Builder::new().stack_size(8 * size_of::<Self>());
        let built = builder.spawn(build).map(|thread| thread.join());
        built.ok().and_then(Result::ok).unwrap_or_default()
    }

    fn new() -> Self {
        Self {
            list: ServerList::new(),
            changes: AtomicU32::new(0),
            slots: std::array::from_fn(|_| Slot::default()),
            stats: Stats::default(),
            tunables: Tunables::default(),
        }
    }
}

/// What a list's text says: servers with the numbers of their slots.
fn entries(text: &str) -> Vec<(usize, ServerSpec)> {
    let entry = |line: &str| {
        let (slot, server) = line.split_once(' ')?;
        let slot = slot.parse().ok().filter(|slot| *slot < MAX_SERVERS)?;
        Some((slot, server.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
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

    fn publish(shared: &Shared, servers: &str, now: Moment) {
        let servers = parse_list(servers).unwrap();
        shared.publish(shared.version(), &servers, now).unwrap();
    }

    #[test]
    fn a_server_keeps_its_slot_and_health_while_it_is_listed() {
        let shared = &Shared::private(1)[0];
        let now = Moment::now();
        publish(shared, "a:1,b:2,c:3", now);
        shared.slot(1).health.set(now, State::Disabled);
        let before = shared.changes();
        publish(shared, "d:4,b:2:7 bee", now);
        assert_ne!(shared.changes(), before);
        assert_eq!(
            slots(shared),
            [(3, "d:4:1".into()), (1, "b:2:7 bee".into())]
        );
        assert_eq!(shared.slot(1).health.state(), State::Disabled);
        publish(shared, "e:5,f:6", now);
        publish(shared, "g:7,h:8", now);
        assert_eq!(
            shared.slot(1).health.state(),
            State::Active,
            "a new server begins anew"
        );
    }

    #[test]
    fn of_two_who_publish_from_one_version_one_succeeds_and_the_other_touches_nothing() {
        let shared = &Shared::private(1)[0];
        let now = Moment::now();
        publish(shared, "a:1", now);
        let version = shared.version();
        let [first, second] = ["a:1,b:2", "c:3,d:4"].map(|list| parse_list(list).unwrap());
        shared.publish(version, &first, now).unwrap();
        for slot in 0..MAX_SERVERS {
            shared.slot(slot).health.set(now, State::Disabled);
        }
        let (before, changes) = (slots(shared), shared.changes());
        let late = shared.publish(version, &second, now);
        assert_eq!(late, Err(NotPublished::Changed));
        assert_eq!((slots(shared), shared.changes()), (before, changes));
        let state = |slot: usize| shared.slot(slot).health.state();
        assert!((0..MAX_SERVERS).all(|slot| state(slot) == State::Disabled));
    }

    #[test]
    fn a_list_that_does_not_fit_changes_nothing() {
        let shared = &Shared::private(1)[0];
        let now = Moment::now();
        publish(shared, "a:1", now);
        shared.slot(0).health.set(now, State::Disabled);
        let before = (shared.version(), slots(shared));
        let ports = 1..=MAX_SERVERS as u16 + 1;
        let servers = ports.map(|port| format!("b:{port}").parse().unwrap());
        let many: Vec<ServerSpec> = servers.collect();
        let long = shared.publish(shared.version(), &many, now);
        assert_eq!(long, Err(NotPublished::TooLong));
        assert_eq!((shared.version(), slots(shared)), before);
        assert_eq!(shared.slot(0).health.state(), State::Disabled);
    }

    #[test]
    fn a_full_list_may_be_replaced_by_another() {
        let shared = &Shared::private(1)[0];
        for name in ["a", "b"] {
            let items = (1..=MAX_SERVERS).map(|port| format!("{name}:{port}"));
            let items: Vec<_> = items.collect();
            publish(shared, &items.join(","), Moment::now());
            let mut slots: Vec<usize> = slots(shared).into_iter().map(|(slot, _)| slot).collect();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), MAX_SERVERS, "each has its own");
        }
    }
}
