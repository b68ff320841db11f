//! In which routes the functions may be called: in every kind that there is. What the host offers where our own
//! routes run, and when a message ends.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use support::{Kamailio, Memcached, Request, wait};

/// What every route is asked to do: to create a number, and to write what it has read of it.
fn work(route: &str) -> String {
    format!(
        "mct_inc(\"n:{route}\", 1, \"$avp(n)\", 41, 600); mct_get(\"n:{route}\", \"$avp(m)\"); \
         mct_set(\"seen:{route}\", \"$avp(n),$avp(m)\");"
    )
}

/// Waits until a route has worked.
#[track_caller]
fn assert_worked(memcached: &Memcached, route: &str) {
    let seen = wait::poll(wait::WAIT_LIMIT, || memcached.text(format!("seen:{route}")));
    let seen = seen.unwrap_or_else(|| panic!("nothing done in {route}"));
    let (read, again) = seen.split_once(',').expect("two numbers");
    let number: i64 = read.parse().expect("a number");
    assert!(number >= 41 && read == again, "{route}: {seen}");
}

/// A call that Kamailio relays to itself, where it is rejected, so that every route has its turn.
#[test]
fn every_route_of_a_transaction_calls_functions() {
    let memcached = Memcached::start();
    let routes = [
        ("request", ""),
        ("sub", ""),
        ("branch", "branch_route[B]"),
        ("failure", "failure_route[F]"),
        ("onreply", "onreply_route[R]"),
        ("reply", "reply_route"),
        ("onsend", "onsend_route"),
        ("branch-failure", "event_route[tm:branch-failure:E]"),
    ];
    let mut builder = Kamailio::on(&memcached)
        .global("onsend_route_reply=no")
        .module("tm")
        .children(2)
        .request_route(&format!(
            "if ($rU == \"callee\") {{ sl_send_reply(\"404\", \"not here\"); exit; }} {} route(SUB); \
             $ru = \"sip:callee@127.0.0.1:\" + $Rp; t_on_branch(\"B\"); t_on_failure(\"F\"); \
             t_on_reply(\"R\"); t_on_branch_failure(\"E\"); t_relay(); exit;",
            work("request")
        ))
        .routes(&format!("route[SUB] {{ {} }}", work("sub")));
    for (name, route) in routes {
        if !route.is_empty() {
            let more = match name {
                "failure" => "t_reply(\"486\", \"done\");",
                _ => "",
            };
            builder = builder.routes(&format!("{route} {{ {} {more} }}", work(name)));
        }
    }
    let kamailio = builder.start();
    let response = kamailio.sip(Request::new("INVITE"));
    assert_eq!((response.code, &response.reason[..]), (486, "done"));
    for (name, _) in routes {
        assert_worked(&memcached, name);
    }
    kamailio.assert_nothing_logged();
}

#[test]
fn every_route_without_a_request_calls_functions() {
    let memcached = Memcached::start();
    let kamailio = Kamailio::on(&memcached)
        .rpc()
        .module("tm")
        .module("rtimer")
        .param_of("rtimer", "timer", "name=t;interval=100000u;mode=1")
        .param_of("rtimer", "exec", "timer=t;route=TICK")
        .routes(&format!("route[TICK] {{ {} }}", work("timer")))
        .routes(&format!(
            "event_route[tm:local-request] {{ {} }}",
            work("local")
        ))
        .routes(&format!(
            "event_route[core:worker-one-init] {{ {} }}",
            work("first-worker")
        ))
        .start();
    let to = format!("sip:b@{}", kamailio.address());
    let headers =
        "From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nContent-Type: text/plain\r\n";
    let request = ["OPTIONS", &to, ".", ".", headers, "body"];
    kamailio.rpc("tm.t_uac_start", &request);
    for route in ["timer", "local", "first-worker"] {
        assert_worked(&memcached, route);
    }
    kamailio.assert_nothing_logged();
}

/// A process that goes on with suspended requests receives none itself.
#[test]
fn what_a_suspended_request_has_asked_for_ends_with_it() {
    let memcached = Memcached::start();
    let keys: Vec<String> = (0..256).map(|number| format!("k{number}")).collect();
    let kamailio = Kamailio::on(&memcached)
        .rpc()
        .param("timeout", 60_000)
        .global("async_workers=1")
        .module("tm")
        .module("async")
        .request_route("async_task_route(\"ASK\"); exit;")
        .routes(&format!(
            "route[ASK] {{ mct_prefetch(\"{}\"); t_reply(\"200\", \"OK\"); }}",
            keys.join(",")
        ))
        .start();
    for asked in [256, 512] {
        assert_eq!(kamailio.sip(Request::new("INVITE")).code, 200);
        let prefetched = || kamailio.rpc("cnt.get", &["memcached", "prefetched"]);
        assert_eq!(prefetched().trim(), asked.to_string());
    }
    kamailio.assert_nothing_logged();
}

/// A request that is sent over TCP needs the process that has the connections, and so does its answer.
#[test]
fn a_route_of_an_event_sends_requests_over_tcp() {
    let memcached = Memcached::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    let kamailio = Kamailio::on(&memcached)
        .tcp()
        .module("tm")
        .module("uac")
        .param_of("uac", "restore_mode", "none")
        .script("use", "$var(x) = $mct(k);", &["$mcst"])
        .routes(&format!(
            "event_route[memcached:server-down] {{
                $uac_req(method) = \"OPTIONS\"; $uac_req(furi) = \"sip:cache@127.0.0.1\";
                $uac_req(ruri) = \"sip:operator@127.0.0.1:{port};transport=tcp\";
                $uac_req(turi) = $uac_req(ruri); $uac_req(evroute) = 1; uac_req_send();
            }}
            event_route[uac:reply] {{ xlog(\"L_ERR\", \"ANSWER $uac_req(evcode)\\n\"); }}"
        ))
        .start();
    memcached.kill();
    assert_eq!(kamailio.run("use")["$mcst"], "down");
    listener.set_nonblocking(true).expect("no waiting");
    let connected = wait::poll(wait::WAIT_LIMIT, || listener.accept().ok());
    let (mut stream, _) = connected.unwrap_or_else(|| kamailio.fail("nobody connects"));
    stream.set_nonblocking(false).expect("waiting");
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for line in BufReader::new(&stream).lines() {
        let line = line.expect("a request");
        match line.split_once(": ") {
            Some(("Via" | "From" | "To" | "Call-ID" | "CSeq", _)) => answer += &(line + "\r\n"),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    answer += "Content-Length: 0\r\n\r\n";
    stream.write_all(answer.as_bytes()).expect("an answer");
    kamailio.wait_for_log("ANSWER 200", wait::WAIT_LIMIT);
}
