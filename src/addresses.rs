//! Addresses: what a server's name has been resolved to, in memory that all processes share.
//!
//! Workers never resolve names, for a resolver that hangs would hold them; they read what the
//! resolver has left here. The version is odd while somebody writes, and a reader that was
//! overtaken finds nothing rather than half an address, as in [`roster`](crate::roster); making
//! the version odd is also what keeps a second writer out. All bits zero = nothing known.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How many addresses of a name are kept.
pub const MAX_ADDRESSES: usize = 4;

/// The addresses of one server's name.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Addresses {
    version: AtomicU32,
    count: AtomicU32,
    /// The two halves of each, IPv4 mapped into IPv6.
    halves: [[AtomicU64; 2]; MAX_ADDRESSES],
}

impl Addresses {
    /// Replaces them; what does not fit is left out.
    pub fn write(&self, addresses: &[IpAddr]) {
        let version = self.version.load(Ordering::Relaxed);
        let odd = version.wrapping_add(1);
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        if !version.is_multiple_of(2)
            || self
                .version
                .compare_exchange(version, odd, acquire, relaxed)
                .is_err()
        {
            // Somebody else is writing, an answer as fresh as this one.
            return;
        }
        fence(Ordering::Release);
        for ([high, low], address) in self.halves.iter().zip(addresses) {
            let bits = match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => *v6,
            }
            .to_bits();
            high.store((bits >> 64) as u64, relaxed);
            low.store(bits as u64, relaxed);
        }
        self.count
            .store(addresses.len().min(MAX_ADDRESSES) as u32, relaxed);
        self.version.store(odd.wrapping_add(1), Ordering::Release);
    }

    /// What is known; empty before the first answer, and while one is being written.
    pub fn read(&self) -> Vec<IpAddr> {
        let version = self.version.load(Ordering::Acquire);
        let count = (self.count.load(Ordering::Relaxed) as usize).min(MAX_ADDRESSES);
        let addresses = self.halves[..count].iter().map(|[high, low]| {
            let (high, low) = (high.load(Ordering::Relaxed), low.load(Ordering::Relaxed));
            Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).to_canonical()
        });
        let addresses: Vec<_> = addresses.collect();
        fence(Ordering::Acquire);
        let whole = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        if whole { addresses } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn both_families_are_kept_in_their_order() {
        let addresses = Addresses::default();
        assert!(addresses.read().is_empty());
        for list in [&["127.0.0.1", "::1", "2001:db8::7"][..], &["10.1.2.3"], &[]] {
            addresses.write(&parse(list));
            assert_eq!(addresses.read(), parse(list));
        }
    }

    #[test]
    fn more_than_fit_are_left_out() {
        let addresses = Addresses::default();
        let many = parse(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]);
        addresses.write(&many);
        assert_eq!(addresses.read(), many[..MAX_ADDRESSES]);
    }
}
