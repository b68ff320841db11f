//! `Dns` is a name server of a test, which only one Kamailio asks.
//!
//! That Kamailio runs in its own mount namespace, where two files lead the system's resolver to
//! this server. This needs root and `unshare`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::host::Host;
use crate::kamailio::Builder;
use crate::port::Port;
use crate::process;
use crate::scratch::Scratch;
use crate::skip::skip;
use crate::wait;

/// The types of questions that it answers.
const A: u16 = 1;
const AAAA: u16 = 28;

/// The code for "no such name" in the flags of a reply.
const NO_NAME: u16 = 3;

/// Replaces two files of the system, then runs the command that follows.
const AS_IF: &str = r#"mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/nsswitch.conf &&
    shift 2 && exec "$@""#;

/// A name server. The test sets the names, and whether it answers.
pub struct Dns {
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
    wrapper: Vec<String>,
    _files: Scratch,
    _port: Port,
}

#[derive(Default)]
struct Told {
    names: Mutex<BTreeMap<String, Vec<IpAddr>>>,
    asked: AtomicUsize,
    silent: AtomicBool,
    end: AtomicBool,
}

impl Dns {
    /// Knows no name yet. `resolver_timeout` in seconds is how long the system's resolver waits for an answer.
    /// `None`, and a line that says so, where the resolver's files cannot be replaced.
    pub fn start(resolver_timeout: u32) -> Option<Dns> {
        let dns = Dns::make(resolver_timeout);
        if dns.is_none() {
            skip("names", "the resolver's files cannot be replaced here");
        }
        dns
    }

    fn make(resolver_timeout: u32) -> Option<Dns> {
        let port = Port::free();
        let [high, low] = port.number().to_be_bytes();
        let ip = Ipv4Addr::new(127, high, low, 1);
        let socket = UdpSocket::bind((ip, 53)).ok()?;
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .ok()?;
        let files = Scratch::new();
        let options =
            format!("nameserver {ip}\noptions timeout:{resolver_timeout} attempts:1\nsearch .\n");
        let resolver = files.write("resolv.conf", options);
        let order = files.write(
            "nsswitch.conf",
            "hosts: files dns\npasswd: files\ngroup: files\n",
        );
        let words = ["unshare", "-m", "sh", "-c", AS_IF, "sh"].map(String::from);
        let paths = [resolver, order].map(|path| path.display().to_string());
        let wrapper: Vec<String> = words.into_iter().chain(paths).collect();
        let mut trial = Command::new(&wrapper[0]);
        trial.args(&wrapper[1..]).arg("true");
        if !Host::current().is_local()
            || !process::output(&mut trial).is_ok_and(|output| output.status.success())
        {
            return None;
        }
        let told = Arc::new(Told::default());
        let server = Arc::clone(&told);
        Some(Dns {
            told,
            thread: Some(thread::spawn(move || server.serve(&socket))),
            wrapper,
            _files: files,
            _port: port,
        })
    }

    /// Makes that Kamailio ask this server.
    pub fn serve(&self, builder: Builder) -> Builder {
        let words: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        builder.wrapper(&words)
    }

    /// From now on `name` has these addresses. If there are none, the name does not exist.
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let parse = |text: &&str| text.parse().expect("an address");
        let addresses = addresses.iter().map(parse).collect();
        self.told.names().insert(name.into(), addresses);
    }

    /// From now on it answers no question if `silent`, and otherwise every question.
    pub fn set_silent(&self, silent: bool) {
        self.told.silent.store(silent, Ordering::Relaxed);
    }

    /// The number of questions for an address so far, whether they were answered or not.
    pub fn questions(&self) -> usize {
        self.told.asked.load(Ordering::Relaxed)
    }

    /// Waits for one more question.
    #[track_caller]
    pub fn wait_for_question(&self) {
        self.wait_for_question_after(self.questions());
    }

    /// Waits until there have been more than `before` questions. For a question that may come
    /// before the test waits.
    #[track_caller]
    pub fn wait_for_question_after(&self, before: usize) {
        wait::until("somebody to ask for a name", wait::WAIT_LIMIT, || {
            self.questions() > before
        });
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.told.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Told {
    fn names(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<IpAddr>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, socket: &UdpSocket) {
        let mut room = [0; 512];
        while !self.end.load(Ordering::Relaxed) {
            let Ok((size, from)) = socket.recv_from(&mut room) else {
                continue;
            };
            self.answer(&room[..size], socket, from);
        }
    }

    fn answer(&self, request: &[u8], socket: &UdpSocket, from: SocketAddr) {
        let Some((name, kind, question)) = read(request) else {
            return;
        };
        if !self.silent.load(Ordering::Relaxed) {
            let known = self.names().get(&name).cloned().unwrap_or_default();
            let reply = reply(&request[..2], question, kind, &known);
            // If the program that asked has ended, it needs no answer.
            let _ = socket.send_to(&reply, from);
        }
        if kind == A {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Reads a question: the name, the type, and the bytes of the question.
fn read(request: &[u8]) -> Option<(String, u16, &[u8])> {
    let body = request.get(12..)?;
    let (mut labels, mut at) = (Vec::new(), 0);
    while *body.get(at)? != 0 {
        let end = at + 1 + usize::from(body[at]);
        labels.push(String::from_utf8_lossy(body.get(at + 1..end)?).into_owned());
        at = end;
    }
    let kind = body.get(at + 1..at + 3)?;
    let kind = u16::from_be_bytes([kind[0], kind[1]]);
    Some((labels.join("."), kind, body.get(..at + 5)?))
}

fn reply(id: &[u8], question: &[u8], kind: u16, known: &[IpAddr]) -> Vec<u8> {
    let bytes = |address: &IpAddr| match (kind, address) {
        (A, IpAddr::V4(v4)) => Some(v4.octets().to_vec()),
        (AAAA, IpAddr::V6(v6)) => Some(v6.octets().to_vec()),
        _ => None,
    };
    let answers: Vec<Vec<u8>> = known.iter().filter_map(bytes).collect();
    // The flags of a reply: recursion was desired, and is available.
    let flags = 0x8180 | if known.is_empty() { NO_NAME } else { 0 };
    let count = u16::try_from(answers.len()).expect("a few");
    let numbers = [flags, 1, count, 0, 0].map(u16::to_be_bytes).concat();
    let mut reply = [id, &numbers, question].concat();
    for answer in answers {
        let length = u16::try_from(answer.len()).expect("16 at most");
        // The name as in the question, the type, class IN, and a lifetime of 0 seconds.
        let head = [0xc00c, kind, 1, 0, 0, length].map(u16::to_be_bytes);
        reply.extend(head.concat());
        reply.extend(answer);
    }
    reply
}
