//! `near_stale`: an outage is not seen by scripts that read what the near cache has.

use std::thread;

use support::{Callers, Kamailio, Memcached, wait};

use super::near::{LONG, assert_reads, node, read};

#[test]
fn while_a_server_is_out_what_was_read_is_used_until_near_stale_has_passed() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let kamailio = node(&memcached, 1)
        .param("near_stale", LONG)
        .param("retry_interval", 100)
        .script(
            "get",
            "mct_get(\"k\", \"$var(v)\");",
            &["$rc", "$var(v)", "$mcst"],
        )
        .script("unknown", "", &["$mct(unknown)", "$mcst"])
        .start();
    assert_reads(&kamailio, "v", "hit");
    memcached.kill();
    assert_reads(&kamailio, "v", "stale");
    let answer = kamailio.run("get");
    assert_eq!(answer["$rc"].int(), Some(1));
    assert_eq!(answer["$var(v)"], "v");
    assert_eq!(answer["$mcst"], "stale");
    assert_eq!(kamailio.run("unknown")["$mcst"], "down");
    assert_eq!(kamailio.statistic("stale"), 2);
    kamailio.rpc("cfg.set_now_int", &["memcached", "near_stale", "1"]);
    wait::until("near_stale to have passed", wait::WAIT_LIMIT, || {
        read(&kamailio).1 == "down"
    });
    memcached.restart();
    wait::until("the server to be back", wait::WAIT_LIMIT, || {
        read(&kamailio).1 == "miss"
    });
}

#[test]
fn what_is_read_though_its_server_is_out_counts_among_many() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let many = "mct_mget(\"other,k\"); $var(rc) = $rc; $var(word) = $mcst;";
    let kamailio = node(&memcached, 1)
        .param("near_stale", LONG)
        .script(
            "many",
            many,
            &["$var(rc)", "$var(word)", "$mct(k)", "$mcst"],
        )
        .start();
    assert_reads(&kamailio, "v", "hit");
    memcached.kill();
    let answer = kamailio.run("many");
    assert_eq!(answer["$var(rc)"], 1);
    assert_eq!(answer["$var(word)"], "hit");
    assert_eq!(answer["$mct(k)"], "v");
    assert_eq!(answer["$mcst"], "stale");
    assert_eq!(kamailio.statistic("stale"), 1, "only the read counts");
}

#[test]
fn an_outage_fails_no_call_while_the_near_cache_has_what_it_needs() {
    let memcached = Memcached::start();
    memcached.put("alice", 1, 0, "gold");
    let script = "if ($rU == \"alice\") {
        if ($mct($rU) == $null && $mcst == \"miss\") $mct($rU) = \"gold\";
        if ($mct($rU) == \"gold\") sl_send_reply(200, \"OK\");
        else sl_send_reply(500, \"Server Error\");
        exit;
    }";
    let kamailio = Kamailio::on(&memcached)
        .param("near_size", 100)
        .param("near_expire", 50)
        .param("near_stale", LONG)
        .param("retry_interval", 100)
        .children(4)
        .request_route(script)
        .rpc()
        .start();
    let callers = Callers {
        method: "OPTIONS",
        response: 200,
        rate: 300,
        seconds: 1,
    };
    // By then no worker is about to write the item any more, which it has not found after a restart.
    let wait_until_used = || {
        wait::until("the server to be used", wait::WAIT_LIMIT, || {
            memcached.stat("get_hits") >= 10
        });
    };
    let outages = || {
        wait_until_used();
        for _ in 0..2 {
            let before = kamailio.statistic("stale");
            memcached.kill();
            wait::until("50 reads in the outage", wait::WAIT_LIMIT, || {
                kamailio.statistic("stale") >= before + 50
            });
            memcached.restart();
            wait_until_used();
        }
    };
    thread::scope(|scope| {
        let outages = scope.spawn(outages);
        while !outages.is_finished() {
            assert_eq!(callers.call(&kamailio).successful, 300);
        }
    });
}

#[test]
fn what_was_written_in_an_outage_is_not_read_in_its_old_form() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "old");
    let kamailio = node(&memcached, 1)
        .param("near_stale", LONG)
        .script("write", "$mct(k) = \"new\";", &["$mcst"])
        .start();
    assert_reads(&kamailio, "old", "hit");
    memcached.kill();
    assert_reads(&kamailio, "old", "stale");
    assert_eq!(kamailio.run("write")["$mcst"], "down");
    assert_reads(&kamailio, "-", "down");
}
