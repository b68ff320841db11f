//! Kamailio's web server: RPC commands, whose answers may have any length there, and pages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use support::{Host, Kamailio, Memcached, wait};

/// The answer to a body sent by HTTP.
pub fn post(kamailio: &Kamailio, body: &str) -> String {
    let size = body.len();
    let head = "POST /rpc HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Connection: close\r\nContent-Length: {size}\r\n\r\n{body}");
    answer(kamailio.address(), &request)
}

/// What a page of Kamailio's own web server holds.
pub fn get(server: SocketAddr, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: test\r\n");
    answer(server, &format!("{head}Connection: close\r\n\r\n"))
}

/// The body of the answer to a request.
fn answer(server: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(server).expect("a connection");
    stream
        .set_read_timeout(Some(wait::WAIT_LIMIT))
        .expect("a limit");
    stream.write_all(request.as_bytes()).expect("a request");
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

/// Module xhttp_rpc knows fewer formats than the others.
#[test]
fn numbers_are_shown_by_module_xhttp_rpc() {
    let memcached = Memcached::start();
    let scratch = Host::current().scratch();
    let file = Host::current().inside(&scratch.write("servers", memcached.address()));
    let kamailio = Kamailio::builder()
        .param("servers_file", file.display().to_string())
        .param("near_size", 64)
        .tcp()
        .global("tcp_accept_no_cl=yes")
        .module("xhttp")
        .module("xhttp_rpc")
        .routes("event_route[xhttp:request] { dispatch_xhttp_rpc(); }")
        .start();
    for (command, members) in [
        (
            "list",
            &["weight", "latency_max_us", "in_flight", "replicas"][..],
        ),
        ("reload", &["servers"]),
        ("near", &["slots", "used", "memory"]),
    ] {
        let path = format!("/rpc/memcached/memcached.{command}?arg=");
        let page = get(kamailio.address(), &path);
        for member in members {
            assert!(page.contains(member), "{command}: no {member} in {page}");
        }
        assert!(!page.contains("too long"), "{command}: {page}");
    }
    let errors = kamailio.log_lines("ERROR: xhttp_rpc");
    assert!(errors.is_empty(), "{errors:?}");
}
