//! `Forwarder` passes connections on to a server. When a test says so, it forgets them, as a firewall
//! forgets connections that nobody has used for a while, or refuses new ones.
//!
//! A forgotten connection stays open on both sides, but nothing passes any more. New connections work.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::faulty::{Connection, FaultyServer};
use crate::port::Port;
use crate::wait;

/// A forwarder on `127.0.0.1`. It ends when it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    port: Arc<Port>,
    /// `None` while it refuses connections.
    server: Mutex<Option<FaultyServer>>,
    target: String,
    /// Connections with smaller numbers are forgotten.
    first_known: Arc<AtomicUsize>,
}

impl Forwarder {
    /// A forwarder to the server at `address`, a port of this machine.
    pub fn to(address: &str) -> Forwarder {
        let first_known = Arc::new(AtomicUsize::new(0));
        let server = FaultyServer::start(forwarding(address, &first_known));
        Forwarder {
            port: server.port(),
            server: Mutex::new(Some(server)),
            target: address.into(),
            first_known,
        }
    }

    /// Its address in the form of a server list.
    pub fn address(&self) -> String {
        self.port.v4().to_string()
    }

    /// Forgets the connections that there are.
    pub fn forget(&self) {
        let server = self.server();
        let connections = server.as_ref().map_or(0, FaultyServer::connections);
        self.first_known.store(connections, Ordering::SeqCst);
    }

    /// Closes all connections, and refuses new ones.
    pub fn refuse(&self) {
        drop(self.server().take());
        // A process that is just being started has the socket for a moment longer.
        wait::until("connections to be refused", wait::WAIT_LIMIT, || {
            TcpStream::connect(self.port.v4()).is_err()
        });
    }

    /// Accepts connections again after `refuse`.
    pub fn accept(&self) {
        let mut server = self.server();
        if server.is_none() {
            self.first_known.store(0, Ordering::SeqCst);
            let forwarding = forwarding(&self.target, &self.first_known);
            *server = Some(FaultyServer::start_again(
                Arc::clone(&self.port),
                forwarding,
            ));
        }
    }

    fn server(&self) -> MutexGuard<'_, Option<FaultyServer>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a connection by passing it on.
fn forwarding(
    target: &str,
    first_known: &Arc<AtomicUsize>,
) -> impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static {
    let (target, first_known) = (target.to_owned(), Arc::clone(first_known));
    move |connection| {
        let number = connection.number();
        let first_known = Arc::clone(&first_known);
        let is_known = move || number >= first_known.load(Ordering::SeqCst);
        let mut server = TcpStream::connect(&target)?;
        server.set_nodelay(true)?;
        let mut answers = server.try_clone()?;
        let (mut back, passes) = (connection.twin(), is_known.clone());
        let backward = thread::spawn(move || {
            let mut part = [0; 16384];
            while let Ok(size @ 1..) = wait::uninterrupted(|| answers.read(&mut part)) {
                if passes() && back.send(&part[..size]).is_err() {
                    break;
                }
            }
            if passes() {
                // The client must see the end that the server made.
                let _ = back.hang_up();
            }
        });
        while let Ok(bytes) = connection.some() {
            if is_known() && server.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
        drop(backward.join());
        Ok(())
    }
}
