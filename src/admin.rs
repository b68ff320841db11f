//! The commands of operators to a running cache: what they are about, and why they are not done.
//!
//! [`servers`], [`pools`], [`items`], [`near`] and [`metrics`] have the commands themselves. The answers are plain data. The caller
//! knows how operators ask, and how an answer is shown.

use crate::error::Error;
use crate::memory;
use crate::pool::{Member, Pool};
use crate::quoted::quoted;
use crate::status::Status;

pub(crate) mod items;
pub(crate) mod metrics;
pub(crate) mod near;
pub(crate) mod pools;
pub(crate) mod servers;

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What has to change before it can be done.
    pub cause: Cause,
    /// One line that begins with what matters most, since some clients show only its beginning.
    pub reason: String,
}

/// What prevents a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The command itself: it names something that does not exist or is not accepted.
    Command,
    /// The state of the servers, or of this process: the same command may succeed later.
    Servers,
}

impl Refused {
    fn because(reason: String) -> Self {
        Self {
            cause: Cause::Command,
            reason,
        }
    }

    /// The operation has no answer.
    fn of(error: &Error) -> Self {
        let is_callers = matches!(
            error,
            Error::Refused(_) | Error::TooLarge(_) | Error::NotANumber
        );
        Self {
            cause: if is_callers {
                Cause::Command
            } else {
                Cause::Servers
            },
            reason: format!("{}: {error}", Status::of_error(error)),
        }
    }
}

/// The servers that a command is about: all servers of all pools, unless it names some.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Selection<'a> {
    /// If given, only servers of the pool of this name.
    pub pool: Option<&'a str>,
    /// If given, only servers of this alias or address.
    pub server: Option<&'a str>,
}

/// So many bytes are enough for an answer about a server.
const ROOM_OF_SERVER: usize = 4 << 10;

/// The servers of these pools, each with its pool. With `name`, only those of this alias or
/// address.
fn members<'a>(
    pools: &'a [Pool],
    name: Option<&str>,
) -> Result<Vec<(&'a Pool, &'a Member)>, Refused> {
    let count: usize = pools.iter().map(|pool| pool.members().len()).sum();
    if !memory::has(count * ROOM_OF_SERVER) {
        return Err(Refused {
            cause: Cause::Servers,
            reason: memory::TOO_LITTLE.into(),
        });
    }
    let all = pools
        .iter()
        .flat_map(|pool| pool.members().iter().map(move |member| (pool, member)));
    let Some(name) = name else {
        return Ok(all.collect());
    };
    let called: Vec<_> = all.filter(|(_, member)| is_called(member, name)).collect();
    if called.is_empty() {
        let accepted = "an alias or address that memcached.list shows";
        return Err(Refused::because(format!(
            "unknown server {}; accepted: {accepted}",
            quoted(name)
        )));
    }
    Ok(called)
}

fn is_called(member: &Member, name: &str) -> bool {
    let spec = member.spec();
    spec.alias.as_deref() == Some(name)
        || spec.address.to_string() == name
        || spec.address.short() == name
}

/// The pool called `name`, or all pools.
fn select<'a>(pools: &'a [Pool], name: Option<&str>) -> Result<&'a [Pool], Refused> {
    let Some(name) = name else {
        return Ok(pools);
    };
    match pools.iter().position(|pool| pool.settings().name == name) {
        Some(at) => Ok(&pools[at..=at]),
        None => {
            let known: Vec<_> = pools
                .iter()
                .map(|pool| pool.settings().name.as_str())
                .collect();
            Err(Refused::because(format!(
                "unknown pool {}; accepted: {}",
                quoted(name),
                known.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests;
