//! The reply parser on arbitrary bytes: any request, any split, any end.
//!
//! What must hold: it never panics; a value is made of bytes that arrived; how they were split
//! changes nothing; a connection counts as in step only when exactly one whole reply was
//! received; and whatever happened, the next reply is read properly.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz reply -- -dict=tests/fuzz/reply.dict -max_len=6000`

#![no_main]

use arbitrary::Arbitrary;
use kamailio_memcached::internals::{Down, Error, Input, Reply, Request, Source, Store, Waiting, Way, WireKey, read_reply};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Exchange<'a> {
    request: Kind,
    end: End,
    pieces: Vec<u8>,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    Get,
    Set,
    Add,
    Delete,
    Touch,
    Count,
}

impl Kind {
    fn request(self, key: &WireKey) -> Request<'_> {
        let store = |store| Request::Store {
            store,
            key,
            flags: 1,
            lifetime: 0,
            value: b"v",
        };
        match self {
            Kind::Get => Request::Get { key },
            Kind::Set => store(Store::Set),
            Kind::Add => store(Store::Add),
            Kind::Delete => Request::Delete { key },
            Kind::Touch => Request::Touch { key, lifetime: 60 },
            Kind::Count => Request::Count {
                way: Way::Up,
                key,
                by: 1,
            },
        }
    }
}

/// What comes after the last byte.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum End {
    Closed,
    Lost,
    Silence,
}

/// Gives `bytes` out in pieces of the given sizes, again and again; with no sizes, as much at a
/// time as is asked for.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: &'a [u8],
    turn: usize,
    given: usize,
    end: End,
}

impl Source for Pieces<'_> {
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        assert!(!into.is_empty(), "no room to receive into");
        let rest = &self.bytes[self.given..];
        if rest.is_empty() {
            return match self.end {
                End::Closed => Ok(0),
                End::Lost => Err(Error::Down(Down::Lost(
                    std::io::ErrorKind::ConnectionReset.into(),
                ))),
                End::Silence => Err(Error::Timeout(Waiting::Receive)),
            };
        }
        let size = match self.sizes {
            [] => usize::MAX,
            sizes => usize::from(sizes[self.turn % sizes.len()]).max(1),
        };
        self.turn += 1;
        let size = size.min(into.len()).min(rest.len());
        into[..size].copy_from_slice(&rest[..size]);
        self.given += size;
        Ok(size)
    }
}

/// What came of it, in words that can be compared.
#[derive(Debug, PartialEq)]
struct Outcome {
    reply: String,
    value: Option<Vec<u8>>,
    in_step: bool,
}

fn read(kind: Kind, input: &mut Input, source: &mut Pieces<'_>) -> Outcome {
    let key = WireKey::new(b"", b"k").expect("not empty");
    let mut value = b"old".to_vec();
    let reply = read_reply(&kind.request(&key), input, source, &mut value);
    let has_value = matches!(reply, Ok(Reply::Value { .. }));
    assert!(value.len() <= source.given.max(3), "more than has arrived");
    Outcome {
        in_step: reply.as_ref().map_or_else(Error::in_step, |_| true),
        reply: format!("{reply:?}"),
        value: has_value.then_some(value),
    }
}

fn whole(kind: Kind, bytes: &[u8], end: End) -> Outcome {
    let mut source = Pieces {
        bytes,
        sizes: &[],
        turn: 0,
        given: 0,
        end,
    };
    read(kind, &mut Input::new(), &mut source)
}

fuzz_target!(|exchange: Exchange<'_>| {
    let Exchange {
        request,
        end,
        pieces,
        bytes,
    } = exchange;
    let mut input = Input::new();
    let mut source = Pieces {
        bytes,
        sizes: &pieces,
        turn: 0,
        given: 0,
        end,
    };
    let outcome = read(request, &mut input, &mut source);

    let received = &bytes[..source.given];
    assert_eq!(
        whole(request, received, end),
        outcome,
        "split made a difference"
    );
    if outcome.in_step {
        assert!(received.ends_with(b"\r\n"));
        let shorter = whole(request, &received[..received.len() - 1], end);
        assert!(!shorter.in_step, "in step before the end of the reply");
        let longer = [received, b"\n"].concat();
        assert!(!whole(request, &longer, end).in_step, "surplus not seen");
    }

    let mut next = Pieces {
        bytes: b"VALUE k 1 1\r\nx\r\nEND\r\n",
        sizes: &pieces,
        turn: 0,
        given: 0,
        end,
    };
    let next = read(Kind::Get, &mut input, &mut next);
    assert_eq!(next.value.as_deref(), Some(&b"x"[..]), "the next reply");
});
