//! Feeds a session with any bytes: for any requests, in any pieces, with any end.
//!
//! The session must never panic. A value must consist of bytes that arrived. The result must not
//! depend on the pieces. Only if exactly the expected replies have arrived, the session may be
//! ready for the next request, and then it must read the next reply correctly.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz reply -- -dict=tests/fuzz/reply.dict -max_len=6000`

#![no_main]

use arbitrary::Arbitrary;
use kamailio_memcached::internals::{
    Down, Error, Reply, Request, Session, Store, Waiting, Way, WireKey,
};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Exchange<'a> {
    first: Kind,
    /// Requested before the first reply has arrived.
    others: Vec<Kind>,
    end: End,
    pieces: Vec<u8>,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    Get,
    GetMany,
    Set,
    Add,
    Delete,
    Touch,
    Count,
    Gets,
    Cas,
    CountOrCreate,
    GetLasting,
    Inspect,
    NoOp,
    Version,
    Stats,
    Settings,
    FlushAll,
}

impl Kind {
    fn request<'a>(self, keys: &'a [&'a WireKey]) -> Request<'a> {
        let key = keys[0];
        let store = |store| Request::Store {
            store,
            key,
            flags: 1,
            lifetime: 0,
            value: b"v",
        };
        match self {
            Kind::Get => Request::Get { key },
            Kind::GetMany => Request::GetMany { keys },
            Kind::Set => store(Store::Set),
            Kind::Add => store(Store::Add),
            Kind::Delete => Request::Delete { key },
            Kind::Touch => Request::Touch { key, lifetime: 60 },
            Kind::Count => Request::Count {
                way: Way::Up,
                key,
                by: 1,
            },
            Kind::Gets => Request::Gets { key },
            Kind::Cas => Request::Cas {
                key,
                flags: 1,
                lifetime: 0,
                version: 1,
                value: b"v",
            },
            Kind::CountOrCreate => Request::CountOrCreate {
                way: Way::Up,
                key,
                by: 1,
                initial: 1,
                lifetime: 0,
            },
            Kind::GetLasting => Request::GetLasting { key },
            Kind::Inspect => Request::Inspect { key },
            Kind::NoOp => Request::NoOp,
            Kind::Version => Request::Version,
            Kind::Stats => Request::Stats,
            Kind::Settings => Request::Settings,
            Kind::FlushAll => Request::FlushAll,
        }
    }
}

/// What follows the last byte.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum End {
    Closed,
    Lost,
    Silence,
}

/// The source of `bytes`: it gives them in pieces of these sizes, again and again. Without sizes it
/// gives as much as there is room for.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: &'a [u8],
    turn: usize,
    given: usize,
    end: End,
}

impl Pieces<'_> {
    /// Gives the session one more piece. Returns an error if there is none.
    fn give(&mut self, session: &mut Session, value: &mut Vec<u8>) -> Result<(), Error> {
        let room = session.room(value);
        assert!(!room.is_empty(), "no room to receive into");
        let rest = &self.bytes[self.given..];
        let size = match self.sizes {
            [] => usize::MAX,
            sizes => usize::from(sizes[self.turn % sizes.len()]).max(1),
        };
        self.turn += 1;
        let size = size.min(room.len()).min(rest.len());
        room[..size].copy_from_slice(&rest[..size]);
        self.given += size;
        session.received(size, value);
        match (size, self.end) {
            (1.., _) => Ok(()),
            (0, End::Closed) => Err(session.closed()),
            (0, End::Lost) => {
                let reset = std::io::ErrorKind::ConnectionReset.into();
                Err(session.lost(Error::Down(Down::Lost(reset))))
            }
            (0, End::Silence) => Err(session.lost(Error::Timeout(Waiting::Receive))),
        }
    }
}

/// A result, in a form that can be compared.
#[derive(Debug, PartialEq)]
struct Outcome {
    reply: String,
    value: Option<Vec<u8>>,
}

/// Reads the next reply.
/// The longest value that is read: some announced lengths are within it, some are not.
const VALUE_LIMIT: u32 = 1 << 20;

fn session() -> Session {
    Session::new(VALUE_LIMIT).expect("memory")
}

fn read(session: &mut Session, source: &mut Pieces<'_>) -> Outcome {
    let mut value = b"old".to_vec();
    let reply = loop {
        if session.has_input() {
            match session.reply(&mut value) {
                Ok(None) => {}
                Ok(Some(reply)) => break Ok(reply),
                Err(error) => break Err(error),
            }
        }
        if let Err(error) = source.give(session, &mut value) {
            break Err(error);
        }
    };
    let has_value = matches!(
        reply,
        Ok(Reply::Item(_) | Reply::OneOf(..) | Reply::Lasting(..) | Reply::Inspected(..) | Reply::Text)
    );
    assert!(value.len() <= source.given.max(3), "more than has arrived");
    Outcome {
        reply: format!("{reply:?}"),
        value: has_value.then_some(value),
    }
}

/// Reads all replies until one fails. Returns true if the session can be used further.
fn read_all(kinds: &[Kind], session: &mut Session, source: &mut Pieces<'_>) -> (Vec<Outcome>, bool) {
    let keys = [&b"k"[..], b"l"].map(|key| WireKey::new(b"", key).expect("not empty"));
    let keys = [&keys[0], &keys[1]];
    for kind in kinds {
        session.request(&kind.request(&keys)).expect("memory");
    }
    session.note_sent(session.unsent().len());
    let mut outcomes = Vec::new();
    for _ in kinds {
        let before = session.is_idle();
        assert!(!before, "a reply is owed");
        let mut outcome = read(session, source);
        while outcome.reply.starts_with("Ok(OneOf") {
            outcomes.push(outcome);
            outcome = read(session, source);
        }
        let failed = outcome.reply.starts_with("Err");
        outcomes.push(outcome);
        let refused = ["TooLarge(ToStore", "NotANumber", "ServerError"];
        let last = outcomes.last().expect("just pushed");
        if failed && !refused.iter().any(|word| last.reply.contains(&format!("Err({word}"))) {
            break;
        }
    }
    (outcomes, session.is_idle())
}

fn whole(kinds: &[Kind], bytes: &[u8], end: End) -> (Vec<Outcome>, bool) {
    let mut source = Pieces {
        bytes,
        sizes: &[],
        turn: 0,
        given: 0,
        end,
    };
    read_all(kinds, &mut session(), &mut source)
}

fuzz_target!(|exchange: Exchange<'_>| {
    let Exchange {
        first,
        mut others,
        end,
        pieces,
        bytes,
    } = exchange;
    others.truncate(7);
    let kinds = [&[first], &others[..]].concat();
    let mut session = session();
    let mut source = Pieces {
        bytes,
        sizes: &pieces,
        turn: 0,
        given: 0,
        end,
    };
    let (outcomes, idle) = read_all(&kinds, &mut session, &mut source);

    let received = &bytes[..source.given];
    assert_eq!(
        whole(&kinds, received, end),
        (outcomes, idle),
        "split made a difference"
    );
    if !idle {
        return;
    }
    assert!(received.ends_with(b"\r\n"));
    let (_, shorter) = whole(&kinds, &received[..received.len() - 1], end);
    assert!(!shorter, "idle before the end of the last reply");
    let longer = [received, b"\n"].concat();
    assert!(!whole(&kinds, &longer, end).1, "surplus not seen");

    let mut next = Pieces {
        bytes: b"VALUE k 1 1\r\nx\r\nEND\r\n",
        sizes: &pieces,
        turn: 0,
        given: 0,
        end,
    };
    let (next, idle) = read_all(&[Kind::Get], &mut session, &mut next);
    assert!(idle);
    assert_eq!(next[0].value.as_deref(), Some(&b"x"[..]), "the next reply");
});
