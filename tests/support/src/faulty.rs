//! `FaultyServer` is a server that does what a test orders, such as faults that a real memcached
//! never has, or not when a test needs them.
//!
//! A closure serves each connection in its own thread, with the methods of `Connection`: read,
//! send, drip, stay silent, close, reset. The server keeps everything that it receives. When it is
//! dropped, every method fails, and so the threads end.

mod connection;
mod store;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use connection::Connection;
pub use store::Store;

use crate::port::Port;
use crate::wait;

/// A scripted server on `127.0.0.1`. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultyServer {
    port: Arc<Port>,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when the server ends.
    ending: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ends: bool,
    sockets: Vec<Weak<TcpStream>>,
    received: Vec<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl FaultyServer {
    /// Serves each connection with `serve`. When `serve` returns, the connection is closed in the
    /// normal way. An error of `serve` means that the client or the server has gone.
    pub fn start(
        serve: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> FaultyServer {
        // Between the check and the use, another program may take the port.
        let tries = (0..10).find_map(|_| {
            let port = Arc::new(Port::free());
            TcpListener::bind(port.v4())
                .ok()
                .map(|listener| (port, listener))
        });
        let (port, listener) = tries.expect("a port to listen on");
        FaultyServer::listen(port, listener, serve)
    }

    /// The same on the port of a server that was dropped.
    pub(crate) fn start_again(
        port: Arc<Port>,
        serve: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> FaultyServer {
        let listener = TcpListener::bind(port.v4()).expect("the port is still reserved");
        FaultyServer::listen(port, listener, serve)
    }

    fn listen(
        port: Arc<Port>,
        listener: TcpListener,
        serve: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> FaultyServer {
        let shared = Arc::new(Shared::default());
        let (serve, accepting) = (Arc::new(serve), Arc::clone(&shared));
        let accept = move || {
            let mut threads = Vec::new();
            for stream in listener.incoming().flatten() {
                let Some(mut connection) = Connection::new(stream, &accepting) else {
                    break;
                };
                let serve = Arc::clone(&serve);
                threads.push(spawn(move || {
                    if serve(&mut connection).is_ok() {
                        connection.drain();
                    }
                }));
            }
            drop(listener);
            // A closure that panicked has written the reason to stderr.
            threads.into_iter().for_each(|thread| drop(thread.join()));
        };
        FaultyServer {
            port,
            shared,
            acceptor: Some(spawn(accept)),
        }
    }

    /// A server that answers every request with the same bytes.
    pub fn answering(reply: impl AsRef<[u8]>) -> FaultyServer {
        let reply = reply.as_ref().to_vec();
        FaultyServer::start(move |connection| {
            loop {
                connection.request()?;
                connection.send(&reply)?;
            }
        })
    }

    /// A sane server with these items, but for `fault`: where that returns true, it has dealt with the
    /// request, which is not answered any more.
    pub fn storing(
        store: Store,
        fault: impl Fn(&mut Connection, &[u8]) -> io::Result<bool> + Send + Sync + 'static,
    ) -> FaultyServer {
        FaultyServer::start(move |connection| {
            loop {
                let request = connection.request()?;
                if !fault(connection, &request)? {
                    connection.send(store.answer(&request))?;
                }
            }
        })
    }

    /// A server that accepts connections and reads, but never answers.
    pub fn silent() -> FaultyServer {
        FaultyServer::start(Connection::silence)
    }

    /// A server that passes everything on to the server at `address`, a port of this machine, and
    /// passes the answers back. It delays each piece of an answer by `delay`.
    ///
    /// Without a delay, it shows the bytes of an exchange.
    pub fn relay(address: &str, delay: Duration) -> FaultyServer {
        let address = address.to_owned();
        FaultyServer::start(move |connection| {
            let server = TcpStream::connect(&address)?;
            server.set_nodelay(true)?;
            let mut back = connection.twin();
            let mut answers = server.try_clone()?;
            let backward = spawn(move || {
                let mut part = [0; 16384];
                while let Ok(size @ 1..) = wait::uninterrupted(|| answers.read(&mut part)) {
                    if back
                        .wait(delay)
                        .and_then(|()| back.send(&part[..size]))
                        .is_err()
                    {
                        break;
                    }
                }
                // The client must see the end that the server made.
                let _ = back.hang_up();
            });
            while let Ok(bytes) = connection.some() {
                (&server).write_all(&bytes)?;
            }
            let _ = server.shutdown(Shutdown::Both);
            drop(backward.join());
            Ok(())
        })
    }

    /// Its port, which stays reserved as long as this handle.
    pub(crate) fn port(&self) -> Arc<Port> {
        Arc::clone(&self.port)
    }

    /// Its address in the form of a server list.
    pub fn address(&self) -> String {
        self.port.v4().to_string()
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().received.len()
    }

    /// The number of connections that are open on our side.
    pub fn open(&self) -> usize {
        let state = self.shared.lock();
        let sockets = state.sockets.iter();
        sockets.filter(|socket| socket.strong_count() > 0).count()
    }

    /// What each connection has received so far.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.shared.lock().received.clone()
    }

    /// What each connection has sent so far.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.shared.lock().sent.clone()
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ends = true;
        for socket in state.sockets.iter().filter_map(Weak::upgrade) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.ending.notify_all();
        // This wakes up the accepting thread, which then finds that the server ends.
        let _ = TcpStream::connect(self.port.v4());
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True for the question that a worker asks on a fresh connection, to see whether the server lives,
/// when the connection before is silent or has failed. A server that is to be out of order must fail
/// at this question, too.
pub fn is_second_look(request: &[u8]) -> bool {
    request.starts_with(b"get kamailio-memcached:")
}

fn spawn(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = thread::Builder::new().name("faulty server".into());
    thread.spawn(work).expect("a thread")
}
