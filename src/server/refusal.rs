//! `BadServer` says why a server or a list of servers is refused, and what is accepted, in one
//! line. The caller puts the name of the parameter or of the file in front of it.

use std::fmt;

use super::{MAX_LIST, MAX_NAME, MAX_PATH, MAX_SERVERS};
use crate::quoted::quoted;

const ACCEPTED: &str = "address[:port][:weight] [alias]; address: host name, IPv4, [IPv6] or \
                        /unix/path (without port); port: 1 to 65535; weight: 1 to 1000";

/// Why a server or a list of servers is refused. Its `Display` is one line, without the name of the
/// parameter or of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadServer {
    line: Option<usize>,
    item: String,
    fault: Fault,
}

/// What is wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// With this one and `EmptyItem` there is no item to name.
    EmptyList,
    EmptyItem,
    EmptyAddress,
    BareIpv6,
    BadIpv6,
    BadIpv4,
    BadName,
    BadPath,
    LongName,
    LongPath,
    BadPort(String),
    BadWeight(String),
    BadAlias(String),
    Trailing(String),
    DuplicateServer,
    DuplicateName(String),
    TooMany,
    LongList,
}

impl BadServer {
    pub(super) fn new(item: &str, fault: Fault) -> BadServer {
        let item = item.trim_ascii().to_owned();
        BadServer {
            line: None,
            item,
            fault,
        }
    }

    pub(super) fn on_line(self, number: usize) -> BadServer {
        BadServer {
            line: Some(number),
            ..self
        }
    }

    /// The line of the servers file. The first line is 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for BadServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        self.fault.write(f, quoted(&self.item))?;
        write!(f, "; accepted: {ACCEPTED}")
    }
}

impl std::error::Error for BadServer {}

impl Fault {
    /// Writes what is wrong with `item`, which is in quotes.
    fn write(&self, f: &mut fmt::Formatter<'_>, item: impl fmt::Display) -> fmt::Result {
        match self {
            Fault::EmptyList => f.write_str("no server in the list"),
            Fault::EmptyItem => f.write_str("empty entry in the list"),
            Fault::EmptyAddress => write!(f, "empty address in {item}"),
            Fault::BareIpv6 => write!(f, "IPv6 address without brackets in {item}"),
            Fault::BadIpv6 => write!(f, "invalid IPv6 address in {item}"),
            Fault::BadIpv4 => write!(f, "invalid IPv4 address in {item}"),
            Fault::BadName => write!(
                f,
                "invalid host name in {item} (letters, digits, '_', and after the first '-', '.')"
            ),
            Fault::BadPath => write!(
                f,
                "invalid path in {item} (more than '/', no comma, no control characters)"
            ),
            Fault::LongName => write!(f, "name or alias longer than {MAX_NAME} bytes in {item}"),
            Fault::LongPath => write!(f, "path longer than {MAX_PATH} bytes in {item}"),
            Fault::BadPort(text) => write!(f, "invalid port {} in {item}", quoted(text)),
            Fault::BadWeight(text) => write!(f, "invalid weight {} in {item}", quoted(text)),
            Fault::BadAlias(text) => write!(
                f,
                "invalid alias {} in {item} (letters, digits, '-', '.', '_')",
                quoted(text)
            ),
            Fault::Trailing(text) => write!(f, "unexpected {} in {item}", quoted(text)),
            Fault::DuplicateServer => write!(f, "server {item} is listed twice"),
            Fault::DuplicateName(name) => write!(f, "duplicate name {} in {item}", quoted(name)),
            Fault::LongList => write!(f, "{item} makes the list longer than {MAX_LIST} bytes"),
            Fault::TooMany => write!(f, "{item} is one more than {MAX_SERVERS} servers"),
        }
    }
}
