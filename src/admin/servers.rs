//! Servers: operators list them, ping them, ask what they tell of themselves, and set their state.

use std::time::Duration;

use super::{Refused, Selection, members, select};
use crate::cache::Cache;
use crate::clock::{Deadline, Moment};
use crate::health::State;
use crate::health::latency::Summary;
use crate::pool::{Dialect, Member, Pool, Site};
use crate::prober::probe;
use crate::prober::rejoin::Errand;
use crate::quoted::{escaped, quoted};
use crate::status::Status;
use crate::wire::net::Target;

/// A server of a pool, and its state.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The name of the pool.
    pub pool: String,
    /// `host:port`, `[IPv6]:port` or the path.
    pub address: String,
    /// The server's alias, or an empty text.
    pub alias: String,
    /// The server's weight.
    pub weight: u16,
    /// The word for the server's state.
    pub state: &'static str,
    /// For how many seconds the server has been in this state.
    pub since: u64,
    /// For how many seconds it can be asked again after it could not; empty if it always could.
    pub returned: String,
    /// The word for the failure that led to this state, or an empty text.
    pub reason: &'static str,
    /// Why the state changed last, in full; empty if it never did.
    pub why: String,
    /// What the last probe has found: `ok`, or what is wrong; empty if there was none.
    pub last_probe: String,
    /// The addresses that the server's name resolves to, beginning with the one in use.
    pub resolved: String,
    /// How long answers took in the last minutes.
    pub latency: Summary,
    /// How many operations are in progress, in all processes.
    pub in_flight: u32,
    /// How many operations there were since the start.
    pub operations: u64,
    /// How many of these operations the server is to blame for failing.
    pub failures: u64,
    /// The version that it has told a probe; empty if it has told none.
    pub version: String,
    /// `classic` or `meta`; empty if that is not known.
    pub protocol: &'static str,
    /// Whether the way to it is encrypted: `on` or `off`.
    pub tls: &'static str,
    /// On how many servers of the pool each item is kept.
    pub replicas: usize,
}

impl Listed {
    fn of(pool: &Pool, member: &Member) -> Self {
        let (server, health) = (member.spec(), member.health());
        let (in_flight, operations, failures) = health.counts();
        Self {
            pool: pool.settings().name.clone(),
            address: server.address.to_string(),
            alias: server.alias.clone().unwrap_or_default(),
            weight: server.weight,
            state: health.state().word(),
            since: Moment::now().since(health.since()).as_secs(),
            returned: health.returned().map_or_else(String::new, |at| {
                Moment::now().since(at).as_secs().to_string()
            }),
            reason: health.reason().map_or("", Status::word),
            why: member.server().why(),
            last_probe: member.server().last_probe(),
            resolved: resolved(member),
            latency: member.server().latency().summary(Moment::now()),
            in_flight,
            operations,
            failures,
            version: member.server().version(),
            protocol: Dialect::known(pool.settings().protocol, member.server().dialect())
                .map_or("", Dialect::word),
            tls: if pool.settings().tls.is_on {
                "on"
            } else {
                "off"
            },
            replicas: pool.replicas(),
        }
    }
}

fn resolved(member: &Member) -> String {
    let text = |site: Site| match site.target {
        Target::Tcp(address) => address.ip().to_string(),
        Target::Unix(path) => path,
    };
    let sites: Vec<_> = member.server().sites().into_iter().map(text).collect();
    sites.join(" ")
}

/// Lists the selected servers.
///
/// # Errors
/// No pool has that name, or no server in it has that alias or address.
pub(crate) fn list(cache: &mut Cache, selection: Selection<'_>) -> Result<Vec<Listed>, Refused> {
    cache.refresh();
    let listed = members(select(cache.pools(), selection.pool)?, selection.server)?;
    let rows = listed
        .into_iter()
        .map(|(pool, member)| Listed::of(pool, member));
    Ok(rows.collect())
}

/// A server's answer to a ping.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pinged {
    /// The name of the pool.
    pub pool: String,
    /// The alias or address of the server.
    pub server: String,
    /// `ok`, or the word for the failure.
    pub answer: &'static str,
    /// A description of the failure, or why the server stays out of service although it answers, or an empty text.
    pub reason: String,
}

/// How long a ping may take, all servers together.
const PING_LIMIT: Duration = Duration::from_millis(1000);

/// Asks one server, or all, for a sign of life. This changes no server's state.
///
/// # Errors
/// No server has that alias or address.
pub(crate) fn ping(cache: &mut Cache, server: Option<&str>) -> Result<Vec<Pinged>, Refused> {
    cache.refresh();
    let asked = members(cache.pools(), server)?;
    let ends = ask(
        &asked,
        &Errand::Ping,
        &Deadline::new(Moment::now(), PING_LIMIT),
    );
    let pinged = asked.into_iter().zip(ends).map(|((pool, member), end)| {
        if end.result.is_ok() {
            member.server().note_version(&end.version);
        }
        Pinged {
            pool: pool.settings().name.clone(),
            server: member.spec().label(),
            answer: end
                .result
                .as_ref()
                .map_or_else(|error| Status::of_error(error).word(), |_| "ok"),
            reason: match end.result {
                Err(error) => error.to_string(),
                Ok(_) => kept_out(member),
            },
        }
    });
    Ok(pinged.collect())
}

/// What the last probe has found wrong with a server that is out of service, or an empty text.
fn kept_out(member: &Member) -> String {
    let is_probed = matches!(member.health().state(), State::Trying | State::Inactive);
    let found = member.server().last_probe();
    match is_probed && found != "ok" {
        true => found,
        false => String::new(),
    }
}

/// The state that an operator names, to be set with [`set_state`].
///
/// # Errors
/// The word is neither `active` nor `disabled`.
pub(crate) fn state(word: &str) -> Result<State, Refused> {
    [State::Active, State::Disabled]
        .into_iter()
        .find(|state| state.word() == word)
        .ok_or_else(|| {
            let accepted = "accepted: active or disabled";
            Refused::because(format!("invalid state {}; {accepted}", quoted(word)))
        })
}

/// Takes a server out of service, or back into service, in every pool that it belongs to.
///
/// # Errors
/// No server has that alias or address.
pub(crate) fn set_state(
    cache: &mut Cache,
    state: State,
    server: &str,
) -> Result<Vec<Listed>, Refused> {
    cache.refresh();
    let meant = members(cache.pools(), Some(server))?;
    let changed = meant.into_iter().map(|(pool, member)| {
        member.server().set(state);
        Listed::of(pool, member)
    });
    Ok(changed.collect())
}

/// What a server can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Its statistics.
    Statistics,
    /// Its settings.
    Settings,
}

impl About {
    /// The one that an operator names; `None` = the statistics.
    ///
    /// # Errors
    /// There is no such one.
    pub(crate) fn named(word: Option<&str>) -> Result<Self, Refused> {
        match word {
            None => Ok(Self::Statistics),
            Some("settings") => Ok(Self::Settings),
            Some(other) => Err(Refused::because(format!(
                "invalid word {}; accepted: settings",
                quoted(other)
            ))),
        }
    }
}

/// Asks one server for what it tells of itself: names and values. The server's state makes no difference,
/// and does not change.
///
/// # Errors
/// No server has that alias or address, several have it, or the server does not answer.
pub(crate) fn tell(
    cache: &mut Cache,
    server: &str,
    about: About,
) -> Result<Vec<(String, String)>, Refused> {
    cache.refresh();
    let called = distinct(members(cache.pools(), Some(server))?);
    let [(pool, member)] = called[..] else {
        return Err(Refused::because(format!(
            "{} is the alias of several servers; accepted: an address",
            quoted(server)
        )));
    };
    let errand = match about {
        About::Statistics => Errand::Stats,
        About::Settings => Errand::Settings,
    };
    let deadline = Deadline::new(Moment::now(), pool.settings().timeout);
    let end = ask(&called, &errand, &deadline).remove(0);
    if let Err(error) = &end.result {
        return Err(Refused::of(error));
    }
    member.server().note_version(&end.version);
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        (escaped(name), escaped(value))
    };
    Ok(end.told.lines().map(pair).collect())
}

/// Does an errand at these servers, all at the same time.
pub(super) fn ask(
    servers: &[(&Pool, &Member)],
    errand: &Errand,
    deadline: &Deadline,
) -> Vec<probe::End> {
    let asked = servers.iter().map(|(pool, member)| {
        let server = member.server();
        (server.sites(), server.question(pool.placement()))
    });
    probe::ask(asked.collect(), errand, deadline)
}

/// Each server once, though it may belong to several pools.
pub(super) fn distinct<'a>(servers: Vec<(&'a Pool, &'a Member)>) -> Vec<(&'a Pool, &'a Member)> {
    let mut once: Vec<(&Pool, &Member)> = Vec::new();
    for (pool, member) in servers {
        let same = |(_, other): &(&Pool, &Member)| other.spec().address == member.spec().address;
        if !once.iter().any(same) {
            once.push((pool, member));
        }
    }
    once
}
