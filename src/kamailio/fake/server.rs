//! A server of one connection, which gives the answers that the test wants.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// The requests that have a data line.
const WITH_DATA: [&str; 6] = ["set ", "add ", "replace ", "append ", "prepend ", "cas "];

/// A server that answers each request line (with its data line) with the next reply. Returns its
/// address, and the requests once all replies were sent.
pub(crate) fn serve(replies: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut requests = Vec::new();
        for reply in replies {
            let mut request = Vec::new();
            stream.read_until(b'\n', &mut request).unwrap();
            if WITH_DATA
                .iter()
                .any(|verb| request.starts_with(verb.as_bytes()))
            {
                stream.read_until(b'\n', &mut request).unwrap();
            }
            requests.push(String::from_utf8_lossy(&request).into_owned());
            stream.get_mut().write_all(reply.as_bytes()).unwrap();
        }
        requests
    });
    (address, server)
}
