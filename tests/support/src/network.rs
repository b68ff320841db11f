//! `Network` is a network of a test, whose packets can be dropped: a network namespace, connected
//! by a pair of virtual devices. It needs root, and is removed when it is dropped.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use crate::port::Port;
use crate::process::{self, Process};
use crate::scratch::Scratch;
use crate::skip::skip;
use crate::wait;

/// The other end of the connection, with a memcached.
pub struct Network {
    name: String,
    here: String,
    there: String,
    memcached: Option<Process>,
    scratch: Scratch,
    /// Reserves the number.
    _port: Port,
}

impl Network {
    /// With a memcached that answers; `None`, and a line that says so, where networks cannot be made.
    pub fn start() -> Option<Network> {
        let network = Network::make();
        if network.is_none() {
            skip("network", "no network namespaces can be made here");
        }
        network
    }

    fn make() -> Option<Network> {
        // A link-local /30 of its own, made of a number that nobody else has.
        let port = Port::free();
        let number = port.number();
        let (high, low) = (number >> 6 & 0xff, (number & 0x3f) << 2);
        let mut network = Network {
            name: format!("mct{number:x}"),
            here: format!("169.254.{high}.{}", low | 1),
            there: format!("169.254.{high}.{}", low | 2),
            memcached: None,
            scratch: Scratch::new(),
            _port: port,
        };
        // Tests that were killed may have left one of this name. Nobody else has the number now.
        network.remove();
        let Network {
            name, here, there, ..
        } = &network;
        let (near, far) = (format!("{name}a"), format!("{name}b"));
        let made = [
            format!("netns add {name}"),
            format!("link add {near} type veth peer name {far} netns {name}"),
            format!("addr add {here}/30 dev {near}"),
            format!("link set {near} up"),
            format!("-n {name} addr add {there}/30 dev {far}"),
            format!("-n {name} link set {far} up"),
        ];
        if !made.iter().all(|command| ip(command)) {
            return None;
        }
        network.serve();
        network.wait_for_memcached();
        Some(network)
    }

    /// The memcached's address.
    pub fn address(&self) -> String {
        format!("{}:11211", self.there)
    }

    /// From now on nothing comes back from there, neither answers nor refusals.
    pub fn cut(&self) {
        assert!(ip(&format!(
            "-n {} route add blackhole {}",
            self.name, self.here
        )));
    }

    /// From now on packets pass again.
    pub fn mend(&self) {
        assert!(ip(&format!(
            "-n {} route del blackhole {}",
            self.name, self.here
        )));
    }

    /// From now on nothing arrives there: it goes to an interface that does not exist.
    pub fn lead_astray(&self) {
        let nobody = "lladdr 02:00:00:00:00:01 nud permanent";
        let neighbour = format!("{} {nobody} dev {}a", self.there, self.name);
        assert!(ip(&format!("neigh replace {neighbour}")));
    }

    /// From now on packets arrive there again.
    pub fn lead_back(&self) {
        assert!(ip(&format!("neigh del {} dev {}a", self.there, self.name)));
    }

    /// How many TCP connections of this machine lead there on which something may still be sent, also those that no
    /// process has any more.
    pub fn connections(&self) -> usize {
        let [a, b, c, d] = self.there.parse::<Ipv4Addr>().expect("an address").octets();
        let remote = format!(" {d:02X}{c:02X}{b:02X}{a:02X}:{:04X} ", 11211);
        let table = fs::read_to_string("/proc/net/tcp").expect("the kernel tells");
        // TIME_WAIT
        let is_over = |line: &str| line.contains(&format!("{remote}06 "));
        let there = table.lines().filter(|line| line.contains(&remote));
        there.filter(|line| !is_over(line)).count()
    }

    /// The machine there loses its power and starts again. Our side has connections that its side
    /// does not know.
    pub fn restart(&mut self) {
        self.cut();
        self.memcached = None;
        self.serve();
        self.mend();
        self.wait_for_memcached();
    }

    fn serve(&mut self) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "memcached", "-u", "root"]);
        command.args(["-t", "2", "-U", "0", "-l", &self.there]);
        let log = self.scratch.join("memcached.log");
        self.memcached = Some(Process::spawn(command, &log, libc::SIGKILL));
    }

    fn wait_for_memcached(&self) {
        let address = self.address();
        wait::until("memcached in its network", wait::WAIT_LIMIT, || {
            TcpStream::connect(&address).is_ok()
        });
    }

    /// Removes the devices and the namespace, as far as there are any.
    fn remove(&self) {
        ip(&format!("link del {}a", self.name));
        ip(&format!("netns del {}", self.name));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.memcached = None;
        self.remove();
    }
}

/// Runs `ip` with these words. Returns false if it fails or does not exist.
fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    let output = process::output(command.args(words.split(' ')));
    output.is_ok_and(|output| output.status.success())
}
