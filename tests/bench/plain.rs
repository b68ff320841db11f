//! `Plain` is the least that a client can do: a blocking send, and a blocking receive of an answer
//! that it does not read.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use support::Memcached;

use crate::operation::Trip;

/// A connection to memcached.
pub struct Plain {
    socket: OwnedFd,
}

impl Plain {
    pub fn connect(memcached: &Memcached) -> io::Result<Plain> {
        let address = memcached.address();
        let socket = match address.starts_with('/') {
            true => UnixStream::connect(address)?.into(),
            false => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.into()
            }
        };
        Ok(Plain { socket })
    }

    /// The time in µs that the trips of one operation take together, as a mean of `count`
    /// repetitions.
    pub fn time(&self, trips: &[Trip], count: u32) -> io::Result<f64> {
        let mut buffer = [0; 16384];
        let begun = Instant::now();
        for _ in 0..count {
            for trip in trips {
                self.exchange(trip, &mut buffer)?;
            }
        }
        Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(count))
    }

    fn exchange(&self, trip: &Trip, buffer: &mut [u8]) -> io::Result<()> {
        let socket = self.socket.as_raw_fd();
        let request = &trip.request;
        // SAFETY: pointer and length are those of a slice that lives, and send only reads it. The
        // descriptor is open as long as `self` lives.
        let sent = unsafe {
            libc::send(
                socket,
                request.as_ptr().cast(),
                request.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        if usize::try_from(sent) != Ok(request.len()) {
            return Err(io::Error::other(format!(
                "sent {sent} of {}",
                request.len()
            )));
        }
        let mut got = 0;
        while got < trip.reply {
            let room = &mut buffer[got..];
            // SAFETY: pointer and length are those of a slice that lives and that nothing else
            // refers to. recv writes at most that many bytes.
            let size = unsafe { libc::recv(socket, room.as_mut_ptr().cast(), room.len(), 0) };
            match usize::try_from(size) {
                Ok(size) if size > 0 => got += size,
                _ => return Err(io::Error::last_os_error()),
            }
        }
        if got == trip.reply {
            return Ok(());
        }
        let reply = buffer[..got.min(60)].escape_ascii();
        Err(io::Error::other(format!(
            "{got} bytes instead of {}: {reply}",
            trip.reply
        )))
    }
}
