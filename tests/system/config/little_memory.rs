//! Lists of servers for which a process has no memory: it goes on with the list that it has, and nobody dies.

use std::time::Duration;

use support::{Builder, Faults, Host, Kamailio, Memcached, Request, Scratch, Who, wait};

use crate::health::callers::pass;
use crate::health::watch::row;

/// As many servers as a list may have. None of them is there.
fn longest_list() -> String {
    (0..1000).map(|at| format!("/none/{at}\n")).collect()
}

/// A Kamailio whose servers stand in a file, which lists the memcached alone.
struct Site {
    list: Scratch,
    memcached: Memcached,
}

impl Site {
    fn new() -> Site {
        let site = Site {
            list: Host::current().scratch(),
            memcached: Memcached::start(),
        };
        site.memcached.put("k", 1, 0, "value");
        site.list_memcached();
        site
    }

    fn builder(&self) -> Builder {
        let path = Host::current().inside(&self.list.join("servers"));
        Kamailio::builder()
            .param("servers_file", path.display().to_string())
            // One that is out costs the others no new ring.
            .param("failover", 0)
            .param("retry_interval", 60_000)
            .rpc()
            .script("get", "", &["$mct(k)", "$mcst"])
            .script("page", "mct_metrics(\"$var(p)\");", &["$rc"])
    }

    fn list_memcached(&self) {
        self.list.write("servers", self.memcached.address());
    }
}

fn read(kamailio: &Kamailio) -> String {
    let answer = kamailio.run_with("get", Request::options());
    String::from_utf8_lossy(answer["$mcst"].bytes().expect("a word")).into_owned()
}

fn reload(kamailio: &Kamailio) -> String {
    kamailio.jsonrpc("memcached.reload", "[]")
}

#[test]
fn who_has_no_memory_for_a_list_goes_on_with_the_one_it_has() {
    let Some(faults) = Faults::new() else { return };
    let site = Site::new();
    let kamailio = faults.obeyed_by(site.builder()).start();
    let processes = kamailio.processes();
    assert_eq!(read(&kamailio), "hit");
    // The worker has none.
    faults.order_no_memory(64 << 10, Who::Only(kamailio.workers()[0]));
    site.list.write("servers", longest_list());
    let answer = reload(&kamailio);
    assert!(answer.contains("1000"), "{answer}");
    for _ in 0..3 {
        assert_eq!(read(&kamailio), "hit");
    }
    let line = kamailio.wait_for_log("goes on with the servers it had", wait::WAIT_LIMIT);
    assert!(
        line.contains("pool 'default' goes on with the servers it had: there is not enough memory"),
        "{line}"
    );
    assert_eq!(kamailio.run("page")["$rc"], -3);
    assert!(faults.clear() > 0);
    wait::until("the list is followed", wait::WAIT_LIMIT, || {
        read(&kamailio) == "down"
    });
    // Nobody has any.
    let listed = kamailio.jsonrpc("memcached.list", "[\"default\", \"/none/999\"]");
    assert!(listed.contains("/none/999"), "{listed}");
    faults.order_no_memory(64 << 10, Who::All);
    site.list_memcached();
    for command in ["reload", "list"] {
        let answer = kamailio.jsonrpc(&format!("memcached.{command}"), "[]");
        assert!(
            answer.contains("there is not enough memory"),
            "{command}: {answer}"
        );
    }
    assert_eq!(read(&kamailio), "down");
    assert!(faults.clear() > 0);
    reload(&kamailio);
    wait::until("the list is followed", wait::WAIT_LIMIT, || {
        read(&kamailio) == "hit"
    });
    assert_eq!(row(&kamailio, site.memcached.address()).state, "active");
    assert_eq!(kamailio.processes(), processes);
}

/// However much is left, a process dies in the middle of nothing.
#[test]
fn a_long_list_is_followed_or_not_with_any_room_that_is_left() {
    let site = Site::new();
    let kamailio = site.builder().start();
    let processes = kamailio.processes();
    let worker = kamailio.workers()[0];
    let (mut followed, mut kept) = (0, 0);
    for left in [0, 2, 10, 20] {
        assert_eq!(read(&kamailio), "hit");
        worker.limit_more_memory(left << 20);
        site.list.write("servers", longest_list());
        reload(&kamailio);
        let word = read(&kamailio);
        match &*word {
            "down" => followed += 1,
            "hit" => kept += 1,
            other => panic!("{left} MiB: {other}"),
        }
        kamailio.run("page");
        // The worker tries again a second later.
        pass(Duration::from_millis(1100));
        worker.limit_more_memory(1 << 30);
        site.list_memcached();
        reload(&kamailio);
        wait::until("the list is followed", wait::WAIT_LIMIT, || {
            read(&kamailio) == "hit"
        });
        assert_eq!(kamailio.processes(), processes, "{left} MiB");
    }
    assert!(
        kept > 0 && followed > 0,
        "{kept} kept, {followed} followed\n{}",
        kamailio.log()
    );
}
