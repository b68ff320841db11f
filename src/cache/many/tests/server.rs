//! A server that a test can hold up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use support::model::{ClientSession, Memcached, Options};

/// A server on the model of a memcached, which a test can hold up.
pub(super) struct Server {
    pub(super) address: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    memcached: Memcached,
    /// All that was received, in lines.
    received: Vec<String>,
    is_held: bool,
    connections: Vec<TcpStream>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State {
            memcached: Memcached::new(options),
            received: Vec::new(),
            is_held: false,
            connections: Vec::new(),
        };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let shared = state.clone();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let other_end = stream.try_clone().unwrap();
                shared.0.lock().unwrap().connections.push(other_end);
                let shared = shared.clone();
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, state }
    }

    /// From now on it receives, but does not answer.
    pub(super) fn hold(&self) {
        self.state.0.lock().unwrap().is_held = true;
    }

    /// It answers what it has received.
    pub(super) fn release(&self) {
        self.state.0.lock().unwrap().is_held = false;
        self.state.1.notify_all();
    }

    /// Closes all connections. What it was held up with is never done.
    pub(super) fn close(&self) {
        let mut state = self.state.0.lock().unwrap();
        for stream in state.connections.drain(..) {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// How many connections it has, or has had since [`Self::close`].
    pub(super) fn connections(&self) -> usize {
        self.state.0.lock().unwrap().connections.len()
    }

    /// The commands that it has answered since the last call.
    pub(super) fn commands(&self) -> Vec<String> {
        std::mem::take(&mut self.state.0.lock().unwrap().received)
    }
}

fn serve(mut stream: TcpStream, (state, released): &(Mutex<State>, Condvar)) {
    let mut session = ClientSession::default();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        let state = state.lock().unwrap();
        let mut state = released.wait_while(state, |it| it.is_held).unwrap();
        let bytes = &bytes[..count];
        let lines = String::from_utf8_lossy(bytes).into_owned();
        state.received.extend(lines.lines().map(str::to_owned));
        let now = Options::default().started;
        let output = state.memcached.input(&mut session, bytes, now);
        drop(state);
        if stream.write_all(&output.bytes).is_err() {
            return;
        }
    }
}
