//! Addresses: the IP addresses of one server's name, in memory that all processes share.
//!
//! The prober looks names up and writes the answers here. Workers only read them, because looking a
//! name up may take long. The address in use is the one that was connected last.
//!
//! Why this is right: there are two lists, and the version tells which of them is valid. A writer
//! fills the other list and then changes the version, so a reader never waits. A reader looks at
//! the version again after it has copied a list, and copies again if the version has changed. Each
//! list has an owner: the server that had this place when its name was asked for. When the place
//! goes to another server, the owner changes, and neither the old list nor a late answer for the
//! old owner is used. All bits zero = no address is known.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::sys;

/// How many addresses of a name are kept.
pub(crate) const MAX_ADDRESSES: usize = 16;

/// The addresses of one server's name, and which of them is in use.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    version: AtomicU32,
    /// 1 while a process writes.
    writing: AtomicU32,
    /// The number of the server that has this place now.
    owner: AtomicU32,
    lists: [List; 2],
}

/// The way to tell all processes that an address is in use, for the process that connects it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    in_use: &'static AtomicU64,
    number: u64,
}

impl Mark {
    /// The address was connected. If the name has other addresses by now, nothing changes. True if
    /// another address was in use before.
    pub(crate) fn make(self) -> bool {
        let is_same_version = |last: u64| last >> 32 == self.number >> 32;
        let mark = |last| is_same_version(last).then_some(self.number);
        let before = self
            .in_use
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, mark);
        before.is_ok_and(|before| before != self.number)
    }
}

#[repr(C)]
#[derive(Debug, Default)]
struct List {
    owner: AtomicU32,
    count: AtomicU32,
    /// The version of the list, and the place of the address that was connected last, as [`in_use`] makes one number
    /// of them.
    in_use: AtomicU64,
    /// The upper and the lower half of each address; IPv4 is mapped into IPv6.
    halves: [[AtomicU64; 2]; MAX_ADDRESSES],
}

impl Addresses {
    /// The number of the server that has this place now, to be given to [`Self::write`] later.
    pub(crate) fn owner(&self) -> u32 {
        self.owner.load(Ordering::Acquire)
    }

    /// Another server takes this place: what is known is used no more.
    pub(crate) fn change_owner(&self) {
        self.owner.fetch_add(1, Ordering::Release);
    }

    /// Replaces the addresses by those of `owner`'s name. Those beyond [`MAX_ADDRESSES`] are left out, but
    /// not the one in use. True if another address is in use from now on: none was known, or the one in
    /// use is gone.
    pub(crate) fn write(&self, owner: u32, addresses: &[IpAddr]) -> bool {
        let known = self.read();
        let mut addresses = addresses.to_vec();
        // What is left out must not be the one in use.
        let used = addresses.iter().position(|ip| known.first() == Some(ip));
        if let Some(used) = used.filter(|used| *used >= MAX_ADDRESSES) {
            addresses.swap(used, MAX_ADDRESSES - 1);
        }
        addresses.truncate(MAX_ADDRESSES);
        let same = known.len() == addresses.len() && known.iter().all(|ip| addresses.contains(ip));
        if self.owner() != owner || same {
            return false;
        }
        if self.writing.swap(1, Ordering::Acquire) != 0 {
            // Another process is writing just now, and its answer is as fresh as this one.
            return false;
        }
        let next = self.version.load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release);
        let kept = addresses.iter().position(|ip| known.first() == Some(ip));
        let in_use = in_use(next, kept.unwrap_or_default());
        self.lists[next as usize % 2].write(owner, &addresses, in_use);
        sys::preempt();
        self.version.store(next, Ordering::Release);
        self.writing.store(0, Ordering::Release);
        kept.is_none()
    }

    /// The known addresses, the one in use first; empty before the first answer.
    pub(crate) fn read(&self) -> Vec<IpAddr> {
        self.numbered().1.into_iter().map(|(_, ip)| ip).collect()
    }

    /// The same, each with the mark that puts it in use once it is connected.
    pub(crate) fn marked(&'static self) -> impl Iterator<Item = (IpAddr, Mark)> {
        let (version, known) = self.numbered();
        let mark = move |place| Mark {
            in_use: &self.lists[version as usize % 2].in_use,
            number: in_use(version, place),
        };
        known.into_iter().map(move |(place, ip)| (ip, mark(place)))
    }

    /// The version, and its addresses with their places in the list, the one in use first.
    fn numbered(&self) -> (u32, Vec<(usize, IpAddr)>) {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let (owner, addresses, last) = self.lists[version as usize % 2].read();
            sys::preempt();
            fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed) != version {
                continue;
            }
            if owner != self.owner() {
                return (version, Vec::new());
            }
            let mut numbered: Vec<_> = addresses.into_iter().enumerate().collect();
            let place = (0..numbered.len()).find(|&place| in_use(version, place) == last);
            if let Some(place) = place {
                numbered[..=place].rotate_right(1);
            }
            return (version, numbered);
        }
    }
}

impl List {
    fn write(&self, owner: u32, addresses: &[IpAddr], in_use: u64) {
        for ([high, low], address) in self.halves.iter().zip(addresses) {
            let bits = match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => *v6,
            }
            .to_bits();
            high.store((bits >> 64) as u64, Ordering::Relaxed);
            low.store(bits as u64, Ordering::Relaxed);
        }
        self.count.store(addresses.len() as u32, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Relaxed);
        self.in_use.store(in_use, Ordering::Relaxed);
    }

    fn read(&self) -> (u32, Vec<IpAddr>, u64) {
        let count = (self.count.load(Ordering::Relaxed) as usize).min(MAX_ADDRESSES);
        let address = |[high, low]: &[AtomicU64; 2]| {
            let (high, low) = (high.load(Ordering::Relaxed), low.load(Ordering::Relaxed));
            Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).to_canonical()
        };
        let addresses = self.halves[..count].iter().map(address).collect();
        let in_use = self.in_use.load(Ordering::Relaxed);
        (self.owner.load(Ordering::Relaxed), addresses, in_use)
    }
}

/// One number for a version and a place in its list.
fn in_use(version: u32, place: usize) -> u64 {
    u64::from(version) << 32 | place as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// A worker connects the address that is read at this place now.
    fn connect(addresses: &'static Addresses, at: usize) {
        addresses.marked().nth(at).unwrap().1.make();
    }

    #[test]
    fn both_families_are_kept_in_their_order() {
        let addresses = Addresses::default();
        assert!(addresses.read().is_empty());
        for list in [&["127.0.0.1", "::1", "2001:db8::7"][..], &["10.1.2.3"], &[]] {
            addresses.write(0, &parse(list));
            assert_eq!(addresses.read(), parse(list));
        }
    }

    #[test]
    fn more_than_fit_are_left_out() {
        let addresses = Addresses::default();
        let many = numbered(1..=20);
        addresses.write(0, &many);
        assert_eq!(addresses.read(), many[..16]);
    }

    /// `10.0.0.1` and so on.
    fn numbered(numbers: impl IntoIterator<Item = u8>) -> Vec<IpAddr> {
        let address = |number| IpAddr::from([10, 0, 0, number]);
        numbers.into_iter().map(address).collect()
    }

    #[test]
    fn the_one_in_use_is_never_left_out_as_long_as_the_name_has_it() {
        let addresses: &'static Addresses = Box::leak(Box::default());
        addresses.write(0, &numbered(1..=20));
        connect(addresses, 4);
        let in_use = numbered([5])[0];
        // A name server that takes turns.
        for turn in 0..20 {
            let list = numbered((0..20).map(|at| (at + turn) % 20 + 1));
            assert!(!addresses.write(0, &list), "{turn}");
            let read = addresses.read();
            assert_eq!((read.len(), read[0]), (16, in_use), "{turn}");
        }
        assert!(addresses.write(0, &numbered(6..=20)), "it is gone");
        assert_eq!(addresses.read(), numbered(6..=20));
    }

    #[test]
    fn the_one_in_use_comes_first_as_long_as_the_name_has_it() {
        let addresses: &'static Addresses = Box::leak(Box::default());
        assert!(addresses.write(0, &parse(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])));
        connect(addresses, 2);
        let first = parse(&["10.0.0.3", "10.0.0.1", "10.0.0.2"]);
        assert_eq!(addresses.read(), first);
        // A name server that takes turns changes nothing.
        assert!(!addresses.write(0, &parse(&["10.0.0.2", "10.0.0.3", "10.0.0.1"])));
        assert_eq!(addresses.read(), first);
        assert!(!addresses.write(0, &parse(&["10.0.0.2", "10.0.0.3"])));
        assert_eq!(addresses.read(), parse(&["10.0.0.3", "10.0.0.2"]));
        assert!(addresses.write(0, &parse(&["10.0.0.4", "10.0.0.2"])));
        assert_eq!(addresses.read(), parse(&["10.0.0.4", "10.0.0.2"]));
    }

    #[test]
    fn a_mark_on_an_older_version_marks_nothing() {
        let addresses: &'static Addresses = Box::leak(Box::default());
        addresses.write(0, &parse(&["10.0.0.1", "10.0.0.2"]));
        let late = addresses.marked().nth(1).unwrap().1;
        addresses.write(0, &parse(&["10.0.0.1", "10.0.0.3"]));
        late.make();
        assert_eq!(addresses.read(), parse(&["10.0.0.1", "10.0.0.3"]));
        connect(addresses, 1);
        let late = addresses.marked().nth(1).unwrap().1;
        addresses.write(0, &parse(&["10.0.0.4", "10.0.0.3"]));
        addresses.write(0, &parse(&["10.0.0.5", "10.0.0.3"]));
        assert!(!late.make());
        assert_eq!(addresses.read(), parse(&["10.0.0.3", "10.0.0.5"]));
    }

    #[test]
    fn an_answer_for_the_last_owner_is_not_used() {
        let addresses = Addresses::default();
        let before = addresses.owner();
        addresses.write(before, &parse(&["10.0.0.1"]));
        addresses.change_owner();
        assert!(addresses.read().is_empty());
        assert!(!addresses.write(before, &parse(&["10.0.0.2"])));
        assert!(addresses.read().is_empty());
        addresses.write(addresses.owner(), &parse(&["10.0.0.3"]));
        assert_eq!(addresses.read(), parse(&["10.0.0.3"]));
    }

    #[test]
    fn who_reads_while_another_writes_sees_one_list_or_the_other() {
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        let addresses: &'static Addresses = Box::leak(Box::default());
        let lists = [
            parse(&["10.0.0.1", "10.0.0.1"]),
            parse(&["10.0.0.2", "10.0.0.2"]),
        ];
        addresses.write(0, &lists[0]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for at in 0..rounds {
                    addresses.write(0, &lists[at % 2]);
                }
            });
            for _ in 0..rounds {
                let read = addresses.read();
                assert!(lists.contains(&read), "{read:?}");
            }
        });
    }
}
