//! Shared: one pool's part of the memory that all processes of Kamailio share: the list of servers,
//! a slot for each server, the statistics, and the parameters that may be changed while running.
//!
//! A server keeps its slot, and so its health, as long as its address is in the list. One that an
//! operator has disabled keeps it when it leaves the list, too, so that it is still disabled should it
//! come back. Each line of the list's text is the number of a slot and the server that has it, with
//! [`LEFT`] between them if the server has left. All bits zero = no servers.

pub(crate) mod leases;
pub(crate) mod near;
pub(crate) mod server_list;
pub(crate) mod slot;
pub(crate) mod tunables;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Moment;
use crate::health::State;
use crate::server::{MAX_SERVERS, ServerSpec};
use crate::shared::leases::Leases;
use crate::shared::server_list::{NotPublished, ServerList, Text};
use crate::shared::slot::Slot;
use crate::shared::tunables::Tunables;
use crate::stats::Stats;
use crate::sys;

/// One pool's part of the shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct Shared {
    list: ServerList,
    /// How often a server of the pool has changed its state, or a parameter its value.
    changes: AtomicU32,
    /// How often an operator has had the files of secrets read again.
    renewals: AtomicU32,
    slots: [Slot; MAX_SERVERS],
    stats: Stats,
    tunables: Tunables,
    leases: Leases,
    near: near::Head,
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

    /// How often an operator has had the files of secrets read again.
    pub(crate) fn renewals(&self) -> u32 {
        self.renewals.load(Ordering::Acquire)
    }

    /// Tells all processes to do that.
    pub(crate) fn note_renewal(&self) {
        self.renewals.fetch_add(1, Ordering::Release);
        self.note_change();
    }

    /// The slot of that number.
    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// The pool's counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether leases are asked for.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The parameters that may be changed.
    pub fn tunables(&self) -> &Tunables {
        &self.tunables
    }

    /// What there is once of the pool's near cache, if it has one.
    pub fn near(&self) -> &near::Head {
        &self.near
    }

    /// The version of the list, and each server with the number of its slot; `None` while the list
    /// is being replaced.
    pub fn list(&self) -> Option<(u32, Vec<(usize, ServerSpec)>)> {
        let (version, text) = self.list.read()?;
        let listed = entries(&text).filter(|entry| !entry.has_left);
        Some((
            version,
            listed.map(|entry| (entry.slot, entry.server)).collect(),
        ))
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
        let old: Vec<Entry> = entries(&writer.text()).collect();
        let unused = (0..MAX_SERVERS).filter(|slot| old.iter().all(|old| old.slot != *slot));
        // Slots of servers that leave come last: a process that has the old list still uses them. After
        // them come those of servers that are to stay disabled.
        let leaves = |old: &&Entry| servers.iter().all(|new| new.address != old.server.address);
        let is_disabled = |old: &&Entry| self.slots[old.slot].health.state() == State::Disabled;
        let (disabled, leaving): (Vec<_>, Vec<_>) =
            old.iter().filter(leaves).partition(is_disabled);
        let mut free = unused.chain(leaving.iter().chain(&disabled).map(|old| old.slot));
        let (mut lines, mut fresh) = (Vec::new(), Vec::new());
        for server in servers {
            let known = old.iter().find(|old| old.server.address == server.address);
            let slot = match known {
                Some(old) if !sys::planted("a reload forgets states") => old.slot,
                _ => {
                    let slot = free.next().ok_or(NotPublished::TooLong)?;
                    fresh.push(slot);
                    slot
                }
            };
            lines.push(format!("{slot} {server}"));
        }
        let mut text = Text::new(lines.join("\n"))?;
        let stay_disabled = disabled.iter().filter(|old| !fresh.contains(&old.slot));
        stay_disabled.for_each(|old| text.add_left(&old.line()));
        // No process uses an unused slot before the list names it, but for one that has not followed since the last
        // reload but one: what that says of its server belongs to another generation.
        fresh
            .into_iter()
            .for_each(|slot| self.slots[slot].reset(now));
        writer.write(&text);
        sys::preempt();
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
            renewals: AtomicU32::new(0),
            slots: std::array::from_fn(|_| Slot::default()),
            stats: Stats::default(),
            tunables: Tunables::default(),
            leases: Leases::default(),
            near: near::Head::default(),
        }
    }
}

/// What stands in the line of a server that has left the list. No server is called so without a port.
const LEFT: &str = "left ";

/// A line of a list's text.
struct Entry {
    slot: usize,
    server: ServerSpec,
    has_left: bool,
}

impl Entry {
    /// The line, once its server has left the list.
    fn line(&self) -> String {
        format!("{} {LEFT}{}", self.slot, self.server)
    }
}

/// What a list's text says.
fn entries(text: &str) -> impl Iterator<Item = Entry> {
    text.lines().filter_map(|line| {
        let (slot, server) = line.split_once(' ')?;
        let slot = slot.parse().ok().filter(|slot| *slot < MAX_SERVERS)?;
        let left = server.strip_prefix(LEFT);
        Some(Entry {
            slot,
            server: left.unwrap_or(server).parse().ok()?,
            has_left: left.is_some(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
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
        shared.slot(3).health.set(now, State::Inactive);
        publish(shared, "e:5,f:6", now);
        for slot in [0, 2] {
            shared.slot(slot).health.set(now, State::Inactive);
        }
        publish(shared, "d:4", now);
        let [(slot, _)] = slots(shared)[..] else {
            panic!("one server");
        };
        let state = shared.slot(slot).health.state();
        assert_eq!(state, State::Active, "a new server begins anew");
    }

    #[test]
    fn what_an_operator_has_disabled_stays_so_when_the_list_drops_it_and_takes_it_back() {
        let shared = &Shared::private(1)[0];
        let now = Moment::now();
        publish(shared, "a:1,b:2,c:3", now);
        shared.slot(1).health.set(now, State::Disabled);
        for list in ["a:1,d:4,e:5", "a:1", "c:3,d:4,e:5,f:6,g:7"] {
            publish(shared, list, now);
            let listed = slots(shared);
            assert_eq!(listed.len(), list.split(',').count(), "{listed:?}");
            assert!(listed.iter().all(|(slot, _)| *slot != 1), "{listed:?}");
        }
        publish(shared, "a:1,b:2:7 bee", now);
        assert_eq!(slots(shared)[1], (1, "b:2:7 bee".into()));
        assert_eq!(shared.slot(1).health.state(), State::Disabled);
        // Until the operator says otherwise.
        shared.slot(1).health.set(now, State::Active);
        publish(shared, "a:1", now);
        let items: Vec<_> = (1..=MAX_SERVERS).map(|port| format!("x:{port}")).collect();
        publish(shared, &items.join(","), now);
        assert_eq!(slots(shared).len(), MAX_SERVERS);
    }

    #[test]
    fn a_full_list_may_take_the_slot_of_a_server_that_has_left() {
        let shared = &Shared::private(1)[0];
        let now = Moment::now();
        publish(shared, "a:1", now);
        shared.slot(0).health.set(now, State::Disabled);
        let items: Vec<_> = (1..=MAX_SERVERS).map(|port| format!("x:{port}")).collect();
        publish(shared, &items.join(","), now);
        let states = slots(shared)
            .into_iter()
            .map(|(slot, _)| shared.slot(slot).health.state());
        assert!(states.into_iter().all(|state| state == State::Active));
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
