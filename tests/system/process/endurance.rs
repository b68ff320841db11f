//! A worker that is used a lot grows neither in memory nor in descriptors, whatever it
//! does and however that ends.

use support::{Builder, Host, Kamailio, Memcached, Pid, Port, Request};

/// How often each run goes through its statements.
const ROUNDS: usize = 1000;

/// A dozen operations: all kinds, keys and values short and long, answers good and bad.
const OPERATIONS: &str = r#"
    $mct(key-$var(i)=>60) = "value-" + $var(i);
    $var(x) = $mct(key-$var(i)) + $mct(long);
    $mct(n) = $var(i);
    $mcinc(n) = 3;
    $mcdec(n) = "1";
    $mctex(n) = 1000;
    $var(x) = $(mct($mct(name)){s.len});
    $mct(key-$var(i)) = $null;
    $mct($hdr(X)$var(i)=>$mct(n)) = $mct(long);
"#;

/// What the core's own memory may move by, in KiB.
const SLACK: u64 = 256;

fn looping(builder: Builder, statements: &str) -> Kamailio {
    let statements = format!(
        "$var(i) = 0; while ($var(i) < {ROUNDS}) {{ $var(i) = $var(i) + 1; {statements} }}"
    );
    builder
        .global("max_while_loops=10000")
        .script("loop", &statements, &["$mcst"])
        .start()
}

#[derive(Debug)]
struct Size {
    anonymous_kib: u64,
    descriptors: usize,
}

fn size(pid: Pid) -> Size {
    Size {
        anonymous_kib: pid.anonymous_kib(),
        descriptors: pid.descriptors(),
    }
}

/// Runs the loop so many times, and compares the worker after the second with it at the
/// end.
#[track_caller]
fn assert_does_not_grow(kamailio: &Kamailio, runs: usize) {
    let worker = kamailio.workers()[0];
    let run = || kamailio.run_with("loop", Request::options().header("X", "x".repeat(250)));
    run();
    run();
    let before = size(worker);
    (2..runs).for_each(|_| drop(run()));
    let after = size(worker);
    assert_eq!(before.descriptors, after.descriptors);
    let grown = after.anonymous_kib.saturating_sub(before.anonymous_kib);
    assert!(grown <= SLACK, "{before:?} has become {after:?}");
    assert!(kamailio.stop().success());
}

#[test]
fn a_hundred_thousand_mixed_operations_leave_no_trace() {
    let memcached = Memcached::start();
    memcached.put("name", 1, 0, "alice");
    memcached.put("long", 1, 0, vec![b'l'; 3000]);
    let kamailio = looping(Kamailio::on(&memcached), OPERATIONS);
    let operations = [
        "cmd_get",
        "cmd_set",
        "cmd_touch",
        "incr_hits",
        "decr_hits",
        "delete_hits",
    ];
    let count = || {
        operations
            .map(|name| memcached.stat(name))
            .iter()
            .sum::<u64>()
    };
    let before = count();
    assert_does_not_grow(&kamailio, 8);
    assert!(count() - before >= 100_000, "{} only", count() - before);
}

/// The functions with arguments of every kind. Those without quotes are parsed for each call.
#[test]
fn functions_leave_no_trace_whatever_their_arguments_are() {
    let memcached = Memcached::start();
    memcached.put("long", 1, 0, vec![b'l'; 3000]);
    let statements = r#"
        $avp(x) = "value-" + $var(i);
        mct_set("key-$var(i)", "$avp(x)", 60); mct_set("key-" + $var(i), $avp(x), $var(i));
        mct_get("key-$var(i)", "$avp(y)"); mct_get("long", "$avp(y)"); mct_get("none", $avp(x));
        mct_set($hdr(X) + $var(i), "$hdr(X)$avp(y)"); mct_append("long-" + $var(i), $hdr(X));
        mct_inc("n:$var(i)", 1, "$var(n)", "$var(i)", 60); mct_touch($avp(x), "never");
        mct_gets("n:$var(i)", "$avp(y)", "$avp(v)"); mct_cas("n:$var(i)", "$avp(x)", "$avp(v)");
    "#;
    let builder = Kamailio::on(&memcached).global("debug=-3");
    assert_does_not_grow(&looping(builder, statements), 8);
}

#[test]
fn the_memory_of_large_values_is_given_back() {
    let memcached = Memcached::with(&["-I", "4m"]);
    memcached.put("large", 1, 0, vec![b'x'; 3_000_000]);
    memcached.put("small", 1, 0, "x");
    let kamailio = Kamailio::on(&memcached)
        .script("large", "", &["$(mct(large){s.len})"])
        .script("small", "", &["$(mct(small){s.len})"])
        .start();
    let worker = kamailio.workers()[0];
    kamailio.run("small");
    let before = worker.anonymous_kib();
    // Results are kept for a while, for the expression that they are part of.
    (0..50).for_each(|_| drop(kamailio.run("large")));
    (0..50).for_each(|_| drop(kamailio.run("small")));
    let after = worker.anonymous_kib();
    assert!(
        after <= before + SLACK * 4,
        "{before} KiB have become {after}"
    );
}

#[test]
fn refusals_and_misses_leave_no_trace() {
    let memcached = Memcached::start();
    memcached.put("text", 1, 0, "abc");
    let statements =
        r#"$var(x) = $mct(none); $mcinc(text) = 1; $mct(k=>$rm) = 1; $mctex(k) = "x";"#;
    let builder = Kamailio::on(&memcached).global("debug=-3");
    assert_does_not_grow(&looping(builder, statements), 6);
}

#[test]
fn an_outage_leaves_no_trace() {
    let closed = Port::free();
    let builder = Kamailio::builder()
        .global("debug=-3")
        .param("servers", closed.v4().to_string());
    let statements = "$mct(k) = 1; $var(x) = $mct(k); $mcinc(k) = 1; $mct(k) = $null;";
    assert_does_not_grow(&looping(builder, statements), 6);
}

/// Each key is read once. `KSR.pv.get("$mct(…)")` would keep something of each.
#[test]
fn a_hundred_thousand_keys_of_a_kemi_script_leave_no_trace() {
    const KEYS: u32 = 100_000;
    let memcached = Memcached::start();
    let scratch = Host::current().scratch();
    let turn = KEYS / 10;
    let script = format!(
        r#"
        from = 0
        function piece()
            for i = 1, {turn} do
                KSR.memcached.get("a key that the script makes " .. from + i)
            end
            from = from + {turn}
            collectgarbage()
        end
        "#
    );
    let file = Host::current().inside(&scratch.write("script.lua", script));
    let kamailio = Kamailio::on(&memcached)
        .module("app_lua")
        .param_of("app_lua", "load", file.display().to_string())
        .script("loop", "lua_run(\"piece\");", &["$mcst"])
        .start();
    let worker = kamailio.workers()[0];
    kamailio.run("loop");
    let before = worker.anonymous_kib();
    (0..10).for_each(|_| assert_eq!(kamailio.run("loop")["$mcst"], "miss"));
    let after = worker.anonymous_kib();
    assert!(memcached.stat("get_misses") >= (KEYS + turn).into());
    assert!(
        after <= before + SLACK * 4,
        "{before} KiB have become {after}"
    );
}
