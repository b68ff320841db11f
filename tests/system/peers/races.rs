//! Two Kamailios with eight workers each, on one server: what one of all callers does alone, one of
//! them does, and nothing is lost.

use std::collections::HashSet;
use std::time::Duration;

use support::{Builder, Kamailio, Memcached, Request, Twemproxy};

const WORKERS: usize = 8;

/// The longest that a script may take in all its loops, on a busy machine, too.
const LIMIT: Duration = Duration::from_secs(120);

/// A loop over the numbers `$var(i)` below `count`.
fn loop_over(count: usize, body: &str) -> String {
    format!(
        "$var(sum) = 0; $var(i) = 0; while ($var(i) < {count}) {{ {body} $var(i) = $var(i) + 1; }}"
    )
}

/// Two Kamailios that run the script `race` in all their workers at once, and `check` in one.
struct Race {
    nodes: [Kamailio; 2],
}

impl Race {
    fn start(builder: &Builder, race: &str, check: &str) -> Self {
        let node = || {
            builder
                .clone()
                // So many workers have too few processors: the server may seem silent for a while.
                .without_verdicts()
                .param("timeout", 60_000)
                .global("max_while_loops=1000000")
                .children(WORKERS)
                .script("race", race, &["$var(sum)", "$pp"])
                .script("check", check, &["$var(sum)"])
                .start()
        };
        Race {
            nodes: [node(), node()],
        }
    }

    /// Runs `race` in all workers of both at once. Returns the sum of their sums.
    fn run(&self) -> i64 {
        let request = &Request::options().wait_limit(LIMIT);
        let launch =
            |node| (0..WORKERS).map(move |_| Kamailio::launch(node, "race", request.clone()));
        let runs: Vec<_> = self.nodes.iter().flat_map(launch).collect();
        let (mut sum, mut processes) = (0, HashSet::new());
        for run in runs {
            let answer = run.wait();
            processes.insert(answer["$pp"].int());
            sum += answer["$var(sum)"].int().expect("a number");
        }
        assert!(processes.len() > WORKERS, "{processes:?}");
        for node in &self.nodes {
            node.assert_nothing_logged();
        }
        sum
    }

    /// The sum after `check`.
    fn check(&self) -> i64 {
        let request = Request::options().wait_limit(LIMIT);
        let answer = self.nodes[0].run_with("check", request);
        answer["$var(sum)"].int().expect("a number")
    }
}

/// A twemproxy in front of a memcached.
fn proxy_of(memcached: &Memcached) -> Twemproxy {
    let server = format!("{}:1 m", memcached.address());
    Twemproxy::start(&["hash: md5"], &[&server])
}

/// Of all workers, one creates each counter, and the calls of all others are counted.
fn assert_creates_each_once(builder: &Builder, windows: usize) {
    let count = "mct_inc(\"w:$var(i)\", 1, \"$var(n)\", 1, 600); \
                 if ($var(n) == 1) $var(sum) = $var(sum) + 1;";
    let read = format!(
        "mct_get(\"w:$var(i)\", \"$var(n)\"); \
         if ($var(n) == {}) $var(sum) = $var(sum) + 1;",
        2 * WORKERS
    );
    let race = Race::start(
        builder,
        &loop_over(windows, count),
        &loop_over(windows, &read),
    );
    let windows = i64::try_from(windows).expect("few");
    assert_eq!(race.run(), windows, "creations");
    assert_eq!(race.check(), windows, "counters that have every call");
}

#[test]
fn each_counter_is_created_by_one_of_all_callers() {
    let memcached = Memcached::with(&["-m", "256"]);
    assert_creates_each_once(&Kamailio::on(&memcached), 10_000);
}

#[test]
fn each_counter_is_created_once_in_the_classic_protocol() {
    let memcached = Memcached::with(&["-m", "256"]);
    let classic = Kamailio::on(&memcached).param("protocol", "classic");
    assert_creates_each_once(&classic, 5_000);
}

#[test]
fn each_counter_is_created_once_through_a_proxy() {
    let memcached = Memcached::with(&["-m", "256"]);
    let proxy = proxy_of(&memcached);
    for protocol in ["classic", "auto"] {
        let on = Kamailio::builder().param("servers", proxy.address());
        memcached.command("flush_all\r\n");
        assert_creates_each_once(&on.param("protocol", protocol), 2_000);
    }
}

/// Every worker adds to one item, so each of them is overtaken often.
fn assert_loses_no_change(builder: &Builder) {
    const CHANGES: usize = 40;
    let change = "
        $var(tries) = 0;
        while ($var(tries) < 10000) {
            $var(tries) = $var(tries) + 1;
            if (mct_gets(\"list\", \"$avp(list)\", \"$avp(version)\")) {
                $var(list) = $avp(list) + \"x\";
                mct_cas(\"list\", \"$var(list)\", \"$avp(version)\", 600);
            } else {
                mct_add(\"list\", \"x\", 600);
            }
            if ($rc > 0) { $var(sum) = $var(sum) + 1; break; }
            if ($rc < -1) break;
        }";
    let race = Race::start(
        builder,
        &loop_over(CHANGES, change),
        "mct_get(\"list\", \"$avp(list)\"); $var(sum) = $(avp(list){s.len});",
    );
    let due = i64::try_from(2 * WORKERS * CHANGES).expect("few");
    assert_eq!(race.run(), due, "changes that were stored");
    assert_eq!(race.check(), due, "changes that are there");
}

#[test]
fn what_is_changed_by_its_version_loses_nothing() {
    assert_loses_no_change(&Kamailio::on(&Memcached::start()));
}

#[test]
fn what_is_changed_by_its_version_loses_nothing_through_a_proxy() {
    let memcached = Memcached::start();
    let proxy = proxy_of(&memcached);
    let classic = Kamailio::builder()
        .param("servers", proxy.address())
        .param("protocol", "classic");
    assert_loses_no_change(&classic);
}

#[test]
fn what_is_only_added_has_one_winner() {
    const ITEMS: usize = 3_000;
    let memcached = Memcached::with(&["-m", "256"]);
    let proxy = proxy_of(&memcached);
    for (servers, protocol) in [(memcached.address(), "auto"), (&proxy.address(), "classic")] {
        memcached.command("flush_all\r\n");
        let on = Kamailio::builder().param("servers", servers);
        let add = "if (mct_add(\"a:$var(i)\", \"$pp\", 600)) $var(sum) = $var(sum) + 1;";
        let add = loop_over(ITEMS, add);
        let race = Race::start(&on.param("protocol", protocol), &add, &add);
        assert_eq!(race.run(), i64::try_from(ITEMS).expect("few"), "winners");
        assert_eq!(race.check(), 0, "winners after all");
    }
}
