//! The site: three memcacheds, of which one is behind a firewall, one that requires credentials, and two Kamailios with
//! all features in use.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use support::{Authority, Firewall, Host, Kamailio, Memcached, Scratch, wait};

/// The memcached behind the firewall.
const FAR: usize = 2;

/// How many processes of each Kamailio serve calls.
pub const WORKERS: usize = 8;

/// Servers of all pools together, as Kamailio counts them.
pub const SERVERS: u64 = 3 * POOLS.len() as u64 + 1;

/// The pools besides the default one, and what differs in them.
const POOLS: [(&str, &str); 13] = [
    ("standin", "failover=1;rejoin=flush;miss_failover=10"),
    ("near", "near_size=2000;near_stale=5000"),
    // A counter that comes back from another copy may differ by what is under way.
    ("copies", "replicas=2;miss_failover=0"),
    ("deferred", "deferred_writes=1"),
    ("counts", ""),
    ("adds", "mode=1"),
    ("leases", "lease_early=1"),
    ("packed", "compress_min=1000"),
    ("large", "large_values=1"),
    ("tls", "tls=1"),
    ("grown", "warm_from=default"),
    ("pylibmc", "values=pylibmc;compress_min=1000"),
    ("guarded", ""),
];

/// Those for which `pool.cfg` is written.
const READ: [&str; 10] = [
    "default", "standin", "near", "copies", "packed", "large", "tls", "grown", "pylibmc", "guarded",
];

const USER: &str = "soak";
const PASSWORD: &str = "secret";

/// All servers, and the files that the Kamailios read.
pub struct Site {
    pub memcacheds: [Memcached; 3],
    /// The one with credentials.
    pub guarded: Memcached,
    pub firewall: Firewall,
    pub nodes: [Kamailio; 2],
    list: PathBuf,
    _authority: Authority,
    _scratch: Scratch,
}

impl Site {
    pub fn start() -> Site {
        let authority = Authority::new();
        let issued = authority.issue("server", "IP:127.0.0.1");
        let (chain, key) = (issued.chain.display(), issued.key.display());
        let options = format!("ssl_chain_cert={chain},ssl_key={key}");
        let memcached = || Memcached::secured(&options);
        let memcacheds = [memcached(), memcached(), memcached()];
        let firewall = Firewall::before(&memcacheds[FAR].plain_address());
        let scratch = Host::current().scratch();
        let servers = servers(&memcacheds, &firewall);
        let list = scratch.write("servers.list", servers.join("\n"));
        let guarded = Memcached::authenticated(USER, PASSWORD);
        let credentials = scratch.write("credentials", format!("{USER}:{PASSWORD}\n"));
        let own = Permissions::from_mode(0o600);
        std::fs::set_permissions(&credentials, own).expect("the file is ours");
        let credentials = Host::current().inside(&credentials);
        let lua = scratch.write("popular.lua", include_str!("popular.lua"));
        let lua = Host::current().inside(&lua);
        let secured: Vec<&str> = memcacheds.iter().map(Memcached::address).collect();
        let pools = POOLS.map(|(name, more)| {
            let (servers, more) = match name {
                "tls" => {
                    let ca = authority.file();
                    (secured.join(","), format!("{more};tls_ca={}", ca.display()))
                }
                "guarded" => {
                    let file = format!("credentials_file={}", credentials.display());
                    (guarded.address().to_owned(), file)
                }
                _ => (servers.join(","), more.to_owned()),
            };
            let end = if more.is_empty() { "" } else { ";" };
            format!("name={name};servers={servers};key_prefix={name}:{end}{more}")
        });
        let node = || {
            let builder = Kamailio::builder()
                .rpc()
                .children(WORKERS)
                .arg("-M")
                .arg("32")
                .global("max_while_loops=1000")
                .module("htable")
                .module("cfgutils")
                .module("app_lua")
                .param_of("app_lua", "load", lua.display().to_string())
                .param_of("pv", "shvset", "epoch=i:0")
                .param_of("pv", "shvset", "outages=i:0")
                .param_of("htable", "timer_interval", 5)
                .param("servers_file", list.display().to_string())
                .param("timeout", 500)
                .param("stall_limit", 100)
                .param("retry_interval", 200);
            let tables = ["acknowledged", "unknown"]
                .map(|name| format!("{name}=>size=10;initval=0;autoexpire=300;"));
            let builder = tables
                .into_iter()
                .chain(["calls=>size=12;initval=0;autoexpire=20;".into()])
                .fold(builder, |builder, table| {
                    builder.param_of("htable", "htable", table)
                });
            let builder = pools
                .iter()
                .fold(builder, |builder, pool| builder.param("pool", pool.clone()));
            let routes = READ.map(|name| include_str!("pool.cfg").replace("POOL", name));
            builder
                .request_route("route(REQUEST);")
                .routes(include_str!("call.cfg"))
                .routes(&routes.join("\n"))
                .start()
        };
        let nodes = [node(), node()];
        Site {
            memcacheds,
            guarded,
            firewall,
            nodes,
            list,
            _authority: authority,
            _scratch: scratch,
        }
    }

    /// Writes the list of the default pool anew, with all servers or without the last one, and has it read.
    pub fn reload(&self, all: bool) {
        let mut servers = servers(&self.memcacheds, &self.firewall);
        if !all {
            servers.pop();
        }
        let beside = self.list.with_extension("new");
        std::fs::write(&beside, servers.join("\n")).expect("the folder is ours");
        std::fs::rename(&beside, &self.list).expect("it is one folder");
        for node in &self.nodes {
            node.rpc("memcached.reload", &["default"]);
        }
    }

    /// Tells both Kamailios the same.
    pub fn tell(&self, command: &str, args: &[&str]) {
        for node in &self.nodes {
            node.rpc(command, args);
        }
    }

    /// Waits until each server is in service again for both Kamailios. Returns how long that took.
    pub fn wait_for_service(&self) -> Option<Duration> {
        let begun = std::time::Instant::now();
        wait::poll(Duration::from_secs(20), || {
            let is_well = |node| statistic(node, "servers_active") == SERVERS;
            self.nodes.iter().all(is_well).then(|| begun.elapsed())
        })
    }
}

/// The names of a server in service and set_state.
pub const ALIASES: [&str; 3] = ["mc-a", "mc-b", "mc-c"];

fn servers(memcacheds: &[Memcached; 3], firewall: &Firewall) -> Vec<String> {
    let addresses = [
        memcacheds[0].plain_address(),
        memcacheds[1].plain_address(),
        firewall.address(),
    ];
    let named = addresses.iter().zip(ALIASES);
    named
        .map(|(address, alias)| format!("{address} {alias}"))
        .collect()
}

/// The result of an RPC command.
pub fn ask(node: &Kamailio, method: &str, params: &str) -> Value {
    let text = node.jsonrpc(method, params);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    match answer.get("result") {
        Some(result) => result.clone(),
        None => node.fail(&format!("{method} {params}: {text}")),
    }
}

/// A number of an answer, which may be a text there.
pub fn number(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.trim().parse().ok());
    let number = value.as_u64().or(text);
    number.unwrap_or_else(|| panic!("no number: {value}"))
}

/// A statistic of the module.
pub fn statistic(node: &Kamailio, name: &str) -> u64 {
    statistics(node)[name]
}

/// All of them. (`cnt.grp_get_all` has but 32 bits of each.)
pub fn statistics(node: &Kamailio) -> BTreeMap<String, u64> {
    let lines = ask(node, "stats.get_statistics", r#"["memcached:"]"#);
    let pair = |line: &Value| {
        let text = line.as_str().expect("a line");
        let (name, number) = text.split_once(" = ").expect("a name and a number");
        let name = name.trim_start_matches("memcached:").to_owned();
        (name, number.trim().parse().expect("a number"))
    };
    let lines = lines.as_array().expect("lines");
    lines.iter().map(pair).collect()
}
