//! The examples of `kamailio-cfg` that need more than one memcached, and the demo, serve calls in a
//! real Kamailio, with real servers in place of those that they name.

use std::path::{Path, PathBuf};

use support::{Host, Kamailio, Memcached, Request, Scratch, Twemproxy, process, wait};

/// Which test calls them; `readme.rs` checks that Kamailio accepts each as it is.
const SERVED_BY: &[(&str, &str)] = &[
    ("async.cfg", "suspended_call.rs"),
    ("cache-db.cfg", "cache_db.rs"),
    ("copies.cfg", "examples.rs"),
    ("credentials.cfg", "readme.rs"),
    ("demo.cfg", "examples.rs"),
    ("events.cfg", "readme.rs"),
    ("functions.cfg", "readme.rs"),
    ("grow.cfg", "examples.rs"),
    ("herd.cfg", "recipes.rs"),
    ("hot.cfg", "hot.rs"),
    ("kemi.cfg", "readme.rs"),
    ("lock.cfg", "recipes.rs"),
    ("metrics.cfg", "readme.rs"),
    ("outages.cfg", "readme.rs"),
    ("pools.cfg", "examples.rs"),
    ("prefetch.cfg", "readme.rs"),
    ("rate-limit.cfg", "recipes.rs"),
    ("session.cfg", "recipes.rs"),
    ("shared.cfg", "readme.rs"),
    ("tls.cfg", "readme.rs"),
    ("variables.cfg", "readme.rs"),
];

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kamailio-cfg")
}

/// A value of `-A` that is a string.
pub fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A servers file where Kamailio can read it, and its path there.
fn servers_file(scratch: &Scratch, text: impl AsRef<[u8]>) -> String {
    let path = scratch.write("servers.list", text);
    quoted(&Host::current().inside(&path).display().to_string())
}

/// What the example answers to a call of alice's.
fn reason(kamailio: &Kamailio) -> String {
    let call = Request::new("INVITE").caller("alice");
    kamailio.sip(call).reason
}

#[test]
fn every_example_serves_calls_in_a_test() {
    let names = std::fs::read_dir(folder()).expect("the folder of examples");
    let names = names.map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.ends_with(".cfg"));
    names.sort();
    let listed: Vec<&str> = SERVED_BY.iter().map(|&(name, _)| name).collect();
    assert_eq!(names, listed);
    for (name, test) in SERVED_BY {
        let test = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/system/config")
            .join(test);
        let test = std::fs::read_to_string(test).expect("the test");
        assert!(test.contains(name), "{name}");
    }
}

#[test]
fn the_demo_remembers_a_plan_and_counts_calls() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::builder()
        .file(folder().join("demo.cfg"))
        .define("MEMCACHED", &quoted(memcached.address()))
        .start();
    assert_eq!(
        reason(&kamailio),
        "plan gold, looked up and stored; calls: 1; cache: miss"
    );
    assert_eq!(
        reason(&kamailio),
        "plan gold, from the cache; calls: 2; cache: hit"
    );
    assert_eq!(memcached.text("calls:alice").as_deref(), Some("2"));
    memcached.kill();
    let without = "plan gold, looked up; calls: not counted; cache: down";
    assert_eq!(reason(&kamailio), without);
}

/// `kamcmd`, run by hand on the machine of this Kamailio.
pub fn kamcmd(kamailio: &Kamailio, arguments: &[&str]) -> String {
    let socket = Host::current().inside(&kamailio.scratch().join("run/kamailio_ctl"));
    let mut command = Host::current().command("kamcmd");
    command
        .arg("-s")
        .arg(format!("unix:{}", socket.display()))
        .args(arguments);
    let output = process::output(&mut command).expect("kamcmd starts");
    String::from_utf8(output.stdout).expect("words")
}

#[test]
fn a_third_server_is_added_and_nobody_asks_the_database_again() {
    let servers = [(); 3].map(|()| Memcached::start());
    let [a, b, c] = servers.each_ref().map(Memcached::address);
    let scratch = Host::current().scratch();
    let two = format!("{a} mc-a\n{b} mc-b\n");
    let write = |name: &str, list: &str| {
        let path = scratch.write(name, list);
        Host::current().inside(&path).display().to_string()
    };
    let now = quoted(&write("now.list", &two));
    let before = write("before.list", &two);
    let kamailio = Kamailio::builder()
        .file(folder().join("grow.cfg"))
        .define("NOW", &now)
        .define(
            "BEFORE",
            &quoted(&format!("name=before;servers_file={before}")),
        )
        .start();
    let answers = |call: usize, from: &str| {
        for caller in 0..60 {
            let request = Request::new("INVITE").caller(&format!("caller-{caller}"));
            let expected = format!("plan gold from {from}, call {call}");
            assert_eq!(kamailio.sip(request).reason, expected, "{caller}");
        }
    };
    let warmed = || {
        let shown = kamcmd(&kamailio, &["memcached.stats", "default"]);
        let line = shown.lines().find(|line| line.contains("warmed:"));
        line.and_then(|line| line.split(": ").nth(1)?.trim().parse().ok())
            .unwrap_or_else(|| panic!("{shown}"))
    };
    answers(1, "the database");
    answers(2, "the cache");
    write("now.list", &format!("{two}{c} mc-c\n"));
    assert!(kamcmd(&kamailio, &["memcached.reload", "default"]).contains("servers: 3"));
    answers(3, "the cache");
    let moved: usize = warmed();
    assert_eq!(servers[2].len(), moved);
    assert!(moved > 10, "{moved}");
    let placed = kamcmd(&kamailio, &["memcached.hash", "plan:caller-1"]);
    assert!(placed.contains("before: mc-"), "{placed}");
    write("before.list", &format!("{two}{c} mc-c\n"));
    assert!(kamcmd(&kamailio, &["memcached.reload", "before"]).contains("servers: 3"));
    answers(4, "the cache");
    assert_eq!(warmed(), moved);
}

#[test]
fn one_of_three_servers_may_be_lost_and_nothing_is() {
    let servers = [(); 3].map(|()| Memcached::start());
    let kamailio = Kamailio::builder()
        .file(folder().join("copies.cfg"))
        .define(
            "MEMCACHED",
            &quoted(&servers.each_ref().map(Memcached::address).join(",")),
        )
        .start();
    let answers = |call: usize, read: &str| {
        for caller in 0..12 {
            let request = Request::new("INVITE").caller(&format!("caller-{caller}"));
            let expected = format!("{read}, call {call}");
            assert_eq!(kamailio.sip(request).reason, expected, "{caller}");
        }
    };
    answers(1, "miss");
    let held: Vec<_> = servers.iter().flat_map(Memcached::keys).collect();
    for caller in 0..12 {
        for item in ["plan", "calls"] {
            let key = format!("{item}:caller-{caller}").into_bytes();
            assert_eq!(held.iter().filter(|held| **held == key).count(), 2);
        }
    }
    servers[0].kill();
    answers(2, "hit");
    servers[0].restart();
    let back = format!("server {} is active", servers[0].address());
    kamailio.wait_for_log(&back, wait::WAIT_LIMIT);
    answers(3, "hit");
}

#[test]
fn two_pools_serve_calls_and_a_proxy_finds_the_counters() {
    let [first, second, calls, more] = [(); 4].map(|()| Memcached::start());
    let scratch = Host::current().scratch();
    let list = format!("{}:2 mc-a\n{} mc-b\n", first.address(), second.address());
    let pair = [&calls, &more].map(Memcached::address);
    let [mc_d, mc_e] = [format!("{}:1 mc-d", pair[0]), format!("{}:1 mc-e", pair[1])];
    let text = std::fs::read_to_string(folder().join("pools.cfg")).expect("the example");
    let pool = text
        .lines()
        .find_map(|line| line.strip_prefix("#!define CALLS "));
    let pool = pool.expect("the pool of the example");
    let kamailio = Kamailio::builder()
        .file(folder().join("pools.cfg"))
        .define("SERVERS_FILE", &servers_file(&scratch, list))
        .define(
            "CALLS",
            &pool.replace("127.0.0.4:11211:1 mc-d", &format!("{mc_d},{mc_e}")),
        )
        .start();
    assert_eq!(reason(&kamailio), "plan gold, calls: 1");
    assert_eq!(reason(&kamailio), "plan gold, calls: 2");
    let held = [&first, &second, &calls, &more].map(Memcached::keys);
    let holds = |server: usize, key: &str| held[server].contains(&key.as_bytes().to_vec());
    assert!(
        holds(0, "sip:plan:alice") != holds(1, "sip:plan:alice"),
        "{held:?}"
    );
    let both = |server| holds(server, "sip:{alice}:calls") && holds(server, "sip:{alice}:first");
    assert!(both(2) != both(3), "{held:?}");

    let options = ["distribution: ketama", "hash_tag: \"{}\""];
    let proxy = Twemproxy::start(&options, &[&mc_d, &mc_e]);
    let answer = Kamailio::builder()
        .param("servers", proxy.address())
        .eval("", "$mct(sip:{alice}:calls)");
    assert_eq!(answer, 2);

    let kamcmd = |arguments: &[&str]| kamcmd(&kamailio, arguments);
    let shown = kamcmd(&["memcached.list"]);
    assert_eq!(shown.matches("alias: mc-").count(), 4, "{shown}");
    servers_file(&scratch, format!("{} mc-b\n", second.address()));
    assert!(kamcmd(&["memcached.reload"]).contains("servers: 1"));
    assert_eq!(reason(&kamailio), "plan gold, calls: 3");
    assert_eq!(second.text("sip:plan:alice").as_deref(), Some("gold"));
    let placed = kamcmd(&["memcached.hash", "{alice}:first", "calls"]);
    assert!(placed.contains("key: sip:{alice}:first"), "{placed}");

    // Either pool goes on without the other.
    for server in [&calls, &more] {
        server.kill();
    }
    assert_eq!(reason(&kamailio), "plan gold, calls: not counted");
}
