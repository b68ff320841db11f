//! The files in `kamailio-cfg/`, of which the manual's examples are pieces (see `manual.rs`), do what
//! the manual says: Kamailio accepts each file as it is, and answers requests by it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Builder, Host, Kamailio, Memcached, Port, Request, Scratch, process, wait};

use crate::operating::http;
use crate::script::engine::in_each;

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

/// The path of a file of credentials that only its owner may read.
fn credentials(scratch: &Scratch) -> String {
    let file = scratch.write("credentials", "kamailio:secret\n");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    format!("\"{}\"", Host::current().inside(&file).display())
}

/// The folder in which `tls-certificates` has made some for `127.0.0.1`.
fn certificates(scratch: &Scratch) -> PathBuf {
    let folder = scratch.join("certificates");
    let mut script = Command::new("kamailio-cfg/tls-certificates");
    let output = process::output(script.arg("127.0.0.1").arg(&folder)).unwrap();
    assert!(output.status.success(), "{output:?}");
    folder
}

/// The example of TLS with these certificates.
fn with_certificates(builder: Builder, folder: &Path) -> Builder {
    let files = [
        ("CA", "ca.pem"),
        ("CERT", "client.pem"),
        ("KEY", "client.key"),
    ];
    files.into_iter().fold(builder, |builder, (name, file)| {
        let file = Host::current().inside(&folder.join(file));
        builder.define(name, &format!("\"{}\"", file.display()))
    })
}

/// Sends OPTIONS to `user`; the response's reason phrase.
fn answer(kamailio: &Kamailio, user: &str) -> String {
    kamailio.sip(Request::options().user(user)).reason
}

#[test]
fn every_file_is_accepted_as_it_is() {
    let scratch = Host::current().scratch();
    let folder = certificates(&scratch);
    for name in examples().into_keys().filter(|name| name.ends_with(".cfg")) {
        let script = scratch.write("kemi.lua", fs::read("kamailio-cfg/kemi.lua").unwrap());
        let script = format!("\"{}\"", Host::current().inside(&script).display());
        let list = fs::read("kamailio-cfg/servers.list").unwrap();
        let list = scratch.write("servers.list", list);
        let list = format!("\"{}\"", Host::current().inside(&list).display());
        let before = format!(
            "\"name=before;servers_file={}",
            list.trim_start_matches('"')
        );
        let file = PathBuf::from("kamailio-cfg").join(&name);
        let check = Kamailio::builder()
            .file(file)
            .define("SCRIPT", &script)
            .define("SERVERS_FILE", &list)
            .define("NOW", &list)
            .define("BEFORE", &before)
            .define("CREDENTIALS", &credentials(&scratch));
        let check = with_certificates(check, &folder).check();
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
fn functions_do_what_the_manual_says() {
    let memcached = Memcached::start();
    let kamailio = example("functions.cfg", &memcached).start();
    for (user, expected) in [
        ("get", "no plan"),
        ("replace", "it was not_stored"),
        ("extend", "the last one was not_stored"),
        ("touch", "it was miss"),
        ("set", "the last one was stored"),
        ("get", "plan: gold"),
        ("replace", "it was stored"),
        ("extend", "the last one was stored"),
        ("get", "plan: very silver+"),
        ("touch", "it was touched"),
        ("del", "it was deleted"),
        ("del", "it was miss"),
        ("add", "this call has it"),
        ("add", "it was not_stored"),
        ("count", "calls: 1"),
        ("count", "calls: 2"),
        ("uncount", "calls: 1"),
        ("change", "it was stored"),
        ("change", "it was stored"),
    ] {
        assert_eq!(answer(&kamailio, user), expected, "{user}");
    }
    memcached.assert_holds("list:caller", 1, "xx");
    memcached.assert_expires_in("calls:caller", 60);
    assert_eq!(answer(&kamailio, "flush"), "all are deleted");
    assert_eq!(memcached.item("list:caller"), None);
    memcached.kill();
    assert_eq!(answer(&kamailio, "get"), "unknown: down");
}

#[test]
fn prefetch_cfg_asks_for_all_items_ahead() {
    let memcached = Memcached::start();
    for (key, value) in [("plan", "gold"), ("credit", "7")] {
        memcached.put(format!("{key}:caller"), 1, 0, value);
    }
    for (key, value) in [("greeting:bob", "hello"), ("device:bob", "desk")] {
        memcached.put(key, 1, 0, value);
    }
    let kamailio = example("prefetch.cfg", &memcached).start();
    assert_eq!(
        answer(&kamailio, "bob"),
        "known: gold 7 hello, to desk, left behind: desk"
    );
    memcached.put("forward:bob", 1, 0, "mobile");
    let before = memcached.stat("cmd_get");
    assert_eq!(
        answer(&kamailio, "bob"),
        "known: gold 7 hello, to mobile, left behind: mobile"
    );
    // Six questions, and what the call has left behind.
    assert_eq!(memcached.stat("cmd_get") - before, 7);
    memcached.assert_holds("last:caller", 1, "mobile");
    memcached.assert_expires_in("last:caller", 86_400);
    memcached.put("blocked:caller", 1, 0, "1");
    assert_eq!(answer(&kamailio, "bob"), "blocked");
    assert_eq!(answer(&kamailio, "both"), "plan: gold, credit: 7");
}

#[test]
fn shared_data_keeps_its_first_value_and_its_zeros() {
    let memcached = Memcached::start();
    memcached.put("number:caller", 0, 0, "0049301234");
    let kamailio = example("shared.cfg", &memcached).start();
    assert_eq!(answer(&kamailio, "claim"), "this node has it");
    assert_eq!(answer(&kamailio, "claim"), "another node has it");
    assert_eq!(answer(&kamailio, "number"), "number: 0049301234");
    memcached.kill();
    assert_eq!(answer(&kamailio, "claim"), "nobody knows");
}

#[test]
fn what_php_and_python_have_stored_is_typed_and_so_is_what_they_find() {
    let memcached = Memcached::start();
    let pool = format!(
        "name=provisioning;servers={};values=php;mode=0;stringify=0",
        memcached.address()
    );
    let routes = format!(
        "name=routes;servers={};values=libmc;large_values=1;mode=0",
        memcached.address()
    );
    let kamailio = example("shared.cfg", &memcached)
        .define("PROVISIONING", &format!("\"{pool}\""))
        .define("ROUTES", &format!("\"{routes}\""))
        .start();
    memcached.put("~3all/0", 0, 0, "r".repeat(1_000_000));
    memcached.put("~3all/1", 0, 0, "r".repeat(234_567));
    memcached.put("all", 4096, 0, "2");
    assert_eq!(answer(&kamailio, "routes"), "the routes have 1234567 bytes");
    assert_eq!(answer(&kamailio, "limit"), "no limit");
    for (flags, bytes, expected) in [
        (1, "5", "up to 5 calls"),
        (3, "", "no calls"),
        (4, "a:0:{}", "the limit is no number"),
    ] {
        memcached.put("limit:caller", flags, 0, bytes);
        assert_eq!(answer(&kamailio, "limit"), expected);
    }
    memcached.assert_holds("calls:caller", 1, "1");
    assert_eq!(memcached.item("address:caller").unwrap().flags, 0);
}

#[test]
fn the_password_opens_a_server() {
    let scratch = Host::current().scratch();
    let start = |password: &str| {
        let memcached = Memcached::authenticated("kamailio", password);
        let builder = example("credentials.cfg", &memcached);
        let kamailio = builder
            .define("CREDENTIALS", &credentials(&scratch))
            .start();
        (memcached, kamailio)
    };
    let (_memcached, kamailio) = start("secret");
    assert_eq!(answer(&kamailio, "any"), "it was stored");
    let (_memcached, kamailio) = start("another");
    answer(&kamailio, "any");
    kamailio.wait_for_log(" is inactive: denied: ", wait::WAIT_LIMIT);
}

#[test]
fn both_ends_of_tls_show_a_certificate() {
    let scratch = Host::current().scratch();
    let folder = certificates(&scratch);
    let file = |name: &str| folder.join(name).display().to_string();
    let memcached = Memcached::secured(&format!(
        "ssl_chain_cert={},ssl_key={},ssl_ca_cert={},ssl_verify_mode=2,ssl_min_version=3",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    ));
    let kamailio = with_certificates(example("tls.cfg", &memcached), &folder)
        .define("CREDENTIALS", &credentials(&scratch))
        .start();
    assert_eq!(answer(&kamailio, "any"), "it was stored");
    assert_eq!(memcached.text("plan:caller").as_deref(), Some("gold"));
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
fn kemi_scripts_do_the_same_in_each_language() {
    in_each(|engine| {
        let memcached = Memcached::start();
        let scratch = Host::current().scratch();
        let name = format!("kemi.{}", engine.ending());
        let script = fs::read(PathBuf::from("kamailio-cfg").join(&name)).unwrap();
        let script = Host::current().inside(&scratch.write(&name, script));
        let kamailio = example("kemi.cfg", &memcached)
            .define("SCRIPT", &format!("\"{}\"", script.display()))
            .define(&format!("{engine:?}").to_uppercase(), "yes")
            .start();
        let count = || {
            let reason = answer(&kamailio, "Someone");
            let calls = reason.strip_prefix("plan gold, calls ");
            calls
                .unwrap_or_else(|| panic!("{engine:?}: {reason}"))
                .parse::<u64>()
        };
        let before = count().unwrap();
        assert_eq!(count(), Ok(before + 1), "{engine:?}");
        assert_eq!(memcached.text("plan:caller").as_deref(), Some("gold"));
        memcached.assert_expires_in("plan:caller", 60);
        memcached.assert_expires_in("calls:caller", 3600);
        assert!(memcached.item("lock:someone").is_none());
        memcached.kill();
        let without = "plan gold, calls not counted";
        assert_eq!(answer(&kamailio, "Someone"), without, "{engine:?}");
        let down = format!("memcached:server-down: {} is inactive", memcached.address());
        kamailio.wait_for_log(&down, wait::WAIT_LIMIT);
    });
}

/// `metrics.cfg`, with its web server at that port.
fn metrics(memcached: &Memcached, port: &Port) -> Kamailio {
    example("metrics.cfg", memcached)
        .arg("-l")
        .arg(&format!("tcp:{}", port.v4()))
        .start()
}

#[test]
fn the_numbers_are_served_to_prometheus() {
    let (memcached, port) = (Memcached::start(), Port::free());
    let kamailio = metrics(&memcached, &port);
    assert_eq!(answer(&kamailio, "use"), "it was stored");
    assert_eq!(answer(&kamailio, "use"), "it was hit");
    assert_eq!(answer(&kamailio, "rate"), "1 hits, 1 misses");
    for (path, lines) in [
        ("/metrics", ["gets 2", "sets 1", "servers_active 1"]),
        (
            "/memcached",
            [
                "pool_gets_total{pool=\"default\"} 2",
                "pool_sets_total{pool=\"default\"} 1",
                "pool_servers_active{pool=\"default\"} 1",
            ],
        ),
    ] {
        let page = http::get(port.v4(), path);
        for line in lines {
            let line = format!("\nkamailio_memcached_{line}");
            assert!(page.contains(&line), "no `{line}` in:\n{page}");
        }
    }
    let other = http::get(port.v4(), "/other");
    assert_eq!(other, "see /metrics and /memcached");
}

#[test]
fn a_script_shortens_its_own_timeout() {
    let (memcached, port) = (Memcached::start(), Port::free());
    let kamailio = metrics(&memcached, &port);
    assert_eq!(answer(&kamailio, "timeout"), "the timeout is 500 ms");
    answer(&kamailio, "hurry");
    assert_eq!(answer(&kamailio, "timeout"), "the timeout is 100 ms");
}
