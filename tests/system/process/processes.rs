//! In which processes of a Kamailio the variables work, and how many connections that
//! takes: one for each process that has used it, none for any other.

use std::time::Duration;

use support::{Builder, FaultyServer, Kamailio, Memcached, Request, wait};

/// What every process is asked to do: to write its number under `{key}`, to count, and
/// to write what it reads of that.
fn work(key: &str) -> String {
    format!(
        "$mct({key}-n) = 41; $mcinc({key}-n) = 1;\n\
         $mct({key}-read) = $mct({key}-n); $mct({key}-status) = $mcst; $mct({key}-pid) = $pp;"
    )
}

/// Waits until `work` has been done by a process that is not one of the workers.
#[track_caller]
fn assert_worked_elsewhere(memcached: &Memcached, kamailio: &Kamailio, key: &str) {
    let process = assert_worked(memcached, key);
    assert!(
        kamailio.workers().iter().all(|worker| worker.0 != process),
        "a SIP worker did it"
    );
    let all = kamailio.processes();
    assert!(
        all.iter().any(|other| other.0 == process),
        "{process} is none of {all:?}"
    );
}

/// Waits until `work` has been done, and tells by which process.
#[track_caller]
fn assert_worked(memcached: &Memcached, key: &str) -> i32 {
    let pid = wait::poll(wait::WAIT_LIMIT, || memcached.text(format!("{key}-pid")));
    let pid = pid.unwrap_or_else(|| panic!("nothing done for {key}"));
    memcached.assert_holds(format!("{key}-read"), 0, "42");
    memcached.assert_holds(format!("{key}-status"), 1, "stored");
    pid.parse().expect("a number")
}

#[test]
fn udp_and_tcp_workers() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .tcp()
        .script("udp", &work("udp"), &["$pp"])
        .script("tcp", &work("tcp"), &["$pp"])
        .start();
    let udp = kamailio.run("udp")["$pp"].int();
    let tcp = kamailio.run_with("tcp", Request::options().tcp())["$pp"].int();
    assert_ne!(udp, tcp);
    assert_eq!(Some(assert_worked(&memcached, "udp").into()), udp);
    assert_worked_elsewhere(&memcached, &kamailio, "tcp");
}

/// A route `TICK` that is run by a timer, for as long as the test looks on.
fn ticking(memcached: &Memcached, timer: &str) -> Builder {
    Kamailio::on(memcached)
        .module("rtimer")
        .param_of("rtimer", "timer", timer)
        .param_of("rtimer", "exec", "timer=t;route=TICK")
        .routes(&format!("route[TICK] {{ {} }}", work("tick")))
}

#[test]
fn the_timer_process() {
    let memcached = Memcached::start();
    let kamailio = ticking(&memcached, "name=t;interval=1;mode=0").start();
    assert_worked_elsewhere(&memcached, &kamailio, "tick");
    assert!(kamailio.stop().success());
}

#[test]
fn a_timer_process_of_its_own() {
    let memcached = Memcached::start();
    let kamailio = ticking(&memcached, "name=t;interval=100000u;mode=1").start();
    assert_worked_elsewhere(&memcached, &kamailio, "tick");
    assert!(kamailio.stop().success());
}

#[test]
fn the_fast_timer_process() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .module("timer")
        .param_of("timer", "declare_timer", "T=TICK,100,fast,enable")
        .routes(&format!("route[TICK] {{ {} }}", work("tick")))
        .start();
    assert_worked_elsewhere(&memcached, &kamailio, "tick");
    assert!(kamailio.stop().success());
}

/// A process that serves no sockets goes on with a request that a worker has put aside.
#[track_caller]
fn assert_goes_on_elsewhere(processes: &str, put_aside: &str) {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .global(processes)
        .module("tm")
        .module("async")
        .request_route(&format!("{put_aside} exit;"))
        .routes(&format!(
            "route[LATER] {{ {} t_reply(\"200\", \"$mct(async-read)\"); }}",
            work("async")
        ))
        .start();
    let response = kamailio.sip(Request::new("INVITE"));
    assert_eq!((response.code, &response.reason[..]), (200, "42"));
    assert_worked_elsewhere(&memcached, &kamailio, "async");
}

#[test]
fn async_workers() {
    assert_goes_on_elsewhere(
        "async_workers=2",
        "t_newtran(); async_task_route(\"LATER\");",
    );
}

#[test]
fn the_process_that_resumes_a_request_later() {
    assert_goes_on_elsewhere("async_workers=1", "async_route(\"LATER\", \"1\");");
}

#[test]
fn the_rpc_process() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .rpc()
        .module("tm")
        .routes(&format!(
            "event_route[tm:local-request] {{ {} }}",
            work("rpc")
        ))
        .start();
    // The command sends a request, and the route sees it in the process of the command.
    let to = format!("sip:b@{}", kamailio.address());
    let headers =
        "From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nContent-Type: text/plain\r\n";
    kamailio.rpc(
        "tm.t_uac_start",
        &["OPTIONS", &to, ".", ".", headers, "body"],
    );
    assert_worked_elsewhere(&memcached, &kamailio, "rpc");
    assert!(kamailio.stop().success());
}

#[test]
fn the_first_worker_when_it_begins() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .routes(&format!(
            "event_route[core:worker-one-init] {{ {} }}",
            work("event")
        ))
        .script("read", "", &["$mct(event-read)", "$pp"])
        .start();
    let process = assert_worked(&memcached, "event");
    let answer = kamailio.run("read");
    assert_eq!(answer["$mct(event-read)"], 42);
    assert_eq!(answer["$pp"], i64::from(process));
}

#[test]
fn event_routes_without_a_request() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .module("htable")
        .param_of("htable", "htable", "t=>size=4;autoexpire=1;")
        .param_of("htable", "timer_interval", 1)
        .script("put", "$sht(t=>k) = 1;", &[])
        .routes(&format!(
            "event_route[htable:expired:t] {{ {} }}",
            work("expired")
        ))
        .start();
    kamailio.run("put");
    assert_worked_elsewhere(&memcached, &kamailio, "expired");
}

#[test]
fn replies_failures_and_branches() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .module("tm")
        .request_route(
            r#"
            if ($rU == "callee") { sl_send_reply("486", "Busy"); exit; }
            t_on_branch("BRANCH"); t_on_reply("REPLY"); t_on_failure("FAILURE");
            $ru = "sip:callee@127.0.0.1:" + $Rp;
            t_relay();
            exit;
            "#,
        )
        .routes(&format!("branch_route[BRANCH] {{ {} }}", work("branch")))
        .routes(&format!("onreply_route[REPLY] {{ {} }}", work("reply")))
        .routes(&format!(
            "failure_route[FAILURE] {{ {} t_reply(\"480\", \"$mct(failure-read)\"); }}",
            work("failure")
        ))
        .children(2)
        .start();
    let response = kamailio.sip(Request::new("OPTIONS").user("caller"));
    assert_eq!((response.code, &response.reason[..]), (480, "42"));
    for key in ["branch", "reply", "failure"] {
        assert_worked(&memcached, key);
    }
}

#[test]
fn a_connection_is_opened_on_first_use_and_kept() {
    let memcached = Memcached::start();
    let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
    let kamailio = Kamailio::builder()
        .param("servers", relay.address())
        .children(2)
        .script("use", "$mct(k) = 5;", &["$mct(k)"])
        .script("idle", "", &["$mcst"])
        .start();
    kamailio.run("idle");
    assert_eq!(relay.connections(), 0, "nobody has needed one");
    kamailio.run("use");
    assert_eq!(relay.connections(), 1);
    for _ in 0..20 {
        kamailio.run("use");
    }
    assert!(relay.connections() <= 2);
    assert_eq!(relay.connections(), relay.open(), "all are in use still");
}

#[test]
fn every_worker_has_a_connection_of_its_own() {
    const WORKERS: usize = 4;
    let memcached = Memcached::start();
    let relay = FaultyServer::relay(memcached.address(), Duration::ZERO);
    let kamailio = Kamailio::builder()
        .param("servers", relay.address())
        .children(WORKERS)
        .module("cfgutils")
        .script(
            "use",
            "$mct($pp) = $pp; usleep(\"20000\");",
            &["$mct($pp)", "$pp"],
        )
        .start();
    for answer in kamailio.run_on_every_worker("use", &Request::options()) {
        assert_eq!(answer["$mct($pp)"], answer["$pp"]);
    }
    assert_eq!(relay.connections(), WORKERS);
    assert_eq!(memcached.len(), WORKERS);
}
