//! A shortage of descriptors in one of Kamailio's processes is its own trouble, and never the server's.

use std::time::Duration;

use support::{FaultyServer, Kamailio, Memcached, Request, Store, wait};

use super::callers::{Call, has_each_answered, pass, read_until, scripts, words, write};
use super::watch::{assert_never_out, row};

#[test]
fn a_worker_without_descriptors_fails_alone() {
    for failover in [0, 1] {
        let memcached = Memcached::start();
        let kamailio = scripts(Kamailio::on(&memcached))
            .param("timeout", 1000)
            .param("failover", failover)
            .children(3)
            .rpc()
            .start();
        // No worker has a connection yet.
        let [poor, ..] = kamailio.workers()[..] else {
            panic!("three workers");
        };
        memcached.put("a", 1, 0, "one");
        poor.limit_descriptors(3);
        let calls = read_until(&kamailio, 4, &["a".into()], |calls| {
            has_each_answered(&kamailio, calls, 20)
        });
        let (of_poor, of_others): (Vec<Call>, Vec<Call>) =
            calls.into_iter().partition(|call| call.process == poor);
        assert!(
            words(&of_poor).keys().eq([&"down"]),
            "{:?}",
            words(&of_poor)
        );
        assert!(
            words(&of_others).keys().eq([&"hit"]),
            "{:?}",
            words(&of_others)
        );
        assert_eq!(row(&kamailio, memcached.address()).state, "active");
        let lines = kamailio.module_lines();
        assert!(
            lines
                .iter()
                .all(|line| line.contains("this process cannot open")),
            "{lines:#?}"
        );
        assert!(!lines.is_empty() && lines.len() < 10, "{lines:#?}");
        poor.limit_descriptors(1024);
        let answers = kamailio.run_on_every_worker("get", &Request::about("a"));
        assert!(answers.iter().all(|answer| answer["$mcst"] == "hit"));
    }
}

/// A worker that has a connection but no descriptor for a second one: a hang-up costs it the operation.
#[test]
fn a_worker_that_cannot_look_again_says_nothing_against_the_server() {
    let memcached = Memcached::start();
    let kamailio = scripts(Kamailio::on(&memcached))
        .param("timeout", 600)
        .children(2)
        .rpc()
        .start();
    write(&kamailio, "a", "one");
    kamailio.run_on_every_worker("get", &Request::about("a"));
    let workers = kamailio.workers();
    workers
        .iter()
        .for_each(|worker| worker.limit_descriptors(3));
    memcached.pause();
    let answers = kamailio.run_at_once("get", 2, &Request::about("a"));
    // `timeout` or `busy`; if one worker gets both requests, the second one is `down`: it has lost its connection.
    assert!(answers.iter().all(|answer| answer["$mcst"] != "hit"));
    memcached.resume();
    assert_never_out(&kamailio);
    workers
        .iter()
        .for_each(|worker| worker.limit_descriptors(1024));
    let answers = kamailio.run_on_every_worker("get", &Request::about("a"));
    assert!(answers.iter().all(|answer| answer["$mcst"] == "hit"));
}

/// The prober has no descriptors: it skips its probes and takes nobody out of service.
#[test]
fn a_prober_without_descriptors_takes_nobody_out() {
    let memcached = Memcached::start();
    let kamailio = scripts(Kamailio::on(&memcached))
        .param("timeout", 600)
        .param("ping_interval", 1)
        .rpc()
        .start();
    write(&kamailio, "a", "one");
    let workers = kamailio.workers();
    let others = kamailio
        .processes()
        .into_iter()
        .filter(|it| !workers.contains(it));
    others.for_each(|process| process.limit_descriptors(3));
    // Nobody vouches for the server meanwhile.
    kamailio.wait_for_log("cannot open a connection", Duration::from_secs(4));
    // It tries again and again meanwhile, which the log does not tell each time.
    pass(Duration::from_millis(1500));
    assert_never_out(&kamailio);
    assert_eq!(super::callers::call(&kamailio, "get", "a").word, "hit");
}

/// Twelve descriptors in each process, and twenty servers: those that are connected are used on, nobody
/// takes a server out of service, and as soon as there are descriptors again all servers are used.
#[test]
fn twelve_descriptors_for_twenty_servers_take_no_server_out() {
    let servers: Vec<FaultyServer> = (0..20)
        .map(|_| {
            let store = Store::new();
            (0..100).for_each(|key| store.put(&format!("k{key}"), "one"));
            FaultyServer::storing(store, |_, _| Ok(false))
        })
        .collect();
    let list: Vec<String> = servers.iter().map(FaultyServer::address).collect();
    let kamailio = scripts(Kamailio::builder())
        .param("servers", list.join(","))
        .param("timeout", 1000)
        .param("retry_interval", 100)
        .param("ping_interval", 1)
        .children(2)
        .rpc()
        .start();
    let processes = kamailio.processes();
    let keys: Vec<String> = (0..100).map(|key| format!("k{key}")).collect();
    processes.iter().for_each(|it| it.limit_descriptors(12));
    // Four callers need two seconds for that, and the prober has lacked descriptors, too.
    let calls = read_until(&kamailio, 4, &keys, |calls| {
        has_each_answered(&kamailio, calls, 800)
    });
    assert!(
        words(&calls).keys().eq([&"down", &"hit"]),
        "{:?}",
        words(&calls)
    );
    let all = super::watch::rows(&kamailio, "memcached.list", "[]");
    assert!(all.iter().all(|row| row.state == "active"), "{all:#?}");
    assert_never_out(&kamailio);
    processes.iter().for_each(|it| it.limit_descriptors(1024));
    let calls = read_until(&kamailio, 4, &keys, |calls| {
        has_each_answered(&kamailio, calls, 100)
    });
    assert!(words(&calls).keys().eq([&"hit"]), "{:?}", words(&calls));
    assert_eq!(kamailio.processes(), processes);
}

/// More servers than the prober may have descriptors: it asks all of them, some later than others.
#[test]
fn a_prober_asks_no_more_servers_at_a_time_than_it_has_descriptors() {
    // One reply to `memcached.list` has room for about a hundred servers.
    const POOLS: usize = 5;
    const SERVERS: usize = 80;
    let of_pool = |pool: usize| (1..=SERVERS).map(move |at| format!("127.1.{pool}.{at}"));
    let own: Vec<String> = (0..POOLS).flat_map(of_pool).collect();
    let memcached = Memcached::with(&["-l", &own.join(",")]);
    assert!(
        memcached.is_empty(),
        "it answers when it listens everywhere"
    );
    let pool = |pool: usize| {
        let address = |at: usize| format!("127.1.{pool}.{at}:{}", memcached.port());
        let addresses: Vec<String> = (1..=SERVERS).map(address).collect();
        format!("name=p{pool};servers={}", addresses.join(","))
    };
    let builder = scripts(Kamailio::on(&memcached)).param("ping_interval", 1);
    let kamailio = (0..POOLS)
        .fold(builder, |builder, at| builder.param("pool", pool(at)))
        .rpc()
        .wrapper(&["prlimit", "--nofile=64:64"])
        .start();
    let count = |text: &str| {
        let lists = (0..POOLS).map(|at| kamailio.rpc("memcached.list", &[&format!("p{at}")]));
        lists.map(|list| list.matches(text).count()).sum::<usize>()
    };
    wait::until("a good probe of each server", wait::WAIT_LIMIT, || {
        count("last_probe: ok") == POOLS * SERVERS
    });
    assert_eq!(count("state: active"), POOLS * SERVERS);
    let pinged = kamailio.rpc("memcached.ping", &[]);
    let answers = pinged.matches("answer: ok").count();
    assert_eq!(answers, 1 + POOLS * SERVERS, "{pinged}");
    kamailio.assert_nothing_logged();
}
