//! Servers with which all is agreed on, and that want to agree again: `openssl s_server` begins anew in
//! TLS 1.2 and changes keys in TLS 1.3 whenever it is told to.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Authority, Host, Kamailio, Port, Request, process, wait};

/// An `openssl s_server`. It is killed when it is dropped.
struct Server {
    child: Child,
    stdin: ChildStdin,
    /// What it has shown: what it was sent, and what it has done.
    shown: Arc<Mutex<Vec<u8>>>,
    port: Port,
}

impl Server {
    /// One that speaks this version, such as `-tls1_2`.
    fn start(authority: &Authority, version: &str) -> Server {
        let issued = authority.issue("server", "IP:127.0.0.1");
        let port = Port::free();
        // It shows each line at once, and becomes that program.
        let mut command = Command::new("stdbuf");
        command
            .args(["-oL", "openssl", "s_server", "-crlf", version, "-accept"])
            .arg(port.v4().to_string())
            .arg("-cert")
            .arg(&issued.chain)
            .arg("-key")
            .arg(&issued.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = process::spawn(&mut command).expect("openssl starts");
        let stdin = child.stdin.take().expect("a pipe");
        let mut stdout = child.stdout.take().expect("a pipe");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let shows = Arc::clone(&shown);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(size @ 1..) = wait::uninterrupted(|| stdout.read(&mut part)) {
                shows.lock().expect("nobody panics").extend(&part[..size]);
            }
        });
        let server = Server {
            child,
            stdin,
            shown,
            port,
        };
        server.wait_for("ACCEPT", 1);
        server
    }

    /// Whether it has shown this so many times.
    fn has_shown(&self, text: &str, times: usize) -> bool {
        let shown = self.shown.lock().expect("nobody panics");
        String::from_utf8_lossy(&shown).matches(text).count() >= times
    }

    fn wait_for(&self, text: &str, times: usize) {
        wait::until(text, wait::WAIT_LIMIT, || self.has_shown(text, times));
    }

    /// Sends a line, or does what it means if it is a command of `s_server`.
    fn tell(&mut self, line: &str) {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .expect("it runs");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(server: &Server, authority: &Authority) -> Kamailio {
    let ca = Host::current().inside(&authority.file());
    Kamailio::builder()
        .param("servers", server.port.v4().to_string())
        .param("tls", 1)
        .param("tls_ca", ca.display().to_string())
        .param("timeout", 10_000)
        .param("retry_interval", -1)
        .without_verdicts()
        .script("get", "", &["$mct(k)", "$mcst"])
        .start()
}

#[test]
fn a_server_that_wants_to_begin_anew_gives_no_value() {
    let authority = Authority::new();
    let mut server = Server::start(&authority, "-tls1_2");
    let kamailio = start(&server, &authority);
    let workers = kamailio.workers();
    let run = kamailio.launch("get", Request::options());
    server.wait_for("get k", 1);
    server.tell("R");
    let answer = run.wait();
    assert!(answer["$mct(k)"].is_null());
    let word = answer["$mcst"].bytes().expect("a word");
    assert!([&b"garbled"[..], b"down", b"timeout"].contains(&word));
    server.wait_for("SSL_do_handshake", 1);
    assert_eq!(kamailio.workers(), workers);
}

/// A server changes its keys so often before it answers, and asks for ours.
fn with_new_keys(times: usize) -> support::Answer {
    let authority = Authority::new();
    let mut server = Server::start(&authority, "-tls1_3");
    let kamailio = start(&server, &authority);
    let run = kamailio.launch("get", Request::options());
    server.wait_for("get k", 1);
    for time in 1..=times {
        // It reads one command at a time, as long as there is a connection.
        server.tell("K");
        wait::until("new keys", wait::WAIT_LIMIT, || {
            run.is_done() || server.has_shown("SSL_do_handshake", time)
        });
        if run.is_done() {
            break;
        }
    }
    server.tell("VALUE k 1 9\nthe value\nEND");
    run.wait()
}

#[test]
fn keys_may_change_before_an_answer() {
    let answer = with_new_keys(5);
    assert_eq!(answer["$mcst"], "hit");
    assert_eq!(answer["$mct(k)"], "the value");
}

#[test]
fn keys_that_change_all_the_time_are_no_answer() {
    let answer = with_new_keys(200);
    assert!(answer["$mct(k)"].is_null());
    assert_eq!(answer["$mcst"], "garbled");
}
