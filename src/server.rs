//! Servers as an operator writes them: an address, a weight, perhaps an alias.
//!
//! The text comes from the `servers` parameter, a pool's `servers=` or a
//! servers file; every refusal is one line that names the item and the form
//! that is accepted. Nothing here resolves a name, opens a socket or a file:
//! the host stays the text that was configured, because the ring is made of it.

pub(crate) mod file;
mod grammar;
mod refusal;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub(crate) use refusal::BadServer;
use refusal::Fault;

/// The port of a server that names none, memcached's own.
pub(crate) const DEFAULT_PORT: u16 = 11_211;

/// The heaviest weight an operator may give a server; the lightest is 1.
pub(crate) const MAX_WEIGHT: u16 = 1_000;

/// The longest list of servers accepted. Ring entries name a server in 16 bits. Miri looks at
/// every atomic of a structure at every borrow of it, and so gets small ones.
pub(crate) const MAX_SERVERS: usize = if cfg!(miri) { 16 } else { 1_000 };

/// The longest list in bytes, each server in full (`address:port:weight alias`) on a line: what
/// the memory shared by all processes has room for.
pub(crate) const MAX_LIST: usize = if cfg!(miri) { 4_000 } else { 64_000 };

/// The longest host or alias in bytes, that of a DNS name.
pub(crate) const MAX_NAME: usize = 253;

/// The longest path of a unix socket in bytes: `sun_path` without its NUL.
pub(crate) const MAX_PATH: usize = 107;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name, IPv4 or IPv6 text exactly as configured (IPv6 without its
    /// brackets), and a port from 1.
    Tcp { host: String, port: u16 },
    /// An absolute path.
    Unix(String),
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    pub address: Address,
    /// Share of the keys where the distribution knows weights; 1 to [`MAX_WEIGHT`].
    pub weight: u16,
    /// A name that stands for the server in RPC, logs and some rings.
    pub alias: Option<String>,
}

/// Reads a comma-separated list.
///
/// # Errors
/// The first item that is not `address[:port][:weight] [alias]` or repeats a
/// server or a name; an empty list.
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

/// Reads the text of a servers file: one server a line, comments from a `#`
/// that begins a line or follows a blank, empty lines.
///
/// # Errors
/// As [`parse_list`], with the number of the line.
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

/// The servers read so far, each of them different from all others.
#[derive(Default)]
struct DistinctServers {
    servers: Vec<ServerSpec>,
    names: HashSet<String>,
    /// How long it is, for [`MAX_LIST`].
    bytes: usize,
}

impl DistinctServers {
    fn push(&mut self, item: &str) -> Result<(), BadServer> {
        let refuse = |fault| Err(BadServer::new(item, fault));
        let server: ServerSpec = item.parse()?;
        let same_address = |known: &ServerSpec| known.address.is_same(&server.address);
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
    /// What libmc and twemproxy call the server: its alias, or its address
    /// without the default port. Two servers of one name would share their
    /// points on the ring, and the second would never be asked.
    pub fn name(&self) -> String {
        self.alias.clone().unwrap_or_else(|| self.address.short())
    }

    /// What people call the server: its alias, or its address in full.
    pub fn label(&self) -> String {
        let address = || self.address.to_string();
        self.alias.clone().unwrap_or_else(address)
    }
}

impl FromStr for ServerSpec {
    type Err = BadServer;

    /// Reads `address[:port][:weight] [alias]`, blanks around it allowed.
    fn from_str(item: &str) -> Result<Self, BadServer> {
        grammar::server(item).map_err(|fault| BadServer::new(item, fault))
    }
}

impl Address {
    /// The address, the port only where it is not the default, IPv6 without
    /// brackets: the text that most rings are made of.
    pub fn short(&self) -> String {
        match self {
            Address::Tcp { host, port } if *port == DEFAULT_PORT => host.clone(),
            Address::Tcp { host, port } => format!("{host}:{port}"),
            Address::Unix(path) => path.clone(),
        }
    }

    /// Whether both lead to the same socket as far as the text tells: names
    /// differ in more than case, IP addresses in value.
    fn is_same(&self, other: &Address) -> bool {
        match (self, other) {
            (
                Address::Tcp { host, port },
                Address::Tcp {
                    host: other,
                    port: other_port,
                },
            ) => {
                let same_ip = || {
                    let (ip, other) = (host.parse::<IpAddr>(), other.parse::<IpAddr>());
                    ip.is_ok() && ip == other
                };
                port == other_port && (host.eq_ignore_ascii_case(other) || same_ip())
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Address {
    /// `host:port`, `[IPv6]:port` or the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => f.write_str(path),
        }
    }
}

impl fmt::Display for ServerSpec {
    /// The full form, which parses to an equal server.
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
