//! Refusal: a line that is no reply to the request. The server has refused it, or the line means nothing.

use super::{Kind, credentials};
use crate::error::{Denied, Error, TooLarge};

/// How much of a server's error text is kept.
const MAX_TEXT: usize = 120;

/// The error that an unexpected line means: a refusal by the server, or no reply to this request.
#[cold]
pub(super) fn refusal(kind: Kind, line: &[u8]) -> Error {
    if credentials::are_missing(line) {
        return Error::Denied(Denied::NoCredentials);
    }
    if let Some(text) = line.strip_prefix(b"SERVER_ERROR") {
        return if kind.has_value() && text == b" object too large for cache" {
            Error::TooLarge(TooLarge::ToStore)
        } else {
            Error::ServerError(printable(text))
        };
    }
    // What cannot be counted is told in many ways by many servers.
    if kind.counts() && line.starts_with(b"CLIENT_ERROR") {
        return Error::NotANumber;
    }
    let words = [&b"ERROR"[..], b"CLIENT_ERROR"];
    let is_word = |word: &&[u8]| matches!(line.strip_prefix(*word), Some([] | [b' ', ..]));
    match words.iter().any(is_word) {
        true => Error::Rejected(printable(line)),
        false => Error::Garbled("not a reply of memcached to this request"),
    }
}

pub(in crate::wire) fn printable(text: &[u8]) -> Box<str> {
    let text = text.trim_ascii();
    text[..text.len().min(MAX_TEXT)]
        .escape_ascii()
        .to_string()
        .into()
}
