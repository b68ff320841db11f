//! Clients of other make behind one handle: libmemcached, libmc and whatever speaks the protocol.
//!
//! The first two are small programs of this folder that set and get what they are told line by
//! line; they end with their input, so with the handle.

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use support::{kept, process};

/// Somebody else's client of the same servers.
pub trait Peer {
    /// Stores a string; both texts without blanks.
    fn set(&mut self, key: &str, value: &str);

    /// Reads one.
    fn get(&mut self, key: &str) -> Option<String>;
}

/// A peer that is a program, asked by lines.
#[derive(Debug)]
pub struct Program {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// libmemcached of this machine, with the `words` of `libmemcached-client.c`.
    pub fn libmemcached(words: &[String]) -> Program {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let compile = |program: &Path| {
            let mut cc = Command::new("cc");
            cc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
            cc.arg(program);
            cc.arg(own("libmemcached-client.c")).arg("-lmemcached");
            let hint = "it needs a C compiler and libmemcached-dev: `make test-dependencies`";
            output(&mut cc, hint);
        };
        let program = BUILT.get_or_init(|| kept("libmemcached-client", compile));
        let mut command = Command::new(program);
        command.args(words);
        Program::start(command)
    }

    /// libmc from the Python package index, with the `words` of `libmc-client.py`.
    pub fn libmc(words: &[String]) -> Program {
        static PYTHON: OnceLock<String> = OnceLock::new();
        let python = PYTHON.get_or_init(|| {
            let mut install = Command::new(own("install"));
            let hint = "libmc comes from the Python package index, by tests/peers/install";
            output(&mut install, hint).trim().into()
        });
        let mut command = Command::new(python);
        command.arg(own("libmc-client.py")).args(words);
        Program::start(command)
    }

    fn start(mut command: Command) -> Program {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = process::spawn(&mut command);
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let questions = child.stdin.take();
        let answers = child.stdout.take().map(BufReader::new);
        Program {
            child,
            questions,
            answers: answers.expect("it was piped"),
        }
    }

    fn ask(&mut self, question: &str) -> String {
        let questions = self.questions.as_mut().expect("open until the drop");
        let asked = questions.write_all(format!("{question}\n").as_bytes());
        let mut answer = String::new();
        let answered = asked.and_then(|()| self.answers.read_line(&mut answer));
        // An end without an answer comes with words on stderr, which the test shows.
        assert!(matches!(answered, Ok(1..)), "no answer to {question:?}");
        answer.trim_end().into()
    }
}

impl Peer for Program {
    fn set(&mut self, key: &str, value: &str) {
        assert_eq!(self.ask(&format!("set {key} {value}")), "ok", "set {key}");
    }

    fn get(&mut self, key: &str) -> Option<String> {
        let answer = self.ask(&format!("get {key}"));
        match answer.strip_prefix("= ") {
            Some(value) => Some(value.into()),
            None if answer == "-" => None,
            None => panic!("get {key}: {answer}"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

/// A bare connection, for a proxy that does the placing.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects to `address`.
    pub fn open(address: &str) -> Connection {
        let stream = TcpStream::connect(address);
        Connection(BufReader::new(stream.expect("the proxy accepts")))
    }

    fn send(&mut self, request: &str) {
        let sent = self.0.get_mut().write_all(request.as_bytes());
        sent.expect("the proxy reads");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the proxy answers");
        line.trim_end().into()
    }
}

impl Peer for Connection {
    fn set(&mut self, key: &str, value: &str) {
        self.send(&format!("set {key} 1 600 {}\r\n{value}\r\n", value.len()));
        assert_eq!(self.line(), "STORED", "set {key}");
    }

    fn get(&mut self, key: &str) -> Option<String> {
        self.send(&format!("get {key}\r\n"));
        let head = self.line();
        if head == "END" {
            return None;
        }
        let size = head.strip_prefix(&format!("VALUE {key} 1 "));
        let size = size.unwrap_or_else(|| panic!("get {key}: {head}"));
        let mut value = vec![0; size.parse().expect("a size")];
        self.0.read_exact(&mut value).expect("the whole value");
        assert_eq!([self.line(), self.line()], ["", "END"]);
        Some(String::from_utf8(value).expect("what a test stored"))
    }
}

fn own(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    folder.join(file)
}

/// What a command prints; it must succeed.
fn output(command: &mut Command, hint: &str) -> String {
    let output = process::output(command);
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; {hint}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} failed; {hint}\n{errors}"
    );
    String::from_utf8(output.stdout).expect("words")
}
