//! The meta commands.

mod arithmetic;
mod delete;
mod flags;
mod get;
mod set;

pub(super) use self::arithmetic::count;
pub(super) use self::delete::delete;
pub(super) use self::get::get;
pub(super) use self::set::set;

use super::items::Items;
use super::session::Step;
use super::upload::key_token;
use super::{KEY_LIMIT, base64};

/// The longest opaque token, with its letter.
const OPAQUE_LIMIT: usize = 32;

/// More words than these are refused.
const WORD_LIMIT: usize = 19;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";
const OPAQUE_TOO_LONG: &str = "CLIENT_ERROR opaque token too long";
const BAD_FLAG: &str = "CLIENT_ERROR invalid or duplicate flag";

/// Refuses a line without a key, with one that is too long, or with too many words. `too_many` says
/// the last.
fn check(words: &[&[u8]], too_many: &'static str) -> Result<(), Step> {
    let refusal = match words {
        [] | [_] => "ERROR",
        [_, key, ..] if key.len() > KEY_LIMIT => BAD_FORMAT,
        _ if words.len() > WORD_LIMIT => too_many,
        _ => return Ok(()),
    };
    Err(Step::say(refusal))
}

/// Appends a token that is sent back as it came, or the key, if the flag asks for that.
fn reflect(line: &mut Vec<u8>, flag: &[u8], key: &[u8], binary: bool) -> Result<(), &'static str> {
    let token = match flag[0] {
        b'O' if flag.len() > OPAQUE_LIMIT => return Err(OPAQUE_TOO_LONG),
        b'O' => flag.to_vec(),
        b'k' => key_token(key, binary),
        _ => return Ok(()),
    };
    append(line, token);
    Ok(())
}

/// Appends a token.
fn append(line: &mut Vec<u8>, token: impl AsRef<[u8]>) {
    line.push(b' ');
    line.extend(token.as_ref());
}

/// `me`: a line about an item, for maintainers.
pub(super) fn debug(words: &[&[u8]], items: &mut Items) -> Step {
    let [_, key, flags @ ..] = words else {
        return Step::say(BAD_FORMAT);
    };
    if key.len() > KEY_LIMIT {
        return Step::say(BAD_FORMAT);
    }
    let decoded = match flags {
        [b"b", ..] => base64::decode(key),
        _ => Some(key.to_vec()),
    };
    let Some(key) = decoded else {
        return Step::say(BAD_FORMAT);
    };
    let Some(text) = items.describe(&key) else {
        return Step::say("EN");
    };
    let binary = items.held(&key).is_some_and(|item| item.binary_key);
    let key = if binary { base64::encode(&key) } else { key };
    Step::say([b"ME ", &key[..], b" ", text.as_bytes()].concat())
}
