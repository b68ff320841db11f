//! `warm_from`: what a pool does not have comes over from another one, by every operation, for the rest of its
//! lifetime; what was removed does not come over; another pool that is silent or gone costs no more than its
//! own answer; and twenty thousand items move while eight workers use them.

use std::io::{Read, Write};
use std::time::Duration;

use support::{Builder, Forwarder, Kamailio, Memcached, Value, wait};

/// A pool without items that warms from one with items.
struct Site {
    new: Memcached,
    old: Memcached,
}

impl Site {
    fn start() -> Site {
        let [new, old] = [(); 2].map(|()| Memcached::start());
        Site { new, old }
    }

    /// The pools, and these words more for the old one.
    fn kamailio(&self, words: &str) -> Builder {
        self.kamailio_by(self.old.address(), words)
    }

    /// The same, where the server of the old pool is reached at another address.
    fn kamailio_by(&self, old: &str, words: &str) -> Builder {
        let pool = format!("name=old;servers={old}{words}");
        Kamailio::on(&self.new)
            .param("pool", pool)
            .param("warm_from", "old")
            .rpc()
    }
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

fn statistic(kamailio: &Kamailio, name: &str) -> u64 {
    let shown = kamailio.rpc("memcached.stats", &["default"]);
    let line = shown.lines().find(|line| line.trim().starts_with(name));
    let number = line.and_then(|line| line.split(':').nth(1)?.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no {name}: {shown}"))
}

#[test]
fn every_operation_finds_what_is_still_in_the_other_pool() {
    for protocol in ["meta", "classic"] {
        // What is done with `k`, the word for it, and what the new pool holds then.
        for (number, (statements, word, held)) in [
            ("$var(v) = $mct(k);", "hit", "7"),
            ("mct_gets(\"k\", \"$avp(v)\", \"$avp(c)\");", "hit", "7"),
            ("mct_lease(\"k\", \"$avp(v)\");", "hit", "7"),
            ("mct_touch(\"k\", 50);", "touched", "7"),
            ("mct_replace(\"k\", \"x\");", "stored", "x"),
            ("mct_append(\"k\", \"1\");", "stored", "71"),
            ("mct_prepend(\"k\", \"1\");", "stored", "17"),
            ("mct_cas(\"k\", \"x\", \"1234567890\");", "exists", "7"),
            ("mct_add(\"k\", \"x\");", "not_stored", "7"),
            ("$mcinc(k) = 3;", "counted", "10"),
            ("$mcdec(k) = 3;", "counted", "4"),
            ("mct_inc(\"k\", 3, \"$avp(v)\", 1, 60);", "counted", "10"),
            ("mct_set(\"k\", \"x\");", "stored", "x"),
        ]
        .into_iter()
        .enumerate()
        {
            let site = Site::start();
            site.old.put("k", 0, 500, "7");
            let kamailio = site
                .kamailio("")
                .param("protocol", protocol)
                .script("do", statements, &["$mcst"])
                .start();
            let answer = kamailio.run("do");
            let case = format!("{protocol} {number} {statements}");
            assert_eq!(answer["$mcst"], word, "{case}");
            assert_eq!(site.new.text("k").as_deref(), Some(held), "{case}");
            assert_eq!(site.old.text("k").as_deref(), Some("7"), "{case}");
            let brought = !statements.starts_with("mct_set");
            assert_eq!(statistic(&kamailio, "warmed"), u64::from(brought), "{case}");
            // What a lease cannot do without meta commands is logged.
            if protocol == "meta" || !statements.contains("lease") {
                kamailio.assert_nothing_logged();
            }
        }
    }
}

#[test]
fn many_items_at_once_are_found_in_the_other_pool() {
    let site = Site::start();
    site.old.put("a", 0, 500, "7");
    site.new.put("b", 0, 500, "8");
    let shown = ["$var(rc)", "$mct(a)", "$mct(b)", "$mct(c)"];
    let kamailio = site
        .kamailio("")
        .script("many", "mct_mget(\"a,b,c\"); $var(rc) = $rc;", &shown)
        .start();
    let answer = kamailio.run("many");
    let told = shown.map(|name| answer[name].int());
    assert_eq!(told, [Some(2), Some(7), Some(8), None]);
    assert_eq!(site.new.text("a").as_deref(), Some("7"));
    assert_eq!(statistic(&kamailio, "warmed"), 1);
    kamailio.assert_nothing_logged();
}

#[test]
fn what_is_nowhere_is_a_miss_and_may_be_added_and_created() {
    let site = Site::start();
    let kamailio = site
        .kamailio("")
        .script("get", "$var(v) = $mct(k);", &["$mcst"])
        .script("lease", "mct_lease(\"l\", \"$avp(v)\");", &["$mcst"])
        .script("inc", "$mcinc(k) = 1;", &["$mcst"])
        .script("delete", "$mct(k) = $null;", &["$mcst"])
        .script("add", "mct_add(\"a\", \"x\");", &["$mcst"])
        .script(
            "create",
            "mct_inc(\"c\", 3, \"$avp(v)\", 1, 60);",
            &["$avp(v)"],
        )
        .start();
    for name in ["get", "inc", "delete"] {
        assert_eq!(kamailio.run(name)["$mcst"], "miss", "{name}");
    }
    assert_eq!(kamailio.run("lease")["$mcst"], "lease");
    assert_eq!(kamailio.run("add")["$mcst"], "stored");
    assert_eq!(kamailio.run("create")["$avp(v)"], 1);
    assert_eq!(kamailio.run("create")["$avp(v)"], 4);
    assert!(site.old.is_empty());
}

#[test]
fn the_lifetime_goes_on_where_the_server_tells_it() {
    for (protocol, left, never) in [("meta", 60, -1), ("classic", 300, 300)] {
        let site = Site::start();
        site.old.put("some", 1, 60, "v");
        site.old.put("never", 1, 0, "v");
        let kamailio = site
            .kamailio("")
            .param("protocol", protocol)
            .param("expire", 300)
            .script("get", "", &["$mct(some=>900)", "$mct(never)"])
            .start();
        assert_eq!(kamailio.run("get").values(), [text("v"), text("v")]);
        let ttl = |key| site.new.item(key).expect("an item").ttl;
        assert!((left - 5..=left).contains(&ttl("some")), "{}", ttl("some"));
        assert!((never - 5..=never).contains(&ttl("never")));
    }
}

#[test]
fn each_pool_has_its_own_prefix_and_its_own_form_of_values() {
    let site = Site::start();
    let long = "x".repeat(260);
    site.old.put("before:s", 0, 0, "0049");
    site.old.put("before:n", 1, 0, "-12");
    let kamailio = site
        .kamailio(";key_prefix=before:;values=php")
        .param("key_prefix", "now:")
        .script("get", "", &["$mct(s)", "$mct(n)"])
        .script(
            "long",
            &format!("$mct(old=>{long}) = \"v\";"),
            &[&format!("$mct({long})")],
        )
        .start();
    assert_eq!(
        kamailio.run("get").values(),
        [text("0049"), Value::Int(-12)]
    );
    site.new.assert_holds("now:s", 1, "0049");
    site.new.assert_holds("now:n", 0, "-12");
    assert_eq!(kamailio.run("long").values(), [text("v")]);
}

#[test]
fn what_is_removed_is_removed_from_both() {
    for statements in [
        "$mct(k) = $null;",
        "mct_del(\"k\");",
        "mct_invalidate(\"k\", 0);",
    ] {
        let site = Site::start();
        let kamailio = site
            .kamailio("")
            .script("do", statements, &["$mcst"])
            .script("get", "$var(v) = $mct(k);", &["$mcst"])
            .start();
        for is_over in [false, true] {
            site.old.put("k", 1, 0, "v");
            if is_over {
                kamailio.run("get");
            }
            assert_eq!(kamailio.run("do")["$mcst"], "deleted", "{statements}");
            assert_eq!(kamailio.run("get")["$mcst"], "miss", "{statements}");
            assert!(site.new.is_empty() && site.old.is_empty(), "{statements}");
        }
        site.old.kill();
        assert_eq!(kamailio.run("do")["$mcst"], "down", "{statements}");
    }
}

#[test]
fn what_the_other_pool_could_not_remove_does_not_come_over_when_it_is_back() {
    for rejoin in ["keep", "flush"] {
        let site = Site::start();
        site.old.put("k", 1, 0, "older");
        site.new.put("k", 1, 0, "newer");
        let network = Forwarder::to(site.old.address());
        let kamailio = site
            .kamailio_by(&network.address(), ";retry_interval=100")
            .param("rejoin", rejoin)
            .script("delete", "mct_del(\"k\");", &["$mcst"])
            .script("get", "", &["$mct(k)", "$mcst"])
            .script("get-other", "$var(v) = $mct(other);", &["$mcst"])
            .start();
        assert_eq!(kamailio.run("get")["$mct(k)"], "newer");
        network.refuse();
        assert_eq!(kamailio.run("delete")["$mcst"], "down", "{rejoin}");
        assert!(site.new.is_empty());
        network.accept();
        // The other pool serves again.
        wait::until("an item to come over", wait::WAIT_LIMIT, || {
            site.old.put("other", 1, 0, "v");
            kamailio.run("get-other")["$mcst"] == "hit"
        });
        assert_eq!(kamailio.run("get")["$mcst"], "miss", "{rejoin}");
    }
}

#[test]
fn a_pool_that_is_silent_or_gone_costs_no_more_than_its_own_answer() {
    let site = Site::start();
    site.new.put("here", 1, 0, "v");
    site.old.put("there", 1, 0, "v");
    let kamailio = site
        .kamailio("")
        .param("timeout", 1000)
        .param("stall_limit", 100)
        .script("here", "$var(v) = $mct(here);", &["$mcst"])
        .script("there", "$var(v) = $mct(there);", &["$mcst"])
        .start();
    site.old.pause();
    assert_eq!(kamailio.run("here")["$mcst"], "hit");
    let answer = kamailio.run("there");
    assert_eq!(answer["$mcst"], "miss");
    // Both pools have one `timeout` together. A busy machine may be late.
    assert!(
        answer.elapsed() < Duration::from_millis(1500),
        "{:?}",
        answer.elapsed()
    );
    site.old.kill();
    assert_eq!(kamailio.run("there")["$mcst"], "miss");
    assert_eq!(kamailio.run("here")["$mcst"], "hit");
    assert!(
        kamailio.log().contains(site.old.address()),
        "its failure is logged"
    );
}

#[test]
fn what_comes_over_goes_down_a_chain_of_pools() {
    let site = Site::start();
    let oldest = Memcached::start();
    oldest.put("k", 1, 0, "v");
    let kamailio = Kamailio::on(&site.new)
        .param("pool", format!("name=oldest;servers={}", oldest.address()))
        .param(
            "pool",
            format!("name=old;servers={};warm_from=oldest", site.old.address()),
        )
        .param("warm_from", "old")
        .script("get", "", &["$mct(k)"])
        .script("delete", "$mct(k) = $null;", &["$mcst"])
        .start();
    assert_eq!(kamailio.run("get").values(), [text("v")]);
    assert_eq!(site.new.text("k").as_deref(), Some("v"));
    assert!(site.old.is_empty());
    assert_eq!(kamailio.run("delete")["$mcst"], "deleted");
    assert!(oldest.is_empty() && site.new.is_empty());
}

/// How many items move in the next test, and how many workers use them.
const ITEMS: usize = 20_000;
const WORKERS: usize = 8;

#[test]
fn twenty_thousand_items_move_under_load_and_none_is_missed() {
    let site = Site::start();
    let mut stream = site.old.connect().expect("a connection");
    let sets = (0..ITEMS).map(|number| format!("set k{number} 1 0 3 noreply\r\nold\r\n"));
    let sets: String = sets.chain(["mn\r\n".into()]).collect();
    stream.write_all(sets.as_bytes()).expect("written");
    stream.read_exact(&mut [0; 4]).expect("an answer");
    // Each worker reads all items; a miss would ask the database.
    let read = format!(
        "$var(i) = 0; $var(misses) = 0; \
         while ($var(i) < {ITEMS}) {{ \
             $var(v) = $mct(k$var(i)); \
             if ($mcst != \"hit\") $var(misses) = $var(misses) + 1; \
             $var(i) = $var(i) + 1; \
         }}"
    );
    let kamailio = site
        .kamailio("")
        // With few processors for so many workers, a server may seem silent for a while.
        .without_verdicts()
        .param("timeout", 60_000)
        .global("max_while_loops=100000")
        .children(WORKERS)
        .script("read", &read, &["$var(misses)"])
        .start();
    let request = support::Request::options().wait_limit(Duration::from_secs(120));
    for answer in kamailio.run_at_once("read", WORKERS, &request) {
        assert_eq!(answer["$var(misses)"], 0);
    }
    assert_eq!(site.new.len(), ITEMS);
    assert_eq!(statistic(&kamailio, "warmed"), ITEMS as u64);
    assert_eq!(statistic(&kamailio, "misses"), 0);
}
