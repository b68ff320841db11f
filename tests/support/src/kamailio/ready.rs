//! Waits until a Kamailio is ready.
//!
//! That is when it answers a request, has all its processes, and all of them are waiting for work.
//! A child that was just forked still believes that it is the main process, and would ignore the
//! SIGTERM of an early shutdown.

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::Kamailio;
use super::builder::Builder;
use super::config::{CTL, JSONRPC};
use crate::pid::Pid;
use crate::sip::Request;
use crate::wait;

/// The user part of the request that asks whether it answers.
pub(super) const READY: &str = "support-ready";

impl Builder {
    /// Waits until the workers answer, all processes are forked and the sockets exist, or until
    /// Kamailio has ended.
    #[track_caller]
    pub(super) fn wait_until_ready(&self, kamailio: &Kamailio) {
        let ended = || !kamailio.alive();
        let step = |what: &str, done: &mut dyn FnMut() -> bool| {
            if wait::poll(wait::WAIT_LIMIT, || (done() || ended()).then_some(())).is_none() {
                kamailio.fail(&format!("Kamailio does not get ready: {what}"));
            }
        };
        step("no answer to a SIP request", &mut || {
            answers(kamailio).unwrap_or(false)
        });
        step("too few workers", &mut || {
            kamailio.workers().len() == self.children
        });
        if self.file.is_none() && self.rpc {
            step("no RPC sockets", &mut || {
                UnixStream::connect(kamailio.scratch.join(CTL)).is_ok()
                    && kamailio.scratch.join(JSONRPC).exists()
            });
        }
        if self.file.is_none() && self.tcp {
            step("no TCP port", &mut || {
                TcpStream::connect(kamailio.address()).is_ok()
            });
        }
        step("its processes do not come to rest", &mut || {
            kamailio.pid().sleeps_in_pause() && kamailio.processes().into_iter().all(Pid::sleeps)
        });
    }
}

/// Sends a request, and waits for the response unless the port is closed.
fn answers(kamailio: &Kamailio) -> std::io::Result<bool> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(kamailio.address())?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let request = Request::options().user(READY);
    socket.send(&request.encode(socket.local_addr()?))?;
    match socket.recv(&mut [0; 4096]) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}
