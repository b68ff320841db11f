//! What holds for every exchange of requests and answers, whatever bytes arrive, in any pieces, with any end.
//!
//! The session must never panic. A value must consist of bytes that arrived. The result must not
//! depend on the pieces. Only if exactly the expected replies have arrived, the session may be
//! ready for the next request, and then it must read the next reply correctly.

use kamailio_memcached::internals::{Down, Error, Reply, Session, Waiting, WireKey};

#[path = "requests.rs"]
mod requests;

use requests::Kind;

/// What an input begins with: the requests and their end, the sizes of the pieces. Its rest are the bytes
/// that arrive.
struct Exchange<'a> {
    /// All of them are sent before the first reply has arrived.
    kinds: Vec<Kind>,
    end: End,
    pieces: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Exchange<'a> {
    fn new(input: &'a [u8]) -> Option<Self> {
        let (&[ends, count, sizes], rest) = input.split_first_chunk()?;
        let (kinds, rest) = rest.split_at_checked(usize::from(count % 8) + 1)?;
        let (pieces, bytes) = rest.split_at_checked(usize::from(sizes % 16))?;
        let kind = |byte: &u8| Kind::ALL[usize::from(*byte) % Kind::ALL.len()];
        Some(Self {
            kinds: kinds.iter().map(kind).collect(),
            end: [End::Closed, End::Lost, End::Silence][usize::from(ends) % 3],
            pieces,
            bytes,
        })
    }
}

/// What follows the last byte.
#[derive(Debug, Clone, Copy)]
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

/// The longest value that is read: some announced lengths are within it, some are not.
const VALUE_LIMIT: u32 = 1 << 20;

fn session() -> Session {
    Session::new(VALUE_LIMIT).expect("memory")
}

/// Reads the next reply.
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
        Ok(Reply::Item(_)
            | Reply::Versioned(..)
            | Reply::Leased(..)
            | Reply::OneOf(..)
            | Reply::Lasting(..)
            | Reply::Inspected(..)
            | Reply::Text)
    );
    assert!(value.len() <= source.given.max(3), "more than has arrived");
    Outcome {
        reply: format!("{reply:?}"),
        value: has_value.then_some(value),
    }
}

/// Reads all replies until one fails. Returns true if the session can be used further.
fn read_all(
    kinds: &[Kind],
    session: &mut Session,
    source: &mut Pieces<'_>,
) -> (Vec<Outcome>, bool) {
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
        if failed
            && !refused
                .iter()
                .any(|word| last.reply.contains(&format!("Err({word}")))
        {
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

/// Checks all rules for an input.
pub fn check(input: &[u8]) {
    let Some(Exchange {
        kinds,
        end,
        pieces,
        bytes,
    }) = Exchange::new(input)
    else {
        return;
    };
    let mut session = session();
    let mut source = Pieces {
        bytes,
        sizes: pieces,
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
        sizes: pieces,
        turn: 0,
        given: 0,
        end,
    };
    let (next, idle) = read_all(&[Kind::Get], &mut session, &mut next);
    assert!(idle);
    assert_eq!(next[0].value.as_deref(), Some(&b"x"[..]), "the next reply");
}
