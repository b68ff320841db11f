//! `ServerSpec` is a server as operators write it: an address, a weight, and perhaps an alias.
//!
//! The text comes from the parameter `servers`, from `servers=` of a pool, or from a servers file.
//! A refusal is one line, which names the item and the accepted form. Nothing here resolves a name,
//! or opens a socket or a file. A host name stays the text that was configured, because the ring is
//! made from it.

pub(crate) mod file;
mod grammar;
mod refusal;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

pub(crate) use refusal::BadServer;
use refusal::Fault;

/// The port of a server that is written without one. It is memcached's own.
pub(crate) const DEFAULT_PORT: u16 = 11_211;

/// The largest weight of a server. The smallest is 1.
pub(crate) const MAX_WEIGHT: u16 = 1_000;

/// The largest number of servers in a list. On the ring a server's number has 16 bits. Miri checks
/// every atomic of a structure at each borrow, so it gets small structures.
pub(crate) const MAX_SERVERS: usize = if cfg!(miri) { 16 } else { 1_000 };

/// The largest length of a list in bytes, with each server in full (`address:port:weight alias`) on
/// a line. The shared memory has room for that.
pub(crate) const MAX_LIST: usize = if cfg!(miri) { 4_000 } else { 64_000 };

/// The largest length of a host name or an alias in bytes. DNS has the same limit.
pub(crate) const MAX_NAME: usize = 253;

/// The largest length of the path of a unix socket in bytes: `sun_path` without its NUL.
pub(crate) const MAX_PATH: usize = 107;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A name, or the text of an IPv4 or IPv6 address, exactly as configured but without the
    /// brackets of IPv6. The port is 1 or larger.
    Tcp { host: String, port: u16 },
    /// An absolute path.
    Unix(String),
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    pub address: Address,
    /// Its share of the keys, if the distribution uses weights: 1 to [`MAX_WEIGHT`].
    pub weight: u16,
    /// A name that stands for the server in RPC replies, in the log and on some rings.
    pub alias: Option<String>,
}

/// Reads a comma-separated list.
///
/// # Errors
/// The list is empty, or an item is not `address[:port][:weight] [alias]`, or it repeats a server
/// or a name. The error is about the first such item.
pub fn parse_list(text: &str) -> Result<Vec<ServerSpec>, BadServer> {
    if text.trim_ascii().is_empty() {
        return Err(BadServer::new("", Fault::EmptyList));
    }
    let mut list = DistinctServers::default();
    for item in text.split(',') {
        list.push(item)?;
    }
    Ok(list.servers)
}

/// Reads the text of a servers file, which has one server on each line. A `#` at the beginning of a
/// line or after a blank begins a comment. Empty lines are ignored.
///
/// # Errors
/// As for [`parse_list`], with the number of the line.
pub(crate) fn parse_file(text: &str) -> Result<Vec<ServerSpec>, BadServer> {
    let mut list = DistinctServers::default();
    for (line, number) in text.lines().zip(1..) {
        let item = without_comment(line);
        if !item.is_empty() {
            list.push(item).map_err(|bad| bad.on_line(number))?;
        }
    }
    if list.servers.is_empty() {
        return Err(BadServer::new("", Fault::EmptyList));
    }
    Ok(list.servers)
}

fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices('#')
        .find(|&(at, _)| at == 0 || line[..at].ends_with([' ', '\t']));
    let end = comment.map_or(line.len(), |(at, _)| at);
    line[..end].trim_ascii()
}

/// The servers that were read so far. No two of them are the same, and no two have the same name.
#[derive(Default)]
struct DistinctServers {
    servers: Vec<ServerSpec>,
    names: HashSet<String>,
    /// The length of the list, for [`MAX_LIST`].
    bytes: usize,
}

impl DistinctServers {
    fn push(&mut self, item: &str) -> Result<(), BadServer> {
        let refuse = |fault| Err(BadServer::new(item, fault));
        let server: ServerSpec = item.parse()?;
        let same_address = |other: &ServerSpec| other.address.is_same(&server.address);
        if self.servers.iter().any(same_address) {
            return refuse(Fault::DuplicateServer);
        }
        if !self.names.insert(server.name()) {
            return refuse(Fault::DuplicateName(server.name()));
        }
        if self.servers.len() == MAX_SERVERS {
            return refuse(Fault::TooMany);
        }
        self.bytes += server.to_string().len() + 1;
        if self.bytes > MAX_LIST {
            return refuse(Fault::LongList);
        }
        self.servers.push(server);
        Ok(())
    }
}

impl ServerSpec {
    /// The name of the server in libmc and twemproxy: its alias, or its address without the default
    /// port. Two servers with the same name would have the same points on the ring, and the second
    /// one would never be asked.
    pub fn name(&self) -> String {
        self.alias.clone().unwrap_or_else(|| self.address.short())
    }

    /// The name of the server for operators: its alias, or its address in full.
    pub fn label(&self) -> String {
        let address = || self.address.to_string();
        self.alias.clone().unwrap_or_else(address)
    }
}

impl FromStr for ServerSpec {
    type Err = BadServer;

    /// Reads `address[:port][:weight] [alias]`. Blanks around it are ignored.
    fn from_str(item: &str) -> Result<Self, BadServer> {
        grammar::server(item).map_err(|fault| BadServer::new(item, fault))
    }
}

impl Address {
    /// The address without the default port, and without the brackets of IPv6. Most rings are made
    /// from this text.
    pub fn short(&self) -> String {
        match self {
            Address::Tcp { host, port } if *port == DEFAULT_PORT => host.clone(),
            Address::Tcp { host, port } => format!("{host}:{port}"),
            Address::Unix(path) => path.clone(),
        }
    }

    /// True if both texts lead to the same socket, whatever their spelling: an address of IPv4 is
    /// the same within IPv6, names differ in more than their case, and paths in more than `//` and
    /// `/./`.
    fn is_same(&self, other: &Address) -> bool {
        match (self, other) {
            (
                Address::Tcp { host, port },
                Address::Tcp {
                    host: other,
                    port: other_port,
                },
            ) => port == other_port && is_same_host(host, other),
            (Address::Unix(path), Address::Unix(other)) => Path::new(path) == Path::new(other),
            _ => false,
        }
    }
}

fn is_same_host(host: &str, other: &str) -> bool {
    match (IpWithZone::read(host), IpWithZone::read(other)) {
        (None, None) => host.eq_ignore_ascii_case(other),
        (host, other) => host == other,
    }
}

/// The value of an IP address. One of IPv4 that is written as IPv6 (`::ffff:127.0.0.1`) is one of
/// IPv4. The zone is the name of a network interface, in which case matters, or empty.
#[derive(PartialEq, Eq)]
struct IpWithZone<'a>(IpAddr, &'a str);

impl<'a> IpWithZone<'a> {
    /// Reads an address without brackets.
    fn read(host: &'a str) -> Option<Self> {
        let (ip, zone) = host.split_once('%').unwrap_or((host, ""));
        let ip: IpAddr = ip.parse().ok()?;
        Some(Self(ip.to_canonical(), zone))
    }
}

impl fmt::Display for Address {
    /// `host:port`, `[IPv6]:port`, or the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => f.write_str(path),
        }
    }
}

impl fmt::Display for ServerSpec {
    /// The full form. Reading it gives an equal server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.weight)?;
        match &self.alias {
            Some(alias) => write!(f, " {alias}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
