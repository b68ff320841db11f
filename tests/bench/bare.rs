//! The least that a reader can do: a send, and the receipt of the answer, without a script.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::{READS, Reader, Reads, processor, processor_time};

/// How it waits for an answer.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// It lets the kernel wake it up.
    Sleeps,
    /// It asks the kernel until the answer is there, and gives the processor away in between.
    AsksAgain,
}

/// A connection to memcached. Who uses it is on the last processor, as workers are.
pub struct Bare {
    stream: Mutex<Box<dyn Stream>>,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

const REQUEST: &[u8] = b"get k\r\n";
const REPLY: &[u8] = b"VALUE k 1 16\r\n0123456789abcdef\r\nEND\r\n";

impl Bare {
    pub fn connect(address: &str, way: Way) -> io::Result<Self> {
        let asks_again = matches!(way, Way::AsksAgain);
        let stream: Box<dyn Stream> = if address.starts_with('/') {
            let stream = UnixStream::connect(address)?;
            stream.set_nonblocking(asks_again)?;
            Box::new(stream)
        } else {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(asks_again)?;
            Box::new(stream)
        };
        let stream = Mutex::new(stream);
        Ok(Self { stream })
    }

    fn on_the_last_processor(&self) -> io::Result<Reads> {
        processor::bind()?;
        let mut stream = self.stream.lock().expect("no reader has failed");
        let account = "/proc/thread-self/schedstat";
        let before = processor_time(account)?;
        let mut took = Vec::with_capacity(READS);
        for _ in 0..READS {
            let begun = Instant::now();
            exchange(stream.as_mut())?;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        Ok((took, processor_time(account)? - before))
    }
}

impl Reader for Bare {
    fn reads(&self) -> io::Result<Reads> {
        let thread = || self.on_the_last_processor();
        thread::scope(|scope| scope.spawn(thread).join()).expect("a thread that does not panic")
    }
}

fn exchange(stream: &mut dyn Stream) -> io::Result<()> {
    stream.write_all(REQUEST)?;
    let mut answer = [0; 256];
    let mut got = 0;
    while got < REPLY.len() {
        match stream.read(&mut answer[got..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(size) => got += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    match answer[..got] == *REPLY {
        true => Ok(()),
        false => Err(io::Error::other(answer[..got].escape_ascii().to_string())),
    }
}
