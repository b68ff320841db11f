//! `event_route[memcached:server-down]`, `[memcached:server-up]` and `event_callback`: once per
//! change on the whole node, with the right data, in the prober's process, whatever the workers do
//! meanwhile.

use std::time::Instant;

use support::{
    Builder, Host, Kamailio, Memcached, Pid, Request, Run, Scratch, Value, during, wait,
};

/// Both routes write one line each, with all that they know.
const ROUTES: &str = r#"
event_route[memcached:server-down] { $var(event) = "down"; route(NOTE); }
event_route[memcached:server-up] { $var(event) = "up"; route(NOTE); }
route[NOTE] {
    xlog("L_ERR", "EVENT $var(event)|$mcev(server)|$mcev(alias)|$mcev(pool)|$mcev(state)|$mcev(reason)|$mcev(downtime)|$pp|\n");
}
"#;

/// Uses the servers, with a key of the request's own.
const USE: &str = r#"
    $mct(k$hdr(X-Number)=>60) = 1;
    $var(x) = $mct(k$hdr(X-Number));
"#;

/// The same with the pool `calls`.
const USE_CALLS: &str = "$var(x) = $mct(calls=>k$hdr(X-Number));";

/// The same in Lua, which also sees that the downtime is a number.
const NOTE_IN_LUA: &str = r#"
function on_cache_event(name)
    local get = KSR.pv.gete
    KSR.err("EVENT " .. string.gsub(name, "memcached:server.", "") .. "|" .. get("$mcev(server)")
        .. "|" .. get("$mcev(alias)") .. "|" .. get("$mcev(pool)") .. "|" .. get("$mcev(state)")
        .. "|" .. get("$mcev(reason)") .. "|" .. KSR.pv.get("$mcev(downtime)") + 0
        .. "|" .. KSR.pv.get("$pp") .. "|\n")
end
"#;

/// An event as the script has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    /// `down|server|alias|pool|state|reason`
    what: String,
    downtime: u64,
    process: Pid,
}

fn events(kamailio: &Kamailio) -> Vec<Event> {
    let event = |line: String| {
        let text = &line[line.find("EVENT ").unwrap() + 6..];
        let fields: Vec<_> = text.split('|').collect();
        Event {
            what: fields[..6].join("|"),
            downtime: fields[6].parse().unwrap(),
            process: Pid(fields[7].parse().unwrap()),
        }
    };
    kamailio
        .log_lines("EVENT ")
        .into_iter()
        .map(event)
        .collect()
}

/// Waits for the `count`th event, and returns all.
#[track_caller]
fn wait_for(kamailio: &Kamailio, count: usize) -> Vec<Event> {
    let there = || Some(events(kamailio)).filter(|events| events.len() >= count);
    let events = wait::poll(wait::WAIT_LIMIT, there);
    let events = events.unwrap_or_else(|| kamailio.fail(&format!("no {count} events")));
    assert_eq!(events.len(), count, "{events:#?}");
    events
}

/// What happened, in an order of the test's own: servers of several pools have none.
fn sorted(events: &[Event]) -> Vec<&str> {
    let mut whats: Vec<_> = events.iter().map(|event| event.what.as_str()).collect();
    whats.sort_unstable();
    whats
}

/// The process that the module calls its prober.
fn prober(kamailio: &Kamailio) -> Pid {
    let list = kamailio.rpc("core.ps", &[]);
    let lines: Vec<_> = list.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| *line == "memcached prober");
    Pid(lines[at.unwrap() - 1].parse().unwrap())
}

fn on(servers: &str) -> Builder {
    Kamailio::builder()
        .param("servers", servers)
        .param("timeout", 2_000)
        .param("stall_limit", 100)
        .param("retry_interval", 100)
        .rpc()
        .routes(ROUTES)
}

/// A KEMI script in Lua, whose function `on_cache_event` is called for events.
fn with_lua(script: &str, scratch: &Scratch) -> Builder {
    let file = scratch.write("script.lua", script);
    let file = Host::current().inside(&file).display().to_string();
    Kamailio::builder()
        .param("event_callback", "on_cache_event")
        .param("retry_interval", 100)
        .module("app_lua")
        .param_of("app_lua", "load", file)
        .rpc()
        .routes("cfgengine \"lua\"")
}

/// Sends requests for the script `use`, 8 at a time, while `body` runs.
fn under_load(kamailio: &Kamailio, body: impl FnOnce()) {
    let eight = |round: usize| {
        let launch = |number: usize| {
            let request = Request::options().header("X-Number", number.to_string());
            kamailio.launch("use", request)
        };
        let runs: Vec<Run> = (8 * round..8 * (round + 1)).map(launch).collect();
        runs.into_iter().for_each(|run| drop(run.wait()));
    };
    during(1, eight, |_| body());
}

#[test]
fn every_change_under_load_is_one_event_in_the_prober() {
    let [a, b, c, d] = [(); 4].map(|()| Memcached::start());
    let [of_a, of_b, of_d] = [&a, &b, &d].map(Memcached::address);
    let kamailio = on(&format!("{of_a} anna, {of_b}, {}", c.address()))
        .param("pool", format!("name=calls;servers={of_b}, {of_d} dora"))
        .children(4)
        .script("use", &[USE, USE_CALLS].concat(), &[])
        .start();
    let mut expected = Vec::new();
    under_load(&kamailio, || {
        let mut step = |what: &[String]| {
            let before = expected.len();
            expected.extend(what.iter().cloned());
            let events = wait_for(&kamailio, expected.len());
            let mut what: Vec<&str> = what.iter().map(String::as_str).collect();
            what.sort_unstable();
            assert_eq!(sorted(&events[before..]), what);
        };
        a.kill();
        step(&[format!("down|{of_a}|anna|default|inactive|down")]);
        // In both pools, each of which finds out by itself.
        b.kill();
        step(&[
            format!("down|{of_b}||default|inactive|down"),
            format!("down|{of_b}||calls|inactive|down"),
        ]);
        a.restart();
        step(&[format!("up|{of_a}|anna|default|active|down")]);
        d.pause();
        step(&[format!("down|{of_d}|dora|calls|inactive|timeout")]);
        b.restart();
        step(&[
            format!("up|{of_b}||default|active|down"),
            format!("up|{of_b}||calls|active|down"),
        ]);
        kamailio.rpc("memcached.set_state", &["disabled", "anna"]);
        step(&[format!("down|{of_a}|anna|default|disabled|")]);
        d.resume();
        step(&[format!("up|{of_d}|dora|calls|active|timeout")]);
        kamailio.rpc("memcached.set_state", &["active", "anna"]);
        step(&[format!("up|{of_a}|anna|default|active|")]);
    });
    let (events, prober) = (wait_for(&kamailio, 10), prober(&kamailio));
    assert!(!kamailio.workers().contains(&prober));
    for event in &events {
        assert_eq!(event.process, prober);
        assert!(
            event.downtime == 0 || event.what.starts_with("up"),
            "{event:?}"
        );
    }
    assert!(kamailio.stop().success());
    assert_eq!(events, wait_for(&kamailio, 10), "none after the last");
}

#[test]
fn the_downtime_is_counted_in_whole_seconds() {
    let memcached = Memcached::start();
    // The first probe comes after 0.8 to 1.2 times the interval: never before two seconds.
    let kamailio = on(memcached.address())
        .param("retry_interval", 2_600)
        .script("use", USE, &[])
        .start();
    let begun = Instant::now();
    memcached.kill();
    kamailio.run("use");
    wait_for(&kamailio, 1);
    memcached.restart();
    let up = wait_for(&kamailio, 2).remove(1);
    let longest = begun.elapsed().as_secs();
    assert!(up.what.starts_with("up|"), "{up:?}");
    assert!((2..=longest).contains(&up.downtime), "{up:?}, {longest}");
}

#[test]
fn an_idle_node_hears_of_it_too() {
    let memcached = Memcached::start();
    let kamailio = on(memcached.address()).param("ping_interval", 1).start();
    memcached.kill();
    let down = wait_for(&kamailio, 1).remove(0);
    let what = format!("down|{}||default|inactive|down", memcached.address());
    assert_eq!(down.what, what);
    memcached.restart();
    wait_for(&kamailio, 2);
}

#[test]
fn a_stall_that_is_answered_in_time_is_no_event() {
    let memcached = Memcached::start();
    let kamailio = on(memcached.address())
        .param("timeout", 10_000)
        .children(4)
        .script("use", USE, &[])
        .start();
    let address = memcached.address();
    for round in 1..=3 {
        memcached.pause();
        let run = kamailio.launch("use", Request::options());
        let trying = format!("server {address} is trying");
        wait::until("somebody to wait", wait::WAIT_LIMIT, || {
            kamailio.log_lines(&trying).len() == round
        });
        memcached.resume();
        run.wait();
    }
    // Whatever was to be announced is, before this is.
    kamailio.rpc("memcached.set_state", &["disabled", address]);
    let only = wait_for(&kamailio, 1).remove(0);
    assert_eq!(only.what, format!("down|{address}||default|disabled|"));
}

#[test]
fn a_server_that_an_operator_takes_out_while_it_is_down_stays_one_outage() {
    let memcached = Memcached::start();
    let address = memcached.address();
    let kamailio = on(address).script("use", USE, &[]).start();
    memcached.kill();
    kamailio.run("use");
    wait_for(&kamailio, 1);
    kamailio.rpc("memcached.set_state", &["disabled", address]);
    memcached.restart();
    kamailio.rpc("memcached.set_state", &["active", address]);
    let events = wait_for(&kamailio, 2);
    assert_eq!(events[1].what, format!("up|{address}||default|active|down"));
}

#[test]
fn the_routes_may_use_the_cache_and_leave_nothing_behind() {
    let [a, b] = [(); 2].map(|()| Memcached::start());
    let routes = r#"
        event_route[memcached:server-down] {
            xlog("L_ERR", "LEFT <$avp(left)> <$var(kept)>\n");
            $avp(left) = "something";
            $mct(alerts=>down:$mcev(alias)=>60) = $mcev(reason);
            $mct(alerts=>n=>60) = $mcev(downtime);
            if ($mct(alerts=>down:$mcev(alias)) == $mcev(reason)) xlog("L_ERR", "STORED\n");
        }
    "#;
    let kamailio = Kamailio::builder()
        .param("servers", "127.0.0.1:1 one, 127.0.0.1:2 two")
        .param(
            "pool",
            format!("name=alerts;servers={}, {}", a.address(), b.address()),
        )
        .routes(routes)
        .script("use", "$var(x) = $mct(k$hdr(X-Number));", &["$mcev(alias)"])
        .start();
    wait::until("both servers to be out", wait::WAIT_LIMIT, || {
        let answer = kamailio.run_with(
            "use",
            Request::options().header("X-Number", format!("{:?}", Instant::now())),
        );
        assert_eq!(answer["$mcev(alias)"], Value::Null);
        kamailio.log_lines("STORED").len() == 2
    });
    for alias in ["one", "two"] {
        let key = format!("down:{alias}");
        let stored = [&a, &b].iter().find_map(|memcached| memcached.text(&key));
        assert_eq!(stored.as_deref(), Some("down"), "{alias}");
    }
    let counted = [&a, &b]
        .iter()
        .find_map(|memcached| memcached.item("n"))
        .unwrap();
    assert_eq!((counted.flags, &counted.value[..]), (0, &b"0"[..]));
    assert_eq!(kamailio.log_lines("LEFT <<null>>").len(), 2);
    assert!(kamailio.stop().success());
}

#[test]
fn one_of_the_routes_is_enough() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("retry_interval", 100)
        .routes("event_route[memcached:server-up] { xlog(\"L_ERR\", \"UP $mcev(server)\\n\"); }")
        .script("use", USE, &[])
        .start();
    memcached.kill();
    kamailio.run("use");
    memcached.restart();
    let up = format!("UP {}", memcached.address());
    kamailio.wait_for_log(&up, wait::WAIT_LIMIT);
}

#[test]
fn a_lua_function_is_called_with_the_name_of_the_event() {
    let memcached = Memcached::start();
    let scratch = Host::current().scratch();
    let kamailio = with_lua(NOTE_IN_LUA, &scratch)
        .memcached(&memcached)
        .param("ping_interval", 1)
        .start();
    let address = memcached.address();
    memcached.kill();
    wait_for(&kamailio, 1);
    memcached.restart();
    wait_for(&kamailio, 2);
    kamailio.rpc("memcached.set_state", &["disabled", address]);
    let events = wait_for(&kamailio, 3);
    let whats: Vec<_> = events.iter().map(|event| &event.what[..]).collect();
    let expected = [
        format!("down|{address}||default|inactive|down"),
        format!("up|{address}||default|active|down"),
        format!("down|{address}||default|disabled|"),
    ];
    assert_eq!(whats, expected);
    assert!(
        events
            .iter()
            .all(|event| event.process == prober(&kamailio))
    );
    assert!(kamailio.log_lines("has no effect").is_empty());
    assert!(kamailio.stop().success());
}

#[test]
fn an_error_in_a_lua_function_is_logged_and_the_next_event_comes() {
    let memcached = Memcached::start();
    let scratch = Host::current().scratch();
    let script = "function on_cache_event(name) error(\"no \" .. name) end";
    let kamailio = with_lua(script, &scratch).memcached(&memcached).start();
    for (state, event) in [("disabled", "down"), ("active", "up")] {
        kamailio.rpc("memcached.set_state", &[state, memcached.address()]);
        kamailio.wait_for_log(&format!("no memcached:server-{event}"), wait::WAIT_LIMIT);
    }
}

#[test]
fn a_callback_without_a_kemi_script_is_warned_of() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .param("event_callback", "on_cache_event")
        .start();
    let warning = "'event_callback' has no effect without a KEMI script";
    assert_eq!(kamailio.log_lines(warning).len(), 1);
}

#[test]
fn unknown_names_are_refused_when_the_configuration_is_read() {
    for (name, named) in [("servers", "$mcev(servers)"), ("$var(x)", "$mcev($var(x))")] {
        let check = Kamailio::builder()
            .script("run", &format!("$var(x) = $mcev({name});"), &[])
            .check();
        assert!(!check.ok, "{}", check.output);
        let line = format!(
            "invalid name of a variable: '{named}'; accepted: server, alias, pool, state, reason, downtime"
        );
        assert!(check.output.contains(&line), "{}", check.output);
    }
    let check = Kamailio::builder()
        .script("run", "$mcev(server) = 1;", &[])
        .check();
    assert!(check.output.contains("read only"), "{}", check.output);
}
