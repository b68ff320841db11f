//! Several items at once, and writes that do not wait: `mct_mget`, `mct_prefetch`, `deferred_writes`.

use std::time::{Duration, Instant};

use support::{Builder, FaultyServer, Kamailio, Memcached, Request, Store, Value, wait};

use super::engine;

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

/// How many commands to read an item a memcached has got.
fn reads(memcached: &Memcached) -> u64 {
    memcached.stat("cmd_get")
}

#[test]
fn items_that_were_asked_for_at_once_are_not_asked_again() {
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    memcached.put("b", 0, 0, "7");
    for (function, code) in [("mct_mget", 2), ("mct_prefetch", 1)] {
        let kamailio = Kamailio::on(&memcached)
            .script(
                "many",
                &format!("$mct(x) = 1; {function}(\"a, b,c\"); $var(rc) = $rc; $avp(st) = $mcst;"),
                &[
                    "$var(rc)", "$avp(st)", "$mct(b)", "$mcst", "$mct(c)", "$mct(a)",
                ],
            )
            .start();
        let before = reads(&memcached);
        let answer = kamailio.run("many");
        assert_eq!(answer["$var(rc)"], code, "{function}");
        let status = if function == "mct_mget" {
            "hit"
        } else {
            "stored"
        };
        assert_eq!(answer["$avp(st)"], status, "{function}");
        assert_eq!(answer["$mct(a)"], "one");
        assert_eq!(
            (&answer["$mct(b)"], &answer["$mcst"]),
            (&Value::Int(7), &text("hit"))
        );
        assert_eq!(answer["$mct(c)"], Value::Null);
        assert_eq!(reads(&memcached) - before, 3, "{function}");
        // The next message asks anew.
        kamailio.run("many");
        assert_eq!(reads(&memcached) - before, 6, "{function}");
    }
}

#[test]
fn a_list_tells_how_many_items_were_found_or_why_none() {
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    let call = |builder: Builder, keys: &str| {
        let kamailio = builder
            .script(
                "many",
                &format!("mct_mget(\"{keys}\"); $var(rc) = $rc;"),
                &["$var(rc)", "$mcst"],
            )
            .start();
        let answer = kamailio.run("many");
        let code = answer["$var(rc)"].int().expect("a number");
        (code, answer["$mcst"].clone())
    };
    let on = || Kamailio::on(&memcached);
    assert_eq!(call(on(), "a,b,a"), (2, text("hit")));
    assert_eq!(call(on(), "b,c"), (-1, text("miss")));
    memcached.kill();
    assert_eq!(call(on(), "a,b"), (-2, text("down")));
}

#[test]
fn only_the_text_of_the_configuration_is_cut() {
    let memcached = Memcached::start();
    memcached.put("k,x", 1, 0, "whole");
    memcached.put("x", 1, 0, "part");
    let kamailio = Kamailio::on(&memcached)
        .param(
            "pool",
            format!("name=p;servers={};key_prefix=p:", memcached.address()),
        )
        .script(
            "many",
            "$var(k) = \"k,x\"; mct_prefetch(\"$var(k), p => k\"); $var(list) = \"x,p=>k\"; \
             mct_prefetch($var(list));",
            &["$mct($var(k))", "$mct(p=>k)"],
        )
        .start();
    memcached.put("p:k", 1, 0, "in the pool");
    let before = reads(&memcached);
    let answer = kamailio.run("many");
    assert_eq!(answer["$mct($var(k))"], "whole");
    assert_eq!(answer["$mct(p=>k)"], "in the pool");
    // And the one whose name is the whole second list.
    assert_eq!(reads(&memcached) - before, 3);
}

/// The answers are many times what sockets hold: nobody waits for the other one to read.
#[test]
fn many_large_answers_do_not_block_the_requests() {
    let memcached = Memcached::with(&["-m", "512"]);
    let large = vec![b'x'; 1_000_000];
    let keys: Vec<String> = (0..256).map(|number| format!("large-{number}")).collect();
    for key in &keys {
        memcached.put(key, 1, 0, &large);
    }
    let kamailio = Kamailio::on(&memcached)
        .param("timeout", 60_000)
        .param("stall_limit", 30_000)
        .script(
            "many",
            &format!("mct_mget(\"{}\"); $var(rc) = $rc;", keys.join(",")),
            &[
                "$var(rc)",
                "$(mct(large-0){s.len})",
                "$(mct(large-255){s.len})",
            ],
        )
        .start();
    let before = reads(&memcached);
    let answer = kamailio.run("many");
    assert_eq!(answer["$var(rc)"], 256);
    assert_eq!(answer["$(mct(large-255){s.len})"], 1_000_000);
    assert_eq!(reads(&memcached) - before, 256);
}

#[test]
fn the_script_works_while_the_answers_travel() {
    let servers = [(); 2].map(|()| Memcached::start());
    let delay = Duration::from_millis(300);
    let far = servers
        .each_ref()
        .map(|it| FaultyServer::relay(it.address(), delay));
    let keys: Vec<String> = (0..10).map(|number| format!("k{number}")).collect();
    let read: String = keys
        .iter()
        .map(|key| format!("$avp(r) = $mct({key}); "))
        .collect();
    let kamailio = Kamailio::builder()
        .param(
            "servers",
            far.each_ref().map(FaultyServer::address).join(","),
        )
        .param("stall_limit", 5000)
        .script("connect", &read, &["$mcst"])
        .script(
            "begin",
            &format!("mct_prefetch(\"{}\");", keys.join(",")),
            &[],
        )
        .script(
            "all",
            &format!(
                "mct_prefetch(\"{}\"); usleep(350000); {read}",
                keys.join(",")
            ),
            &["$mcst"],
        )
        .module("cfgutils")
        .start();
    kamailio.run("connect");
    let took = |script: &str| {
        let began = Instant::now();
        kamailio.run(script);
        began.elapsed()
    };
    assert!(took("begin") < delay, "it does not wait");
    // The unread answers belong to nobody.
    let all = took("all");
    assert!(
        all < 3 * delay,
        "{all:?}: one round trip at most besides its own work"
    );
}

#[test]
fn a_server_that_ends_between_question_and_read_costs_only_that() {
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    let kamailio = Kamailio::on(&memcached)
        .module("cfgutils")
        .rpc()
        .script(
            "slow",
            "mct_prefetch(\"a,b\"); usleep(600000);",
            &["$mct(a)", "$mcst"],
        )
        .script("read", "", &["$mct(a)", "$mcst"])
        .start();
    assert_eq!(kamailio.run("slow")["$mct(a)"], "one");
    let run = kamailio.launch("slow", Request::options());
    wait::until("both keys to be asked for again", wait::WAIT_LIMIT, || {
        kamailio.statistic("prefetched") == 4
    });
    // The answer is here already, so it is still one.
    memcached.kill();
    let answer = run.wait();
    assert_eq!(answer["$mct(a)"], "one");
    assert_eq!(kamailio.run("read")["$mcst"], "down");
    memcached.restart();
    wait::until("the server to be used again", wait::WAIT_LIMIT, || {
        kamailio.run("read")["$mcst"] == "miss"
    });
}

#[test]
fn a_server_that_answers_only_fresh_connections_is_asked_again() {
    let store = Store::new();
    store.put("a", "one");
    let server = FaultyServer::storing(store, |connection, request| {
        if connection.number() == 0 && request == b"get a\r\n" {
            connection.silence()?;
        }
        Ok(false)
    });
    let kamailio = Kamailio::builder()
        .param("servers", server.address())
        .rpc()
        .script(
            "read",
            "mct_mget(\"b,a\"); $var(rc) = $rc;",
            &["$var(rc)", "$mct(a)"],
        )
        .start();
    let answer = kamailio.run("read");
    assert_eq!(answer["$var(rc)"], 1);
    assert_eq!(answer["$mct(a)"], "one");
    assert_eq!(kamailio.statistic("servers_active"), 1);
}

#[test]
fn a_timer_s_route_asks_ahead_too() {
    let memcached = Memcached::start();
    memcached.put("a", 1, 0, "one");
    let _kamailio = Kamailio::on(&memcached)
        .module("rtimer")
        .param_of("rtimer", "timer", "name=t;interval=1;mode=1;")
        .param_of("rtimer", "exec", "timer=t;route=WORK")
        .routes("route[WORK] { mct_prefetch(\"a,b\"); mct_set(\"seen\", \"$mct(a)\"); }")
        .start();
    wait::until(
        "the route to write what it has read",
        wait::WAIT_LIMIT,
        || memcached.text("seen").as_deref() == Some("one"),
    );
}

#[test]
fn kemi_scripts_ask_ahead() {
    engine::in_each(|engine| {
        let memcached = Memcached::start();
        memcached.put("a", 1, 0, "one");
        let on = Kamailio::on(&memcached);
        engine.assert_answers(
            on.param("pool", format!("name=p;servers={}", memcached.address())),
            &[
                ("sets(\"b\", \"two\")", "1", "stored"),
                ("prefetch(\"a\")", "1", "stored"),
                ("prefetch_in(\"p\", \"b\")", "1", "stored"),
                ("prefetch_in(\"q\", \"b\")", "-3", "stored"),
                ("prefetch(\"\")", "-3", "stored"),
                ("get_in(\"p\", \"b\")", "<two>", "hit"),
                ("get(\"a\")", "<one>", "hit"),
                ("gete(\"a\")", "<one>", "hit"),
            ],
        );
        assert_eq!(reads(&memcached), 2, "{engine:?}");
    });
}

#[test]
fn a_deferred_write_is_seen_by_everything_after_it() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("deferred_writes", 1)
        .rpc()
        .script("first", "$mct(k) = 0;", &["$mcst"])
        .script(
            "write",
            "$mct(k) = 5; $avp(a) = $mcst; mct_set(\"l\", \"x\", 60); $var(rc) = $rc; \
             $avp(b) = $mcst; $mcinc(k) = 2; $avp(c) = $mcst;",
            &[
                "$avp(a)", "$var(rc)", "$avp(b)", "$avp(c)", "$mct(k)", "$mct(l)",
            ],
        )
        .script(
            "delete",
            "mct_touch(\"l\", 500); $avp(a) = $mcst; $mct(k) = $null; $avp(b) = $mcst; \
             mct_add(\"k\", \"new\"); $avp(c) = $mcst;",
            &["$avp(a)", "$avp(b)", "$avp(c)", "$mct(k)"],
        )
        .start();
    assert_eq!(
        kamailio.run("first")["$mcst"],
        "stored",
        "it has to connect"
    );
    let answer = kamailio.run("write");
    for (name, value) in [
        ("$avp(a)", "sent"),
        ("$avp(b)", "sent"),
        ("$avp(c)", "counted"),
    ] {
        assert_eq!(answer[name], value, "{name}");
    }
    assert_eq!(
        (&answer["$var(rc)"], &answer["$mct(k)"]),
        (&Value::Int(1), &Value::Int(7))
    );
    assert_eq!(answer["$mct(l)"], "x");
    let answer = kamailio.run("delete");
    for (name, value) in [
        ("$avp(a)", "sent"),
        ("$avp(b)", "sent"),
        ("$avp(c)", "stored"),
    ] {
        assert_eq!(answer[name], value, "{name}");
    }
    assert_eq!(answer["$mct(k)"], "new");
    memcached.assert_expires_in("l", 500);
    assert_eq!(kamailio.statistic("deferred"), 4);
    assert_eq!(kamailio.statistic("lost"), 0);
    let set = kamailio.rpc("memcached.set", &["k", "s:9"]);
    assert!(set.contains("stored"), "operators get the answer: {set}");
}

#[test]
fn a_deferred_write_that_fails_is_counted_and_logged() {
    let memcached = Memcached::with(&["-I", "1k", "-o", "slab_chunk_max=512"]);
    let kamailio = Kamailio::on(&memcached)
        .param("deferred_writes", 1)
        .rpc()
        .script("write", "$mct(k) = \"x\";", &["$mcst"])
        .script(
            "long",
            &format!("$mct(long) = \"{}\";", "x".repeat(4000)),
            &["$mcst"],
        )
        .script("read", "", &["$mct(k)", "$mcst"])
        .start();
    kamailio.run("write");
    assert_eq!(kamailio.run("long")["$mcst"], "sent");
    assert_eq!(
        kamailio.run("read")["$mct(k)"],
        "x",
        "the connection stays in step"
    );
    let line = kamailio.wait_for_log("deferred set of key 'long' at server ", wait::WAIT_LIMIT);
    assert!(line.contains(": too_large: "), "{line}");
    assert_eq!(
        (kamailio.statistic("errors"), kamailio.statistic("lost")),
        (1, 0)
    );
    // Nobody knows of a write that was sent to a server that has stopped.
    memcached.pause();
    assert_eq!(kamailio.run("write")["$mcst"], "sent");
    memcached.kill();
    assert_eq!(kamailio.run("read")["$mcst"], "down");
    assert_eq!(kamailio.statistic("lost"), 1);
    kamailio.wait_for_log("deferred set of key 'k' at server ", wait::WAIT_LIMIT);
}
