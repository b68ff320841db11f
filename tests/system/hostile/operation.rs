//! The five operations of the wire: what a script writes for them, what a sane memcached answers,
//! and what then is in `$mcst`.
//!
//! Every script takes its key from the header `X-Key`, does one operation, and at once a second one
//! about another key, whose answer must be its own.

use support::{Answer, Builder, FaultyServer, Kamailio, Request, Run};

/// An operation that a script asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Get,
    Set,
    Delete,
    Incr,
    Touch,
}

/// What a set writes.
const DATA: &str = "data";

use Operation::{Delete, Get, Incr, Set, Touch};

impl Operation {
    pub const ALL: [Operation; 5] = [Get, Set, Delete, Incr, Touch];

    /// Its word in the protocol, and the name of its script.
    pub fn verb(self) -> &'static str {
        match self {
            Get => "get",
            Set => "set",
            Delete => "delete",
            Incr => "incr",
            Touch => "touch",
        }
    }

    fn statement(self) -> &'static str {
        match self {
            Get => "$avp(got) = $mct($hdr(X-Key));",
            Set => r#"$mct($hdr(X-Key)) = "data";"#,
            Delete => "$mct($hdr(X-Key)) = $null;",
            Incr => "$mcinc($hdr(X-Key)) = 1;",
            Touch => "$mctex($hdr(X-Key)) = 60;",
        }
    }

    /// What a memcached answers that has all keys, each with a value of its own.
    pub fn reply(self, key: &str) -> String {
        match self {
            Get => {
                let value = value(key);
                format!("VALUE {key} 1 {}\r\n{value}\r\nEND\r\n", value.len())
            }
            Set => "STORED\r\n".into(),
            Delete => "DELETED\r\n".into(),
            Incr => "42\r\n".into(),
            Touch => "TOUCHED\r\n".into(),
        }
    }

    /// `$mcst` after that answer.
    pub fn word(self) -> &'static str {
        match self {
            Get => "hit",
            Set => "stored",
            Delete => "deleted",
            Incr => "counted",
            Touch => "touched",
        }
    }

    /// Whether a server may do it twice.
    pub fn is_repeatable(self) -> bool {
        self != Incr
    }

    /// Reads a request: operation and key.
    pub fn read(request: &[u8]) -> (Operation, String) {
        let text = String::from_utf8_lossy(request);
        let mut words = text.split_ascii_whitespace();
        let verb = words.next().expect("a verb");
        // What `mode=1` makes of a set.
        let verb = if verb == "add" { "set" } else { verb };
        let found = Operation::ALL
            .into_iter()
            .find(|known| known.verb() == verb);
        let key = words.next().expect("a key").to_owned();
        (
            found.unwrap_or_else(|| panic!("not one of the five: {text:?}")),
            key,
        )
    }

    /// Starts its script for `key`.
    #[track_caller]
    pub fn launch<'a>(self, kamailio: &'a Kamailio, key: &str) -> Run<'a> {
        kamailio.launch(self.verb(), Request::about(key))
    }

    /// How often `server` was asked this about `key`, and whether the connection of the last time
    /// was used again.
    pub fn requests(self, server: &FaultyServer, key: &str) -> (usize, bool) {
        let (mut count, mut used_again) = (0, false);
        for stream in server.received() {
            let stream = String::from_utf8_lossy(&stream);
            let mut lines = stream.split_terminator("\r\n").peekable();
            while let Some(line) = lines.next() {
                let mut words = line.split(' ');
                let verb = words.next().expect("a word, if empty");
                if (verb == self.verb() || verb == "add") && words.next() == Some(key) {
                    // The data of a set is no request.
                    let _ = lines.next_if(|line| *line == DATA);
                    count += 1;
                    used_again = lines.peek().is_some();
                }
            }
        }
        (count, used_again)
    }
}

/// The value that belongs to a key and to no other.
pub fn value(key: &str) -> String {
    format!("of {key}")
}

/// Adds the scripts of all operations.
pub fn scripts(builder: Builder) -> Builder {
    Operation::ALL
        .into_iter()
        .fold(builder, |builder, operation| {
            let statements = format!(
                "{}\n$var(word) = $mcst;\n$avp(next) = $mct(next);",
                operation.statement()
            );
            let expressions = ["$var(word)", "$avp(got)", "$avp(next)", "$mcst", "$pp"];
            builder.script(operation.verb(), &statements, &expressions)
        })
}

/// The next operation has got its own answer.
#[track_caller]
pub fn assert_next_is_answered(answer: &Answer, what: &str) {
    assert_eq!(answer["$avp(next)"], value("next"), "after {what}");
    assert_eq!(answer["$mcst"], "hit", "after {what}");
}
