//! The classic commands.

use super::KEY_LIMIT;
use super::items::{Counted, Item, Items, Mode, Offer, Step as By};
use super::number::{signed32, unsigned32, unsigned64};
use super::session::{Expects, Step};
use super::upload::{Dialect, Upload};
use super::words::Words;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";
const BAD_LIFETIME: &str = "CLIENT_ERROR invalid exptime argument";
pub(super) const NOT_A_NUMBER: &str =
    "CLIENT_ERROR cannot increment or decrement non-numeric value";
pub(super) const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";

/// `get` and `gets`.
pub(super) fn get(words: Words, with_cas: bool, items: &mut Items) -> Step {
    get_all(words, 1, with_cas, |key| items.read(key).cloned())
}

/// `gat` and `gats`.
pub(super) fn get_and_touch(words: Words, with_cas: bool, items: &mut Items) -> Step {
    let Some(lifetime) = signed32(words.list[1]) else {
        return Step::say(BAD_LIFETIME);
    };
    let expires = items.end_of(lifetime);
    get_all(words, 2, with_cas, |key| items.touch(key, expires).cloned())
}

/// Keys are from the word at `first` on.
fn get_all(
    words: Words,
    first: usize,
    with_cas: bool,
    mut read: impl FnMut(&[u8]) -> Option<Item>,
) -> Step {
    let mut reply = Vec::new();
    let mut keys = words.list[first..].to_vec();
    let mut rest = words.rest;
    loop {
        for key in keys {
            if key.len() > KEY_LIMIT {
                return Step::say(BAD_FORMAT);
            }
            let Some(item) = read(key) else {
                continue;
            };
            reply.extend([b"VALUE ", key].concat());
            reply.extend(format!(" {} {}", item.flags, item.value.len()).bytes());
            if with_cas {
                reply.extend(format!(" {}", item.cas).bytes());
            }
            reply.extend([b"\r\n", &item.value[..], b"\r\n"].concat());
        }
        let Some(more) = rest else {
            break;
        };
        let more = Words::of(more);
        (keys, rest) = (more.list, more.rest);
    }
    reply.extend(b"END\r\n");
    Step::reply(reply)
}

/// True if the client wants no answer, not even to a mistake.
fn is_quiet(words: &[&[u8]]) -> bool {
    words.last().is_some_and(|&word| word == b"noreply")
}

/// `set`, `add`, `replace`, `append`, `prepend`, `cas`.
pub(super) fn store(words: &[&[u8]], mode: Mode, items: &mut Items) -> Step {
    let quiet = is_quiet(words);
    let key = words[1];
    let refused = || Step::say(BAD_FORMAT).unless(quiet);
    if key.len() > KEY_LIMIT {
        return refused();
    }
    let numbers = (unsigned32(words[2]), signed32(words[3]), signed32(words[4]));
    let (Some(flags), Some(lifetime), Some(length)) = numbers else {
        return refused();
    };
    let cas = match mode {
        Mode::Cas => unsigned64(words[5]),
        _ => Some(0),
    };
    let Some(cas) = cas else {
        return refused();
    };
    let Some(length) = value_length(length) else {
        return refused();
    };
    if !items.is_size_ok(key, flags, length) {
        if mode == Mode::Set {
            items.remove(key);
        }
        let mut step = Step::say(TOO_LARGE).unless(quiet);
        step.next = Expects::Skipped(length + 2);
        return step;
    }
    let item = Item {
        flags,
        expires: items.end_of(lifetime),
        ..Item::default()
    };
    let upload = Upload {
        key: key.to_vec(),
        length,
        offer: Offer {
            mode,
            item,
            cas,
            may_be_stale: false,
        },
        dialect: Dialect::Classic { quiet },
    };
    Step::expect(Expects::Value(Box::new(upload)))
}

/// The length of a value in bytes, if one may be so long.
pub(super) fn value_length(length: i32) -> Option<usize> {
    let length = usize::try_from(length).ok()?;
    (length <= i32::MAX as usize - 2).then_some(length)
}

/// `incr` and `decr`.
pub(super) fn count(words: &[&[u8]], up: bool, items: &mut Items) -> Step {
    let (key, quiet) = (words[1], is_quiet(words));
    if key.len() > KEY_LIMIT {
        return Step::say(BAD_FORMAT).unless(quiet);
    }
    let Some(delta) = unsigned64(words[2]) else {
        return Step::say("CLIENT_ERROR invalid numeric delta argument").unless(quiet);
    };
    let by = if up { By::Up(delta) } else { By::Down(delta) };
    let step = match items.count(key, by, 0) {
        Counted::Number(number, _) => Step::say(number),
        Counted::NotFound => Step::say("NOT_FOUND"),
        Counted::NotANumber => Step::say(NOT_A_NUMBER),
        Counted::OtherVersion => unreachable!("no version was named"),
    };
    step.unless(quiet)
}

pub(super) fn touch(words: &[&[u8]], items: &mut Items) -> Step {
    let (key, quiet) = (words[1], is_quiet(words));
    if key.len() > KEY_LIMIT {
        return Step::say(BAD_FORMAT).unless(quiet);
    }
    let Some(lifetime) = signed32(words[2]) else {
        return Step::say(BAD_LIFETIME).unless(quiet);
    };
    let expires = items.end_of(lifetime);
    let touched = items.touch(key, expires).is_some();
    Step::say(if touched { "TOUCHED" } else { "NOT_FOUND" }).unless(quiet)
}

/// A 0 may be behind the key.
pub(super) fn delete(words: &[&[u8]], items: &mut Items) -> Step {
    let key = words[1];
    let quiet = words.len() > 2 && is_quiet(words);
    match words[2..] {
        [] | [b"0" | b"noreply"] | [b"0", b"noreply"] => {}
        _ => {
            let usage = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]";
            return Step::say(usage).unless(quiet);
        }
    }
    if key.len() > KEY_LIMIT {
        return Step::say(BAD_FORMAT).unless(quiet);
    }
    let found = items.get(key).is_some();
    items.remove(key);
    Step::say(if found { "DELETED" } else { "NOT_FOUND" }).unless(quiet)
}

pub(super) fn flush(words: &[&[u8]], items: &mut Items) -> Step {
    let quiet = is_quiet(words);
    let has_delay = words.len() > 1 + usize::from(quiet);
    let delay = if has_delay {
        signed32(words[1])
    } else {
        Some(0)
    };
    let Some(delay) = delay else {
        return Step::say(BAD_LIFETIME).unless(quiet);
    };
    items.flush(delay);
    Step::say("OK").unless(quiet)
}

/// It changes nothing here.
pub(super) fn verbosity(words: &[&[u8]]) -> Step {
    let level = unsigned32(words[1]);
    let answer = if level.is_some() { "OK" } else { BAD_FORMAT };
    Step::say(answer).unless(is_quiet(words))
}
