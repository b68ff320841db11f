//! A minimal SIP client: one request, one response, no retransmission.
//!
//! Values of headers are bytes and are sent unchanged. So a test can fold them, or put into them
//! what a normal client would never send.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::wait;

/// How long a request waits for its response by default.
pub const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// Bytes that a header cannot carry as they are; `{s.decode.hexa}` undoes it in the script.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    user: String,
    caller: String,
    call_id: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    transport: Transport,
    wait_limit: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

impl Request {
    /// An OPTIONS request over UDP.
    pub fn options() -> Request {
        Request::new("OPTIONS")
    }

    /// The same with a key, which is `$hdr(X-Key)` in the script.
    pub fn about(key: impl AsRef<[u8]>) -> Request {
        Request::options().header("X-Key", key)
    }

    /// A request with any method, over UDP.
    pub fn new(method: &str) -> Request {
        Request {
            method: method.into(),
            user: "test".into(),
            caller: "caller".into(),
            call_id: None,
            headers: Vec::new(),
            body: Vec::new(),
            transport: Transport::Udp,
            wait_limit: WAIT_LIMIT,
        }
    }

    /// Sets the user part of the request URI, `$rU` in the script.
    pub fn user(mut self, user: &str) -> Request {
        self.user = user.into();
        self
    }

    /// Sets the user part of the From header, `$fU` in the script.
    pub fn caller(mut self, user: &str) -> Request {
        self.caller = user.into();
        self
    }

    /// Sets the Call-ID, `$ci` in the script, byte for byte. By default each request has its own.
    pub fn call_id(mut self, value: impl AsRef<[u8]>) -> Request {
        self.call_id = Some(value.as_ref().to_vec());
        self
    }

    /// Adds a header. The value is sent byte for byte.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body, `$rb` in the script.
    pub fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Request {
        self.body = body.as_ref().to_vec();
        self.header("Content-Type", content_type)
    }

    /// Uses TCP and not UDP.
    pub fn tcp(mut self) -> Request {
        self.transport = Transport::Tcp;
        self
    }

    /// Sets how long to wait for the response.
    pub fn wait_limit(mut self, limit: Duration) -> Request {
        self.wait_limit = limit;
        self
    }

    /// Sends it to `to` on a new socket. A thread waits for the response, so many requests can be
    /// under way at the same time.
    pub fn send(&self, to: SocketAddr) -> Pending {
        let (request, begun) = (self.clone(), Instant::now());
        let exchange = move || match request.transport {
            Transport::Udp => request.over_udp(to, begun),
            Transport::Tcp => request.over_tcp(to, begun),
        };
        let thread = thread::Builder::new().name("sip".into());
        Pending {
            thread: thread.spawn(exchange).expect("a thread"),
        }
    }

    /// Sends it and waits for the response.
    pub fn exchange(&self, to: SocketAddr) -> io::Result<Response> {
        match self.transport {
            Transport::Udp => self.over_udp(to, Instant::now()),
            Transport::Tcp => self.over_tcp(to, Instant::now()),
        }
    }

    fn over_udp(&self, to: SocketAddr, begun: Instant) -> io::Result<Response> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(self.wait_limit))?;
        socket.send(&self.encode(socket.local_addr()?))?;
        let mut buffer = vec![0; 65536];
        loop {
            let size = wait::uninterrupted(|| socket.recv(&mut buffer))?;
            let response = Response::parse(&buffer[..size], begun.elapsed())?;
            if response.code >= 200 {
                return Ok(response);
            }
        }
    }

    fn over_tcp(&self, to: SocketAddr, begun: Instant) -> io::Result<Response> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(self.wait_limit))?;
        stream.write_all(&self.encode(stream.local_addr()?))?;
        let mut bytes = Vec::new();
        let mut part = [0; 16384];
        loop {
            match wait::uninterrupted(|| stream.read(&mut part))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                size => bytes.extend_from_slice(&part[..size]),
            }
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                let response = Response::parse(&bytes, begun.elapsed())?;
                let length = response.text("Content-Length");
                let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
                if bytes.len() >= end + 4 + length {
                    return Ok(response);
                }
            }
        }
    }

    /// The bytes to send, if the client's address is `from`.
    pub fn encode(&self, from: SocketAddr) -> Vec<u8> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{count}-{}", std::process::id(), from.port());
        let transport = match self.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        let Request {
            method,
            user,
            caller,
            ..
        } = self;
        let mut bytes = format!(
            "{method} sip:{user}@127.0.0.1 SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {from};branch=z9hG4bK{id};rport\r\n\
             From: <sip:{caller}@127.0.0.1>;tag={id}\r\n\
             To: <sip:{user}@127.0.0.1>\r\n\
             CSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\n"
        )
        .into_bytes();
        let call_id = self.call_id.as_deref().unwrap_or(id.as_bytes());
        bytes.extend([b"Call-ID: ", call_id, b"\r\n"].concat());
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).bytes());
        bytes.extend(&self.body);
        bytes
    }
}

/// A request that was sent.
#[derive(Debug)]
pub struct Pending {
    thread: JoinHandle<io::Result<Response>>,
}

impl Pending {
    /// Waits for the response.
    pub fn wait(self) -> io::Result<Response> {
        self.thread.join().expect("no panic in the exchange")
    }

    /// True if the response or the failure has arrived.
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }
}

/// A response.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code, for example 200.
    pub code: u16,
    /// The reason phrase.
    pub reason: String,
    /// All headers in order. The blanks around a value are removed.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The bytes after the headers.
    pub body: Vec<u8>,
    /// The time from just before the request was sent until the response had arrived.
    pub elapsed: Duration,
}

impl Response {
    /// The value of the first header called `name`. Upper and lower case are the same.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let found = |(other, _): &&(String, Vec<u8>)| other.eq_ignore_ascii_case(name);
        self.headers.iter().find(found).map(|(_, value)| &value[..])
    }

    /// The same as text, or `None` if the value is not text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    fn parse(bytes: &[u8], elapsed: Duration) -> io::Result<Response> {
        let wrong = || {
            let text = format!("not a SIP response: \"{}\"", bytes.escape_ascii());
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let end = find(bytes, b"\r\n\r\n").ok_or_else(wrong)?;
        let mut head = &bytes[..end + 2];
        let status = next_line(&mut head).ok_or_else(wrong)?;
        let status = String::from_utf8_lossy(status);
        let mut words = status.splitn(3, ' ');
        let code = words
            .next()
            .filter(|&version| version == "SIP/2.0")
            .and_then(|_| words.next()?.parse().ok())
            .ok_or_else(wrong)?;
        let reason = words.next().unwrap_or("").into();
        let mut headers = Vec::new();
        while let Some(line) = next_line(&mut head) {
            let colon = find(line, b":").ok_or_else(wrong)?;
            let name = String::from_utf8_lossy(line[..colon].trim_ascii()).into_owned();
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        Ok(Response {
            code,
            reason,
            headers,
            body: bytes[end + 4..].to_vec(),
            elapsed,
        })
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} {} ({:?})",
            self.code, self.reason, self.elapsed
        )?;
        for (name, value) in &self.headers {
            writeln!(formatter, "{name}: {}", value.escape_ascii())?;
        }
        write!(formatter, "\n{}", self.body.escape_ascii())
    }
}

/// Removes one header from the head, with the lines that are folded into it.
fn next_line<'a>(head: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut end = find(head, b"\r\n")?;
    while matches!(head.get(end + 2), Some(b' ' | b'\t')) {
        end += 2 + find(&head[end + 2..], b"\r\n")?;
    }
    let line = &head[..end];
    *head = &head[end + 2..];
    Some(line)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_apart() {
        let bytes = b"SIP/2.0 404 Not Found\r\nX-A:  one\r\n two \r\nX-B:\r\n\r\nbody";
        let response = Response::parse(bytes, Duration::ZERO).unwrap();
        assert_eq!((response.code, &response.reason[..]), (404, "Not Found"));
        assert_eq!(response.header("x-a"), Some(&b"one\r\n two"[..]));
        assert_eq!(response.text("X-B"), Some(""));
        assert_eq!(response.body, b"body");
    }

    #[test]
    fn headers_go_out_byte_for_byte() {
        let request = Request::options()
            .call_id(b"c\r\n d")
            .header("X-Key", b"a\r\n b\0\xff");
        let bytes = request.encode("127.0.0.1:5060".parse().unwrap());
        assert!(find(&bytes, b"\r\nCall-ID: c\r\n d\r\n").is_some());
        assert!(find(&bytes, b"\r\nX-Key: a\r\n b\0\xff\r\n").is_some());
    }
}
