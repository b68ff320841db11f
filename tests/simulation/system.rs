//! System: the calls of the library on its operating system, answered by the world.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use internals::simulation::{Place, System};
use kamailio_memcached::internals;

use super::process::{Process, Role};
use super::world::{MILLI, TODAY, World};

impl System for World {
    fn now(&self) -> u64 {
        self.call();
        self.state.borrow().clock()
    }

    fn unix_time(&self) -> Duration {
        self.call();
        // The clock on the wall goes on while the node stands still.
        Duration::from_secs(TODAY) + Duration::from_nanos(self.state.borrow().now)
    }

    fn process(&self) -> u32 {
        let state = self.state.borrow();
        state
            .current
            .map_or(1, |current| state.processes[current].pid)
    }

    fn pause(&self) {
        self.look();
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.hold_up(10);
        }
        self.take(50);
    }

    fn is_planted(&self, fault: &'static str) -> bool {
        self.planted == Some(fault)
    }

    fn connect(&self, place: Place<'_>) -> io::Result<u32> {
        self.call();
        self.state.borrow_mut().connect(place)
    }

    fn connected(&self, socket: u32) -> io::Result<()> {
        self.call();
        self.state.borrow_mut().connected(socket)
    }

    fn send(&self, socket: u32, bytes: &[u8]) -> io::Result<usize> {
        self.call();
        self.state.borrow_mut().send(socket, bytes)
    }

    fn receive(&self, socket: u32, into: &mut [u8], keeps: bool) -> io::Result<usize> {
        self.call();
        self.state.borrow_mut().receive(socket, into, keeps)
    }

    fn wait(&self, sockets: &[(u32, bool)], time: Duration) -> Vec<bool> {
        self.call();
        let blocks = {
            let mut state = self.state.borrow_mut();
            let is_ready = |&(socket, sends): &(u32, bool)| state.is_ready(socket, sends);
            let blocks = !sockets.iter().any(is_ready);
            if blocks {
                let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                // The kernel rounds up.
                let late = state.random.below(MILLI);
                let until = state.now.saturating_add(time).saturating_add(late);
                let current = state.current.expect("a process");
                state.wait_for(current, sockets);
                state.block(current, sockets, until);
            }
            blocks
        };
        if blocks {
            self.give_way();
        }
        let state = self.state.borrow();
        let is_ready = |&(socket, sends): &(u32, bool)| state.is_ready(socket, sends);
        sockets.iter().map(is_ready).collect()
    }

    fn abandon(&self, socket: u32) {
        self.state.borrow_mut().flows[socket as usize].is_abandoned = true;
    }

    fn close(&self, socket: u32) {
        self.state.borrow_mut().close(socket);
    }

    fn look_up(&self, name: &str) -> Vec<IpAddr> {
        self.call();
        let time = self.state.borrow_mut().look_up_time();
        self.sleep(time);
        self.state.borrow_mut().look_up(name)
    }

    fn start_thread(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.call();
        let mut state = self.state.borrow_mut();
        if state.random.once_in(50) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let pid = state
            .current
            .map_or(1, |current| state.processes[current].pid);
        let index = state.processes.len();
        state.processes.push(Process::new(pid, Role::Lookup));
        state.threads.push((index, work));
        Ok(())
    }
}
