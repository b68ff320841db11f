//! Why a server or a list of servers is refused, said in one line that also
//! tells what would have been accepted. The caller puts the name of its
//! parameter or file in front.

use std::fmt;

use super::{MAX_LIST, MAX_NAME, MAX_PATH, MAX_SERVERS};

const ACCEPTED: &str = "address[:port][:weight] [alias] with a name, IPv4, [IPv6] or /unix/path \
                        (no port) as address, port 1-65535, weight 1-1000";

/// Why a server, or a list of them, was not accepted. Its `Display` is one
/// line to put after the name of the parameter or the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    line: Option<usize>,
    item: String,
    fault: Fault,
}

/// What is wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Says itself that there is no item to name, as does `EmptyItem`.
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

impl Refusal {
    pub(super) fn new(item: &str, fault: Fault) -> Refusal {
        let item = item.trim_ascii().to_owned();
        Refusal {
            line: None,
            item,
            fault,
        }
    }

    pub(super) fn on_line(self, number: usize) -> Refusal {
        Refusal {
            line: Some(number),
            ..self
        }
    }

    /// The line of the servers file, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.item.is_empty() {
            write!(f, "'{}' ", self.item.escape_debug())?;
        }
        write!(f, "{}; accepted: {ACCEPTED}", self.fault)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |f: &mut fmt::Formatter<'_>, what: &str, text: &str| {
            write!(f, "{what} '{}'", text.escape_debug())
        };
        match self {
            Fault::EmptyList => f.write_str("no server in the list"),
            Fault::EmptyItem => f.write_str("an item of the list is empty"),
            Fault::EmptyAddress => f.write_str("has an empty address"),
            Fault::BareIpv6 => f.write_str("has an IPv6 address without brackets"),
            Fault::BadIpv6 => f.write_str("has no IPv6 address between its brackets"),
            Fault::BadIpv4 => f.write_str("has digits and dots that are no IPv4 address"),
            Fault::BadName => {
                f.write_str("has a name of other than letters, digits, '-', '.', '_'")
            }
            Fault::BadPath => {
                f.write_str("has a path that is '/' or holds a comma or control byte")
            }
            Fault::LongName => write!(f, "has a name or alias longer than {MAX_NAME} bytes"),
            Fault::LongPath => write!(f, "has a path longer than {MAX_PATH} bytes"),
            Fault::BadPort(text) => quoted(f, "has the port", text),
            Fault::BadWeight(text) => quoted(f, "has the weight", text),
            Fault::BadAlias(text) => quoted(f, "has the alias", text),
            Fault::Trailing(text) => quoted(f, "goes on with", text),
            Fault::DuplicateServer => f.write_str("is listed twice"),
            Fault::DuplicateName(name) => quoted(f, "repeats the name", name),
            Fault::LongList => write!(f, "makes the list longer than {MAX_LIST} bytes"),
            Fault::TooMany => write!(f, "is one more than {MAX_SERVERS} servers"),
        }
    }
}
