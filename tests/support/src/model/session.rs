//! `ClientSession` is one connection: what has arrived of the next request, and what it is.

use super::command;
use super::items::Items;
use super::number::unsigned32;
use super::upload::Upload;
use super::words::Words;
use super::{Options, Output};

/// The longest line, without its end. Only lines of `get` and `gets` may be longer.
const LINE_LIMIT: usize = 2048;

/// How many blanks may be in front of a long line of `get`.
const MARGIN: usize = 100;

/// The longest credentials, with their line end.
const LOGIN_LIMIT: usize = 16384;

/// One connection of a client, as the server sees it. A new one has sent nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSession {
    /// What has arrived and was not taken yet.
    waiting: Vec<u8>,
    expects: Expects,
    authenticated: bool,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Expects {
    #[default]
    Line,
    /// A value and a line end.
    Value(Box<Upload>),
    /// So many bytes that nobody wants.
    Skipped(usize),
    /// User and password, so many bytes with the line end.
    Login(usize),
    /// Nothing: the connection is closed.
    End,
}

/// The answer to a request or a part of one, and what comes next.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) reply: Vec<u8>,
    pub(super) next: Expects,
}

impl Step {
    /// A line, then the next command.
    pub(super) fn say(line: impl AsRef<[u8]>) -> Self {
        let reply = [line.as_ref(), b"\r\n"].concat();
        Self::reply(reply)
    }

    /// These bytes, then the next command.
    pub(super) fn reply(reply: Vec<u8>) -> Self {
        let next = Expects::Line;
        Self { reply, next }
    }

    /// No answer yet.
    pub(super) fn expect(next: Expects) -> Self {
        let reply = Vec::new();
        Self { reply, next }
    }

    /// The same without an answer, if the client wants none.
    pub(super) fn unless(mut self, quiet: bool) -> Self {
        if quiet {
            self.reply.clear();
        }
        self
    }
}

impl ClientSession {
    /// True if no request has arrived in part only, so the server owes an answer to none.
    pub fn is_idle(&self) -> bool {
        self.expects == Expects::Line && self.waiting.is_empty()
    }

    pub(super) fn take(&mut self, bytes: &[u8], options: &Options, items: &mut Items) -> Output {
        let mut output = Output::default();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend(bytes);
        let mut taken = 0;
        while let Some((step, size)) = self.step(&waiting[taken..], options, items) {
            taken += size;
            output.bytes.extend(step.reply);
            self.expects = step.next;
        }
        output.closes = self.expects == Expects::End;
        if output.closes {
            taken = waiting.len();
        }
        waiting.drain(..taken);
        self.waiting = waiting;
        output
    }

    /// The next step, and how many bytes it takes. `None` if more bytes must come first.
    fn step(
        &mut self,
        waiting: &[u8],
        options: &Options,
        items: &mut Items,
    ) -> Option<(Step, usize)> {
        match &mut self.expects {
            Expects::End => None,
            Expects::Skipped(0) => Some((Step::default(), 0)),
            Expects::Skipped(size) => {
                let taken = waiting.len().min(*size);
                let left = Expects::Skipped(*size - taken);
                (taken > 0).then(|| (Step::expect(left), taken))
            }
            Expects::Value(upload) => {
                let value = waiting.get(..upload.size())?;
                Some((upload.end(value, items), value.len()))
            }
            Expects::Login(size) => {
                let size = *size;
                let Some(login) = waiting.get(..size) else {
                    let is_too_long = waiting.len() >= LOGIN_LIMIT;
                    return is_too_long.then(|| (Step::expect(Expects::End), 0));
                };
                Some((self.log_in(login, options), size))
            }
            Expects::Line => {
                let knows = options.credentials.is_none() || self.authenticated;
                let line = match next_line(waiting, knows)? {
                    Ok(line) => line,
                    Err(TooLong) => return Some((Step::expect(Expects::End), 0)),
                };
                let size = line.len() + 1;
                let step = if knows {
                    command::run(line, items)
                } else {
                    ask_for_login(line)
                };
                Some((step, size))
            }
        }
    }

    fn log_in(&mut self, login: &[u8], options: &Options) -> Step {
        let Some(login) = login.strip_suffix(b"\r\n") else {
            return Step::say("CLIENT_ERROR bad command line termination");
        };
        let words = Words::of(login).list;
        let [user, password, ..] = words[..] else {
            return Step::say("CLIENT_ERROR bad authentication token format");
        };
        let known = options.credentials.as_ref();
        if known.is_some_and(|known| known.0 == user && known.1 == password) {
            self.authenticated = true;
            return Step::say("STORED");
        }
        Step::say("CLIENT_ERROR authentication failure")
    }
}

/// A line is longer than it may be.
struct TooLong;

/// The next line, without its newline. `None` if it is not complete.
fn next_line(waiting: &[u8], authenticated: bool) -> Option<Result<&[u8], TooLong>> {
    if waiting.len() < 2 && !authenticated {
        return None;
    }
    let line = waiting.split(|&byte| byte == b'\n').next()?;
    if line.len() > LINE_LIMIT && !(authenticated && may_be_long(line)) {
        return Some(Err(TooLong));
    }
    (line.len() < waiting.len()).then_some(Ok(line))
}

fn may_be_long(line: &[u8]) -> bool {
    let blanks = line.iter().take_while(|&&byte| byte == b' ').count();
    let word = &line[blanks..];
    blanks <= MARGIN && (word.starts_with(b"get ") || word.starts_with(b"gets "))
}

/// The first line of a client: it must announce user and password as a `set` does a value.
fn ask_for_login(line: &[u8]) -> Step {
    let words = Words::of(line).list;
    let size = match words[..] {
        [b"set", _, _, _, size, ..] => unsigned32(size),
        _ => None,
    };
    match size {
        Some(size) => Step::expect(Expects::Login(size as usize + 2)),
        None => Step::say("CLIENT_ERROR unauthenticated"),
    }
}
