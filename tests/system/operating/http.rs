//! Kamailio's web server: RPC commands, whose answers may have any length there, and pages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use support::{Kamailio, wait};

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
