//! `memcached.list` of a pool with so many servers that one reply cannot carry them all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use support::{Kamailio, wait};

#[test]
fn a_list_too_long_for_kamcmd_is_had_by_parts_or_by_http() {
    let all: Vec<String> = (0..1000)
        .map(|number| format!("10.0.{}.{}:11211", number / 250, number % 250 + 1))
        .collect();
    let kamailio = Kamailio::builder()
        .param("servers", "127.0.0.1")
        .rpc()
        .param("pool", format!("name=large;servers={}", all.join(",")))
        .module("xhttp")
        .tcp()
        // HTTP, and the datagrams of all tests.
        .param_of("jsonrpcs", "transport", 5)
        .routes("event_route[xhttp:request] { jsonrpc_dispatch(); }")
        .start();
    let list = |args: &[&str]| kamailio.try_rpc("memcached.list", args);
    let count = |answer: &str, mark: &str| answer.matches(mark).count();
    assert_eq!(list(&[]), Err("ERROR: reply too big".into()));
    let answer = list(&["default"]).expect("an answer");
    assert_eq!(count(&answer, "address: "), 1);
    let answer = list(&["large", &all[777]]).expect("an answer");
    assert_eq!(count(&answer, "address: "), 1, "{answer}");
    assert!(answer.contains(&all[777]), "{answer}");
    let refused = list(&["default", &all[777]]).expect_err("it is in the other pool");
    assert!(
        refused.contains("unknown server '10.0.3.28:11211'"),
        "{refused}"
    );
    let answer = post(
        &kamailio,
        r#"{"jsonrpc":"2.0","id":1,"method":"memcached.list"}"#,
    );
    assert_eq!(count(&answer, r#""address":"#), 1001);
}

/// The answer to a body sent by HTTP.
fn post(kamailio: &Kamailio, body: &str) -> String {
    let mut stream = TcpStream::connect(kamailio.address()).expect("a connection");
    stream
        .set_read_timeout(Some(wait::WAIT_LIMIT))
        .expect("a limit");
    let size = body.len();
    let head = "POST /rpc HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";
    write!(
        stream,
        "{head}Connection: close\r\nContent-Length: {size}\r\n\r\n{body}"
    )
    .expect("a request");
    let mut answer = BufReader::new(stream);
    let mut size = None;
    loop {
        let mut line = String::new();
        answer.read_line(&mut line).expect("a head");
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", number)) => size = number.parse().ok(),
            _ if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; size.expect("a length")];
    answer.read_exact(&mut body).expect("an answer to its end");
    String::from_utf8_lossy(&body).into_owned()
}
