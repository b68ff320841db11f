//! `Firewall` stands in front of a server and passes connections on. When a test says so, it forgets those
//! that there are: they stay open on both sides, but nothing passes any more. New ones work.
//!
//! Unlike [`Forwarder`](crate::Forwarder), it keeps nothing of what passes, so it may stand there for hours.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crate::port::Port;
use crate::{process, wait};

/// A firewall on `127.0.0.1`. It accepts no more connections when it is dropped.
#[derive(Debug)]
pub struct Firewall {
    port: Port,
    /// How often it has forgotten all connections.
    age: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// A connection that passes as long as the firewall has the same age.
#[derive(Clone)]
struct Flow {
    age: Arc<AtomicU64>,
    since: u64,
}

impl Firewall {
    /// A firewall in front of the server at `address`, a port of this machine.
    pub fn before(address: &str) -> Firewall {
        let port = Port::free();
        let listener =
            process::without_forks(|| TcpListener::bind(port.v4())).expect("a free port");
        let (age, ends) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (target, shared) = (address.to_owned(), (Arc::clone(&age), Arc::clone(&ends)));
        let accept = move || {
            let (age, ends) = shared;
            for client in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let flow = Flow {
                    since: age.load(Ordering::SeqCst),
                    age: Arc::clone(&age),
                };
                // If this fails, the client sees that the connection is closed.
                let _ = client.and_then(|client| flow.begin(client, &target));
            }
        };
        Firewall {
            port,
            age,
            ends,
            acceptor: Some(thread::spawn(accept)),
        }
    }

    /// Its address in the form of a server list.
    pub fn address(&self) -> String {
        self.port.v4().to_string()
    }

    /// Forgets the connections that there are.
    pub fn forget(&self) {
        self.age.fetch_add(1, Ordering::SeqCst);
    }
}

impl Flow {
    fn begin(self, client: TcpStream, target: &str) -> io::Result<()> {
        let server = TcpStream::connect(target)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        let there = self.clone();
        let builder = || thread::Builder::new().stack_size(128 * 1024);
        builder().spawn(move || {
            there.pass(&from, &to);
            // The server would keep a connection whose client has gone.
            let _ = to.shutdown(Shutdown::Both);
        })?;
        builder().spawn(move || {
            self.pass(&server, &client);
            if self.is_known() {
                let _ = client.shutdown(Shutdown::Both);
            }
        })?;
        Ok(())
    }

    /// Passes on what comes; nothing, once the flow is forgotten.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut part = [0; 16384];
        while let Ok(size @ 1..) = wait::uninterrupted(|| from.read(&mut part)) {
            if self.is_known() && to.write_all(&part[..size]).is_err() {
                break;
            }
        }
    }

    fn is_known(&self) -> bool {
        self.age.load(Ordering::SeqCst) == self.since
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // This wakes up the accepting thread.
        let _ = TcpStream::connect(self.port.v4());
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
