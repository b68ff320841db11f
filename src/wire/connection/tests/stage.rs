//! A server that takes given steps on several connections, and an exchange with it.

use super::*;
use Step::{Accept, Await, Close, Drip, Hear, Say};
use std::sync::LazyLock;

static KEY: LazyLock<WireKey> = LazyLock::new(key);

/// What a server does next; connections are numbered as they come.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Accept,
    /// Reads a line.
    Hear(usize),
    Say(usize, &'static str),
    Close(usize),
    /// Says it in pieces of one byte, each so long after the last one.
    Drip(usize, &'static str, Duration),
    /// Waits until the client has asked for the mark, or has heard the answer to its question.
    Await,
}

/// A server that takes these steps, then keeps its connections open.
struct Stage {
    target: Target,
    /// The lines that it has heard.
    lines: Receiver<(usize, String)>,
    tell: Sender<()>,
}

impl Stage {
    fn with(steps: &'static [Step]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        let ((heard, lines), (tell, told)) = (channel(), channel());
        thread::spawn(move || {
            let mut streams: Vec<Option<BufReader<TcpStream>>> = Vec::new();
            for step in steps {
                match *step {
                    Accept => streams.push(Some(BufReader::new(listener.accept().unwrap().0))),
                    Hear(at) => {
                        let mut line = String::new();
                        let stream = streams[at].as_mut().unwrap();
                        stream.read_line(&mut line).unwrap();
                        // The test may want to know no more.
                        let _ = heard.send((at, line));
                    }
                    Say(at, text) => {
                        let stream = streams[at].as_mut().unwrap().get_mut();
                        // The client may have left.
                        let _ = stream.write_all(text.as_bytes());
                    }
                    Drip(at, text, apart) => {
                        let stream = streams[at].as_mut().unwrap().get_mut();
                        for byte in text.bytes() {
                            // Nothing comes to this channel meanwhile.
                            let _ = told.recv_timeout(apart);
                            let _ = stream.write_all(&[byte]);
                        }
                    }
                    Close(at) => streams[at] = None,
                    Await => told.recv().unwrap(),
                }
            }
            // Until the client is gone.
            while told.recv().is_ok() {}
        });
        Self {
            target,
            lines,
            tell,
        }
    }
}

/// How an exchange has ended.
pub(super) struct End {
    pub(super) reply: Result<Reply, Box<Failure>>,
    pub(super) value: String,
    /// How often it has asked for the mark.
    pub(super) asked: u32,
    pub(super) took: Duration,
    pub(super) client: Client,
    pub(super) lines: Vec<(usize, String)>,
}

impl End {
    /// The error, and whether it is evidence.
    pub(super) fn failure(self) -> (Error, bool) {
        let failure = *self.reply.unwrap_err();
        (failure.error, failure.is_evidence)
    }
}

pub(super) const STALL: Duration = Duration::from_millis(300);
pub(super) const LIMIT: Duration = Duration::from_millis(2000);

pub(super) struct Play {
    pub(super) request: Request<'static>,
    pub(super) limit: Duration,
    /// Whether it gets the mark.
    pub(super) grant: bool,
    /// Changes the way to the server.
    pub(super) turn: fn(&mut Road),
}

impl Play {
    pub(super) fn run(self, steps: &'static [Step]) -> End {
        let Stage {
            target,
            lines,
            tell,
        } = Stage::with(steps);
        let mut client = Client::to(&target);
        client.road.tell = Some(tell.clone());
        (self.turn)(&mut client.road);
        let (asked, deadline) = (Cell::new(0), Deadline::new(Moment::now(), self.limit));
        let may_wait_on = |_| {
            asked.set(asked.get() + 1);
            tell.send(()).unwrap();
            self.grant
        };
        let budget = WaitBudget::new(&deadline, STALL, None, &may_wait_on);
        let mut value = b"old".to_vec();
        let reply = client
            .connection
            .exchange(&self.request, &mut value, &budget, &client.road);
        End {
            reply,
            value: String::from_utf8(value).unwrap(),
            asked: asked.get(),
            took: Moment::now().since(deadline.start()),
            client,
            lines: lines.try_iter().collect(),
        }
    }
}

pub(super) fn get() -> Play {
    Play {
        request: Request::Get { key: &KEY },
        limit: LIMIT,
        grant: true,
        turn: |_| (),
    }
}

pub(super) fn incr() -> Play {
    let (way, key, by) = (Way::Up, &KEY, 1);
    Play {
        request: Request::Count { way, key, by },
        ..get()
    }
}
