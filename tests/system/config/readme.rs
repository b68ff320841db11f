//! The files in `kamailio-cfg/`, of which the manual's examples are pieces (see `manual.rs`), do what
//! the manual says: Kamailio accepts each file as it is, and answers requests by it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::{Builder, Host, Kamailio, Memcached, Port, Request, wait};

/// The files by name.
fn examples() -> BTreeMap<String, String> {
    let folder = fs::read_dir("kamailio-cfg").unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let named = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    named.collect()
}

/// A file with `servers` as it is to be, and the script beside it where the host sees it.
fn example(name: &str, memcached: &Memcached) -> Builder {
    example_on(name, memcached.address())
}

fn example_on(name: &str, servers: &str) -> Builder {
    Kamailio::builder()
        .file(PathBuf::from("kamailio-cfg").join(name))
        .define("MEMCACHED", &format!("\"{servers}\""))
        .define("ADD", &format!("\"name=add;servers={servers};mode=1\""))
}

/// Sends OPTIONS to `user`; the response's reason phrase.
fn answer(kamailio: &Kamailio, user: &str) -> String {
    kamailio.sip(Request::options().user(user)).reason
}

#[test]
fn every_file_is_accepted_as_it_is() {
    let scratch = Host::current().scratch();
    for name in examples().into_keys().filter(|name| name.ends_with(".cfg")) {
        let script = scratch.write("kemi.lua", fs::read("kamailio-cfg/kemi.lua").unwrap());
        let script = format!("\"{}\"", Host::current().inside(&script).display());
        let list = fs::read("kamailio-cfg/servers.list").unwrap();
        let list = scratch.write("servers.list", list);
        let list = format!("\"{}\"", Host::current().inside(&list).display());
        let file = PathBuf::from("kamailio-cfg").join(&name);
        let check = Kamailio::builder()
            .file(file)
            .define("SCRIPT", &script)
            .define("SERVERS_FILE", &list)
            .check();
        assert!(check.ok, "{name}: {}", check.output);
    }
}

#[test]
fn variables_do_what_the_manual_says() {
    let memcached = Memcached::start();
    let kamailio = example("variables.cfg", &memcached).start();
    for (user, expected) in [
        ("lookup", "plan: none"),
        ("write", "the last one was stored"),
        ("read", "plan: a faithful gold, 4 letters"),
        ("lookup", "plan: gold"),
        ("prolong", "it was touched"),
        ("count", "calls: 1"),
        ("count", "calls: 2"),
        ("uncount", "calls: 1"),
        ("delete", "it was deleted"),
        ("delete", "it was miss"),
        ("prolong", "it was miss"),
    ] {
        assert_eq!(answer(&kamailio, user), expected, "{user}");
    }
    memcached.kill();
    assert_eq!(answer(&kamailio, "lookup"), "plan: unknown: down");
}

#[test]
fn shared_data_keeps_its_first_value_and_its_zeros() {
    let memcached = Memcached::start();
    memcached.put("number:caller", 0, 0, "0049301234");
    let kamailio = example("shared.cfg", &memcached).start();
    assert_eq!(answer(&kamailio, "claim"), "this node has it");
    assert_eq!(answer(&kamailio, "claim"), "another node has it");
    assert_eq!(answer(&kamailio, "number"), "number: 0049301234");
}

#[test]
fn events_are_logged_as_alerts() {
    let memcached = Memcached::start();
    let kamailio = example("events.cfg", &memcached).start();
    memcached.kill();
    let down = format!(
        "cache {} of pool default is inactive: down",
        memcached.address()
    );
    kamailio.wait_for_log(&down, wait::WAIT_LIMIT);
    memcached.restart();
    let up = format!("cache {} is back after ", memcached.address());
    kamailio.wait_for_log(&up, wait::WAIT_LIMIT);
    assert_eq!(kamailio.log_lines("ALERT: ").len(), 2);
}

#[test]
fn either_of_two_servers_may_fail() {
    let mut fastest = Duration::MAX;
    for (victim, other) in [(0, 1), (1, 0)] {
        let servers = [Memcached::start(), Memcached::start()];
        let list = servers.each_ref().map(Memcached::address).join(",");
        let kamailio = example_on("outages.cfg", &list).start();
        assert_eq!(answer(&kamailio, "any"), "gold: stored, hit");
        servers[victim].kill();
        for _ in 0..5 {
            assert_eq!(answer(&kamailio, "any"), "gold: stored, hit");
        }
        servers[other].kill();
        for _ in 0..5 {
            assert_eq!(answer(&kamailio, "any"), "basic: down, down");
        }
        servers.iter().for_each(Memcached::restart);
        let back = Instant::now();
        wait::until("its return", wait::WAIT_LIMIT, || {
            answer(&kamailio, "any") == "gold: stored, hit"
        });
        fastest = fastest.min(back.elapsed());
    }
    // Two probes, half a second apart.
    assert!(fastest < Duration::from_millis(1300), "{fastest:?}");
}

#[test]
fn kemi_scripts_use_the_variables() {
    let memcached = Memcached::start();
    let scratch = Host::current().scratch();
    let script = scratch.write("kemi.lua", fs::read("kamailio-cfg/kemi.lua").unwrap());
    let script = format!("\"{}\"", Host::current().inside(&script).display());
    let kamailio = example("kemi.cfg", &memcached)
        .define("SCRIPT", &script)
        .start();
    let before: u64 = answer(&kamailio, "Someone")
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let expected = format!("plan gold, calls {}", before + 1);
    assert_eq!(answer(&kamailio, "Someone"), expected);
    assert_eq!(memcached.text("plan:caller").as_deref(), Some("gold"));
    assert!(memcached.item("last:someone").is_none());
    memcached.kill();
    answer(&kamailio, "Someone");
    let down = format!("memcached:server-down: {} is inactive", memcached.address());
    kamailio.wait_for_log(&down, wait::WAIT_LIMIT);
}

/// `metrics.cfg`, with its web server at that port.
fn metrics(memcached: &Memcached, port: &Port) -> Kamailio {
    example("metrics.cfg", memcached)
        .arg("-l")
        .arg(&format!("tcp:{}", port.v4()))
        .start()
}

/// What a page of Kamailio's own web server holds.
fn page(port: &Port, path: &str) -> String {
    let mut stream = TcpStream::connect(port.v4()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(wait::WAIT_LIMIT)).unwrap();
    let (mut page, mut part) = (String::new(), [0; 4096]);
    while !page.contains("waiting") {
        match stream.read(&mut part) {
            Ok(size @ 1..) => page += &String::from_utf8_lossy(&part[..size]),
            _ => break,
        }
    }
    page
}

#[test]
fn the_numbers_are_served_to_prometheus() {
    let (memcached, port) = (Memcached::start(), Port::free());
    let kamailio = metrics(&memcached, &port);
    assert_eq!(answer(&kamailio, "use"), "it was stored");
    assert_eq!(answer(&kamailio, "use"), "it was hit");
    assert_eq!(answer(&kamailio, "rate"), "1 hits, 1 misses");
    let page = page(&port, "/metrics");
    for (name, value) in [("gets", 2), ("sets", 1), ("servers_active", 1)] {
        let line = format!("kamailio_memcached_{name} {value}");
        assert!(page.contains(&line), "no `{line}` in:\n{page}");
    }
}

#[test]
fn a_script_shortens_its_own_timeout() {
    let (memcached, port) = (Memcached::start(), Port::free());
    let kamailio = metrics(&memcached, &port);
    assert_eq!(answer(&kamailio, "timeout"), "the timeout is 500 ms");
    answer(&kamailio, "hurry");
    assert_eq!(answer(&kamailio, "timeout"), "the timeout is 100 ms");
}
