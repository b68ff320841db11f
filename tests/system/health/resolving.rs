//! Servers that are given by name: names that stop resolving, that resolve later, that move, and a
//! resolver that does not answer. Where a process cannot be given names of its own (that needs root
//! and `unshare`), these tests say so and pass.

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Builder, Dns, Kamailio, Memcached, Pid};

use super::watch::{Bystanders, SLACK, assert_all, on_all_workers, row, wait_for_state};

/// How long the start waits for names.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// How soon a name without an address is asked for again.
const LOOKUP_RETRY: Duration = Duration::from_secs(1);

/// How often a server that is out is probed.
const RETRY: Duration = Duration::from_millis(100);

const WORKERS: usize = 4;

fn builder(dns: &Dns, servers: &str) -> Builder {
    let builder = Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 500)
        .param("retry_interval", 100)
        .rpc()
        .children(WORKERS)
        .script("get", "", &["$mct(k)", "$mcst"]);
    dns.serve(builder)
}

/// The addresses of the first server in the list, the one in use first.
#[track_caller]
fn resolved(kamailio: &Kamailio) -> String {
    let text = kamailio.jsonrpc("memcached.list", "[]");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let field = answer["result"][0]["resolved"].as_str();
    field.unwrap_or_else(|| kamailio.fail(&text)).to_owned()
}

/// The name that a memcached is given, with its port, and the address that it has.
fn named(memcached: &Memcached) -> (String, &str) {
    let (ip, port) = memcached.address().rsplit_once(':').expect("a port");
    (format!("cache.test:{port}"), ip)
}

#[test]
fn a_name_that_stops_resolving_is_used_where_it_was() {
    let Some(dns) = Dns::start(5) else { return };
    for gone in ["no such name", "no answer"] {
        let memcached = Memcached::start();
        let (name, ip) = named(&memcached);
        dns.set("cache.test", &[ip]);
        dns.set_silent(false);
        let kamailio = builder(&dns, &name).start();
        memcached.put("k", 1, 0, "v");
        assert_all(&kamailio, "hit");
        match gone {
            "no answer" => dns.set_silent(true),
            _ => dns.set("cache.test", &[]),
        }
        memcached.pause();
        let before = dns.questions();
        assert_eq!(kamailio.run("get")["$mcst"], "timeout", "{gone}");
        // A failure has the name asked for again, in vain.
        dns.wait_for_question_after(before);
        memcached.resume();
        wait_for_state(&kamailio, &name, "active");
        assert_all(&kamailio, "hit");
    }
}

#[test]
fn a_name_that_resolves_later_is_found() {
    let Some(dns) = Dns::start(5) else { return };
    let mut fastest = Duration::MAX;
    for asked_before in [true, false] {
        dns.set("cache.test", &[]);
        let memcached = Memcached::start();
        let (name, ip) = named(&memcached);
        let begun = Instant::now();
        let kamailio = builder(&dns, &name).start();
        assert!(begun.elapsed() < LOOKUP_LIMIT, "an answer is an answer");
        memcached.put("k", 1, 0, "v");
        if asked_before {
            assert_all(&kamailio, "down");
            assert_eq!(row(&kamailio, &name).state, "inactive");
        }
        dns.set("cache.test", &[ip]);
        dns.wait_for_question();
        fastest = fastest.min(wait_for_state(&kamailio, &name, "active"));
        assert_all(&kamailio, "hit");
    }
    assert!(fastest < LOOKUP_RETRY + RETRY + SLACK, "{fastest:?}");
}

#[test]
fn a_name_that_moves_is_followed_after_a_failure() {
    let Some(dns) = Dns::start(5) else { return };
    // Both on the same port, so that one name can stand for either.
    let homes = [Memcached::on_default_port(), Memcached::on_default_port()];
    let move_to = |home: &Memcached| dns.set("cache.test", &[named(home).1]);
    move_to(&homes[0]);
    let kamailio = builder(&dns, "cache.test").start();
    for (from, to, word) in [(0, 1, "down"), (1, 0, "timeout"), (0, 1, "timeout")] {
        let (from, to) = (&homes[from], &homes[to]);
        to.remove("k");
        from.put("k", 1, 0, "v");
        assert_all(&kamailio, "hit");
        assert_eq!(resolved(&kamailio), named(from).1);
        move_to(to);
        // A machine that is gone closes no connection; nobody may wait for it a second time.
        match word {
            "down" => from.kill(),
            _ => from.pause(),
        }
        assert_eq!(kamailio.run("get")["$mcst"], word);
        wait_for_state(&kamailio, "cache.test:11211", "active");
        assert_all(&kamailio, "miss");
        assert_eq!(resolved(&kamailio), named(to).1);
        to.put("k", 1, 0, "v");
        assert_all(&kamailio, "hit");
        match word {
            "down" => from.restart(),
            _ => from.resume(),
        }
    }
    let failures = row(&kamailio, "cache.test:11211").failures;
    assert_eq!(failures, 3, "one for each move");
}

#[test]
fn all_addresses_of_a_name_are_tried_and_the_list_says_which_is_used() {
    let Some(dns) = Dns::start(5) else { return };
    let memcached = Memcached::on_default_port();
    let ip = named(&memcached).1;
    memcached.put("k", 1, 0, "v");
    // Nobody listens at the others.
    let others: Vec<String> = (1..16).map(|at| format!("127.255.255.{at}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    for others in [&others[..1], &others[..2], &others] {
        dns.set("cache.test", &[others, &[ip]].concat());
        let kamailio = builder(&dns, "cache.test").start();
        assert_all(&kamailio, "hit");
        let all = resolved(&kamailio);
        assert!(all.starts_with(&format!("{ip} 127.255.255.")), "{all}");
        assert_eq!(all.split(' ').count(), others.len() + 1, "{all}");
        let row = row(&kamailio, "cache.test:11211");
        assert_eq!((&row.state[..], row.failures), ("active", 0));
    }
}

#[test]
fn an_address_that_is_silent_gives_way_to_the_next() {
    let Some(dns) = Dns::start(5) else { return };
    let homes = [Memcached::on_default_port(), Memcached::on_default_port()];
    dns.set("cache.test", &[named(&homes[0]).1, named(&homes[1]).1]);
    let kamailio = builder(&dns, "cache.test").start();
    homes.iter().for_each(|home| home.put("k", 1, 0, "v"));
    assert_all(&kamailio, "hit");
    for _ in 0..2 {
        let before = resolved(&kamailio);
        let (used, spare) = before.split_once(' ').expect("two addresses");
        let home = homes.iter().find(|home| named(home).1 == used);
        let home = home.expect("one of the two");
        home.pause();
        assert_eq!(kamailio.run("get")["$mcst"], "timeout");
        wait_for_state(&kamailio, "cache.test:11211", "active");
        assert_eq!(resolved(&kamailio), format!("{spare} {used}"));
        home.resume();
        assert_eq!(kamailio.run("get")["$mcst"], "hit");
    }
}

#[test]
fn a_resolver_that_hangs_delays_nobody() {
    const RESOLVER: u32 = 30;
    let Some(dns) = Dns::start(RESOLVER) else {
        return;
    };
    // Whoever waited for it would be later than this.
    let soon = Duration::from_secs(u64::from(RESOLVER)) / 3;
    dns.set_silent(true);
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let names: Vec<String> = (0..200)
        .map(|number| format!("cache-{number}.test"))
        .collect();
    let begun = Instant::now();
    let kamailio = builder(&dns, memcached.address())
        .param("pool", format!("name=named;servers={}", names.join(",")))
        .script("named", "", &["$mct(named=>k)", "$mcst"])
        .start();
    let took = begun.elapsed();
    let bounds = LOOKUP_LIMIT..soon;
    assert!(bounds.contains(&took), "all names together: {took:?}");
    // Eight of them at a time, beside the one of the process itself.
    let processes = [vec![kamailio.pid()], kamailio.processes()].concat();
    let threads: Vec<usize> = processes.into_iter().map(Pid::threads).collect();
    assert!(threads.iter().all(|threads| *threads <= 9), "{threads:?}");
    assert!(threads.contains(&9), "{threads:?}");
    let bystanders = Bystanders::start(&kamailio);
    for _ in 0..10 {
        for answer in on_all_workers(&kamailio) {
            assert_eq!(answer["$mcst"], "hit");
            assert!(answer.elapsed() < SLACK, "{:?}", answer.elapsed());
        }
        let answer = kamailio.run("named");
        assert_eq!(answer["$mcst"], "down");
        assert!(answer.elapsed() < SLACK, "{:?}", answer.elapsed());
    }
    // The prober goes on, too.
    memcached.kill();
    assert_eq!(kamailio.run("get")["$mcst"], "down");
    memcached.restart();
    let took = wait_for_state(&kamailio, memcached.address(), "active");
    assert!(took < RETRY + SLACK, "{took:?}");
    let longest = bystanders.longest_wait();
    assert!(longest < SLACK, "{longest:?}");
    let begun = Instant::now();
    assert!(kamailio.stop().success());
    let took = begun.elapsed();
    assert!(took < soon, "{took:?}");
}

#[test]
fn a_resolver_that_hangs_at_the_start_is_asked_again() {
    let Some(dns) = Dns::start(2) else { return };
    dns.set_silent(true);
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let (name, ip) = named(&memcached);
    dns.set("cache.test", &[ip]);
    let kamailio = builder(&dns, &name).start();
    assert_all(&kamailio, "down");
    // More questions than were left over from the start: the prober asks by itself.
    (0..5).for_each(|_| dns.wait_for_question());
    dns.set_silent(false);
    wait_for_state(&kamailio, &name, "active");
    assert_all(&kamailio, "hit");
}
