//! Tests that Kamailio starts, answers, reports and ends, and that the stock module can be used.

use std::collections::HashSet;
use std::time::Duration;

use support::{
    Answer, Builder, FaultyServer, Host, Kamailio, Memcached, Pid, Request, Run, Scratch, Value,
    wait,
};

fn with(memcached: &Memcached) -> Builder {
    Kamailio::builder().stock_module().memcached(memcached)
}

#[test]
fn a_value_goes_to_memcached_and_comes_back() {
    let memcached = Memcached::start();
    let kamailio = with(&memcached)
        .script("write", r#"$mct(a=>60) = "x y";"#, &[])
        .script("read", "", &["$mct(a)", "$mct(b)"])
        .start();
    kamailio.run("write");
    let item = memcached.item("a").unwrap();
    assert_eq!((item.flags, &item.value[..]), (1, &b"x y"[..]));
    assert!((55..=60).contains(&item.ttl), "{item:?}");
    let answer = kamailio.run("read");
    assert_eq!(answer["$mct(a)"], "x y");
    assert_eq!(answer["$mct(b)"], Value::Null);
    assert!(kamailio.stop().success());
}

#[test]
fn one_statement_takes_one_line() {
    let memcached = Memcached::start();
    memcached.put("n", 0, 0, "41");
    assert_eq!(with(&memcached).eval("$mcinc(n) = 1;", "$mct(n)"), 42);
    assert_eq!(memcached.text("n").as_deref(), Some("42"));
}

#[test]
fn a_unix_socket_will_do() {
    let memcached = Memcached::unix();
    memcached.put("k", 1, 0, "v");
    assert_eq!(with(&memcached).eval("", "$mct(k)"), "v");
}

#[test]
fn values_come_back_with_type_and_every_byte() {
    let statements = r#"
        $var(h) = "610d0a0062";
        $var(s) = $(var(h){s.decode.hexa});
        $var(e) = "";
        return;
        $var(s) = "not reached";
    "#;
    let asked = [
        "$var(s)",
        "$var(e)",
        "$hdr(X-None)",
        "-7",
        "$rm",
        "$hdr(X-Key)",
        "$pp",
    ];
    let kamailio = Kamailio::builder()
        .without_module()
        .script("types", statements, &asked)
        .start();
    let mut all = b"one\r\n two".to_vec();
    all.extend((1..=255).filter(|byte| !b"\r\n".contains(byte)));
    let request = Request::options().header("X-Key", &all[..]);
    let answer = kamailio.run_with("types", request);
    assert_eq!(answer["$var(s)"], b"a\r\n\0b");
    assert_eq!(answer["$var(e)"], "");
    assert_eq!(answer["$hdr(X-None)"], Value::Null);
    assert_eq!(answer["-7"], -7);
    assert_eq!(answer["$rm"], "OPTIONS");
    assert_eq!(answer["$hdr(X-Key)"], &all[..]);
    assert_eq!(answer["$pp"], i64::from(kamailio.workers()[0].0));
}

#[test]
fn a_folded_header_reaches_the_script_unharmed() {
    let server = FaultyServer::answering("END\r\n");
    let kamailio = Kamailio::builder()
        .stock_module()
        .param("servers", server.address())
        .script("read", "", &["$mct($hdr(X-Key))"])
        .start();
    let request = Request::options().header("X-Key", "a\r\n b");
    let answer = kamailio.run_with("read", request);
    assert!(answer["$mct($hdr(X-Key))"].is_null());
    // The stock module sends what it is given. That is a reason to replace it.
    let received = server.received()[0].clone();
    assert_eq!(received, b"get a\r\n b\r\n");
}

#[test]
fn as_many_requests_at_once_as_there_are_workers_find_one_each() {
    let kamailio = Kamailio::builder()
        .without_module()
        .module("cfgutils")
        .children(4)
        .script("slow", "usleep(\"500000\");", &["$pp"])
        .start();
    let runs: Vec<Run> = (0..4)
        .map(|_| kamailio.launch("slow", Request::options()))
        .collect();
    let answers: Vec<Answer> = runs.into_iter().map(Run::wait).collect();
    let workers: HashSet<Pid> = kamailio.workers().into_iter().collect();
    assert_eq!(workers.len(), 4);
    let found: HashSet<Pid> = answers.iter().map(Answer::process).collect();
    assert_eq!(found, workers);
    for answer in answers {
        assert!(answer.elapsed() >= Duration::from_millis(500));
    }
}

#[test]
fn rpc_answers_in_words_and_in_json() {
    let kamailio = Kamailio::builder().without_module().rpc().start();
    let processes = kamailio.rpc("core.psx", &[]);
    let worker = kamailio.workers()[0];
    assert!(processes.contains("udp receiver"), "{processes}");
    assert!(processes.contains(&format!("PID: {worker}")), "{processes}");
    let fault = kamailio.try_rpc("core.nonsense", &[]).unwrap_err();
    assert!(fault.starts_with("error: 500"), "{fault}");
    let json = kamailio.jsonrpc("core.echo", r#"["a b", 7]"#);
    assert!(
        json.contains(r#""a b""#) && json.contains("\"result\""),
        "{json}"
    );
    assert!(kamailio.stop().success());
}

#[test]
fn requests_come_over_tcp_too() {
    let kamailio = Kamailio::builder()
        .without_module()
        .tcp()
        .script("proto", "", &["$proto"])
        .start();
    let answer = kamailio.run_with("proto", Request::options().tcp());
    assert_eq!(answer["$proto"], "tcp");
    assert_eq!(kamailio.run("proto")["$proto"], "udp");
    assert!(kamailio.stop().success());
}

#[test]
fn routes_and_the_log_are_open_to_the_test() {
    let kamailio = Kamailio::builder()
        .without_module()
        .global("debug=1")
        .request_route("route(SAY);")
        .routes(
            r#"route[SAY] {
                xlog("L_WARN", "asked for $rU\n");
                sl_send_reply("404", "Nobody");
            }"#,
        )
        .start();
    let response = kamailio.sip(Request::new("INVITE").user("alice"));
    assert_eq!((response.code, &response.reason[..]), (404, "Nobody"));
    let line = kamailio.wait_for_log("asked for alice", wait::WAIT_LIMIT);
    assert!(line.contains("WARNING"), "{line}");
    assert_eq!(kamailio.log_lines("asked for").len(), 1);
}

#[test]
fn a_configuration_is_checked() {
    let good = Kamailio::builder().without_module().check();
    assert!(good.ok, "{}", good.output);
    let bad = Kamailio::builder()
        .without_module()
        .request_route("nonsense(;")
        .check();
    assert!(!bad.ok);
    assert_eq!(bad.code, Some(255));
    assert!(bad.output.contains("syntax error"), "{}", bad.output);
}

#[test]
fn a_refused_start_leaves_status_and_log() {
    let failure = Kamailio::builder()
        .without_module()
        .param_of("htable", "htable", "nonsense")
        .module("htable")
        .try_start()
        .unwrap_err();
    assert!(!failure.status.success());
    assert!(failure.log.contains("htable"), "{}", failure.log);
}

#[test]
fn a_file_of_ones_own_is_served() {
    let memcached = Memcached::start();
    memcached.put("k", 1, 0, "v");
    let scratch = Scratch::new();
    let file = scratch.write(
        "own.cfg",
        r#"
        loadmodule "pv.so"
        loadmodule "sl.so"
        loadmodule "textops.so"
        loadmodule "memcached.so"
        modparam("memcached", "servers", MEMCACHED)
        request_route {
            append_to_reply("X-Value: $mct(k)\r\n");
            sl_send_reply("200", "OK");
        }"#,
    );
    let kamailio = Kamailio::builder()
        .stock_module()
        .file(file)
        .define("MEMCACHED", &format!("\"{}\"", memcached.address()))
        .start();
    let response = kamailio.sip(Request::options());
    assert_eq!(response.text("X-Value"), Some("v"));
}

#[test]
fn a_killed_worker_ends_it_all() {
    let kamailio = Kamailio::builder().without_module().start();
    kamailio.workers()[0].kill();
    wait::until("its end", wait::WAIT_LIMIT, || !kamailio.alive());
    assert!(!kamailio.stop().success());
}

#[test]
fn all_processes_are_gone_after_the_drop() {
    let kamailio = Kamailio::builder().without_module().children(2).start();
    let mut pids = kamailio.processes();
    assert!(pids.len() > 2);
    pids.push(kamailio.pid());
    assert!(
        pids.iter()
            .all(|pid| pid.resident_kib() > 0 && pid.descriptors() > 2)
    );
    drop(kamailio);
    let gone = |pid: &Pid| !pid.alive();
    wait::until("their end", wait::WAIT_LIMIT, || pids.iter().all(gone));
}

#[test]
fn a_daemon_is_served_and_ended_like_any_other() {
    let kamailio = Kamailio::builder()
        .without_module()
        .daemon()
        .script("pid", "", &["$pp"])
        .start();
    let worker = kamailio.workers()[0];
    assert_eq!(kamailio.run("pid")["$pp"], i64::from(worker.0));
    assert!(kamailio.stop().success());
    assert!(!worker.alive());

    let dropped = Kamailio::builder().without_module().daemon().start();
    let pid = dropped.pid();
    drop(dropped);
    assert!(!pid.alive());

    let broken = Kamailio::builder().without_module().daemon();
    let failure = broken.request_route("nonsense(;").try_start().unwrap_err();
    assert!(failure.log.contains("syntax error"), "{}", failure.log);
    assert!(failure.config.contains("nonsense(;"), "{}", failure.config);
}

#[test]
fn the_version_is_known() {
    assert!(Host::current().version() >= (5, 3, 0));
}
