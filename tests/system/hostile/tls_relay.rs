//! Between the module and a memcached with TLS: passes all on, or does something else in its place.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Authority, Builder, Connection, FaultyServer, Host, Kamailio, Memcached, wait};

/// What a server does in place of what it should do.
pub type Evil = fn(&mut Connection) -> io::Result<()>;

/// What the next answers are.
#[derive(Clone, Copy)]
pub enum Act {
    /// Those of memcached.
    Pass,
    /// This, in answer to a client's first message.
    Open(Evil),
    /// The same, but only on the first of all connections.
    OpenFirst(Evil),
    /// This, in answer to a request. Connections that are opened from now on are closed.
    Answer(Evil),
}

/// Between the module and a memcached with TLS.
pub struct Relay {
    pub server: FaultyServer,
    act: Arc<Mutex<Act>>,
}

impl Relay {
    pub fn to(memcached: &Memcached) -> Relay {
        let (address, act) = (
            memcached.address().to_owned(),
            Arc::new(Mutex::new(Act::Pass)),
        );
        let acts = Arc::clone(&act);
        let act_now = move || *acts.lock().expect("nobody panics");
        let server = FaultyServer::start(move |connection| {
            match act_now() {
                Act::Pass => {}
                Act::OpenFirst(_) if connection.number() > 0 => {}
                Act::Open(evil) | Act::OpenFirst(evil) => {
                    connection.some()?;
                    return evil(connection);
                }
                Act::Answer(_) => return connection.hang_up(),
            }
            let server = TcpStream::connect(&address)?;
            server.set_nodelay(true)?;
            let (mut back, mut answers) = (connection.twin(), server.try_clone()?);
            let backward = thread::spawn(move || {
                let mut part = [0; 16_384];
                while let Ok(size @ 1..) = wait::uninterrupted(|| answers.read(&mut part)) {
                    if back.send(&part[..size]).is_err() {
                        break;
                    }
                }
            });
            let mut result = Ok(());
            while let Ok(bytes) = connection.some() {
                if let Act::Answer(evil) = act_now() {
                    result = evil(connection);
                    break;
                }
                if (&server).write_all(&bytes).is_err() {
                    break;
                }
            }
            let _ = server.shutdown(Shutdown::Both);
            drop(backward.join());
            result
        });
        Relay { server, act }
    }

    pub fn set(&self, act: Act) {
        *self.act.lock().expect("nobody panics") = act;
    }
}

/// The secured memcacheds of the tests: one of either version.
pub fn each_version(authority: &Authority) -> [Memcached; 2] {
    let issued = authority.issue("server", "IP:127.0.0.1");
    let (chain, key) = (issued.chain.display(), issued.key.display());
    let options = format!("ssl_chain_cert={chain},ssl_key={key}");
    [
        Memcached::secured(&options),
        Memcached::secured_by_1_2(&options),
    ]
}

pub fn builder(address: &str, authority: &Authority) -> Builder {
    let ca = Host::current().inside(&authority.file());
    Kamailio::builder()
        .param("servers", address)
        .param("tls", 1)
        .param("tls_ca", ca.display().to_string())
        .param("timeout", 1000)
        .rpc()
        .script("get", "", &["$mct(k)", "$mcst"])
        .script("count", "$mcinc(n) = 1;", &["$mcst"])
}
