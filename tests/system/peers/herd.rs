//! A hundred callers of two Kamailios want one item that is not there, and it takes long to compute.

use support::{Builder, Kamailio, Memcached, Request, Twemproxy};

const WORKERS: usize = 8;
const CALLERS: usize = 50;

/// Exactly one of the callers of both nodes computes; all others go on at once. Then all read the value.
fn assert_one_computes(builder: &Builder) {
    let lease = "
        mct_lease(\"popular\", \"$avp(value)\");
        $var(word) = $mcst;
        if ($rc == 2) {
            usleep(\"200000\");
            mct_inc(\"computed\", 1, \"$avp(count)\", 1, 600);
            mct_set(\"popular\", \"computed\", 600);
            $var(word) = \"lease, \" + $mcst;
        }";
    let node = || {
        let builder = builder.clone().module("cfgutils").children(WORKERS);
        builder
            .script("ask", lease, &["$var(word)", "$avp(value)"])
            .start()
    };
    let nodes = [node(), node()];
    let launch =
        |node| (0..CALLERS).map(move |_| Kamailio::launch(node, "ask", Request::options()));
    let runs: Vec<_> = nodes.iter().flat_map(launch).collect();
    let words: Vec<String> = runs
        .into_iter()
        .map(|run| {
            let answer = run.wait();
            let word = answer["$var(word)"].bytes().expect("a word");
            String::from_utf8_lossy(word).into_owned()
        })
        .collect();
    let count = |word: &str| words.iter().filter(|known| *known == word).count();
    assert_eq!(count("lease, stored"), 1, "{words:?}");
    assert_eq!(count("miss") + count("hit"), 2 * CALLERS - 1, "{words:?}");
    for node in &nodes {
        let answer = node.run("ask");
        assert_eq!(answer["$var(word)"], "hit");
        assert_eq!(answer["$avp(value)"], "computed");
    }
}

#[test]
fn of_a_hundred_callers_of_two_nodes_one_computes() {
    let memcached = Memcached::start();
    let on = Kamailio::on(&memcached);
    for round in 0..3 {
        memcached.command("flush_all\r\n");
        assert_one_computes(&on);
        assert_eq!(memcached.text("computed").as_deref(), Some("1"), "{round}");
    }
}

#[test]
fn of_a_hundred_callers_one_computes_in_the_classic_protocol_and_through_a_proxy() {
    let memcached = Memcached::start();
    let server = format!("{}:1 m", memcached.address());
    let proxy = Twemproxy::start(&["hash: md5"], &[&server]);
    let classic = Kamailio::on(&memcached).param("protocol", "classic");
    let proxied = Kamailio::builder().param("servers", proxy.address());
    for on in [classic, proxied] {
        memcached.command("flush_all\r\n");
        assert_one_computes(&on);
        assert_eq!(memcached.text("computed").as_deref(), Some("1"));
    }
}
