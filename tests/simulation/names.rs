//! Names: what addresses lead to, and what names resolve to.

use std::net::{IpAddr, Ipv4Addr};

use internals::simulation::Place;
use kamailio_memcached::internals;

use super::setup::Setup;
use super::world::{MILLI, SECOND, State};

/// Where the servers are.
#[derive(Debug)]
pub struct Names {
    /// Of each server, its present address.
    addresses: Vec<IpAddr>,
    /// Until when no name resolves.
    pub fail_until: u64,
    /// Until when lookups take very long.
    pub hang_until: u64,
}

impl Names {
    /// The servers at their first addresses.
    pub fn new(setup: &Setup) -> Self {
        let address = |number| IpAddr::V4(Ipv4Addr::new(10, 0, 0, number as u8 + 1));
        Self {
            addresses: (0..setup.servers.len()).map(address).collect(),
            fail_until: 0,
            hang_until: 0,
        }
    }

    /// The server that listens there.
    pub fn server_at(&self, place: Place<'_>) -> Option<usize> {
        match place {
            Place::Tcp(place) => self
                .addresses
                .iter()
                .position(|address| *address == place.ip()),
            Place::Unix(_) => None,
        }
    }

    /// The server moves to another address.
    pub fn move_away(&mut self, server: usize) {
        if let IpAddr::V4(address) = self.addresses[server] {
            let [a, b, c, d] = address.octets();
            self.addresses[server] = IpAddr::V4(Ipv4Addr::new(a, b, c + 1, d));
        }
    }
}

impl State {
    /// How long a lookup takes.
    pub fn look_up_time(&mut self) -> u64 {
        match self.names.hang_until > self.now {
            true => self.random.between(SECOND, 40 * SECOND),
            false => self.random.between(MILLI / 10, 30 * MILLI),
        }
    }

    /// The addresses of a name `mc-NUMBER`.
    pub fn look_up(&mut self, name: &str) -> Vec<IpAddr> {
        if self.names.fail_until > self.now {
            return Vec::new();
        }
        let number = name
            .strip_prefix("mc-")
            .and_then(|text| text.parse::<usize>().ok());
        let address = number.and_then(|number| self.names.addresses.get(number - 1));
        address.copied().into_iter().collect()
    }
}
