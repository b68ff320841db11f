//! From a line to the command that it names.

use super::items::{Items, Mode};
use super::session::{Expects, Step};
use super::words::Words;
use super::{VERSION, classic, meta};

/// Runs the command of a line, which has no newline. Storage commands then expect a value.
pub(super) fn run(line: &[u8], items: &mut Items) -> Step {
    // A line of nothing but `\r` keeps it.
    let stripped = line.strip_suffix(b"\r").filter(|line| !line.is_empty());
    let words = Words::of(stripped.unwrap_or(line));
    let list = &words.list[..];
    let count = list.len();
    let Some(&name) = list.first() else {
        return error();
    };
    match name {
        b"mg" => meta::get(list, items),
        b"ms" => meta::set(list, items),
        b"md" => meta::delete(list, items),
        b"ma" => meta::count(list, items),
        b"me" => meta::debug(list, items),
        b"mn" => Step::say("MN"),
        b"get" | b"bget" if count >= 2 => classic::get(words, false, items),
        b"gets" if count >= 2 => classic::get(words, true, items),
        b"gat" if count >= 2 => classic::get_and_touch(words, false, items),
        b"gats" if count >= 2 => classic::get_and_touch(words, true, items),
        b"set" if is_of(count, 5) => classic::store(list, Mode::Set, items),
        b"add" if is_of(count, 5) => classic::store(list, Mode::Add, items),
        b"replace" if is_of(count, 5) => classic::store(list, Mode::Replace, items),
        b"append" if is_of(count, 5) => classic::store(list, Mode::Append, items),
        b"prepend" if is_of(count, 5) => classic::store(list, Mode::Prepend, items),
        b"cas" if is_of(count, 6) => classic::store(list, Mode::Cas, items),
        b"incr" | b"decr" if is_of(count, 3) => classic::count(list, name == b"incr", items),
        b"touch" if is_of(count, 3) => classic::touch(list, items),
        b"delete" if (2..=4).contains(&count) => classic::delete(list, items),
        b"flush_all" if count <= 3 => classic::flush(list, items),
        b"verbosity" if is_of(count, 2) => classic::verbosity(list),
        b"version" => Step::say(format!("VERSION {VERSION}")),
        b"stats" if count == 1 => Step::reply(items.statistics()),
        b"shutdown" => Step::say("ERROR: shutdown not enabled"),
        b"quit" => Step::expect(Expects::End),
        _ if is_web(list) => Step::expect(Expects::End),
        _ => error(),
    }
}

fn error() -> Step {
    Step::say("ERROR")
}

/// True for a command of so many words, or one more: `noreply`.
fn is_of(count: usize, words: usize) -> bool {
    count == words || count == words + 1
}

/// True for the request of a web browser. Names that begin with some letters are not looked at.
fn is_web(list: &[&[u8]]) -> bool {
    let (first, last) = (list[0], list[list.len() - 1]);
    let known: &[&[u8]] = &[
        b"replace",
        b"prepend",
        b"bget",
        b"flush_all",
        b"version",
        b"quit",
        b"verbosity",
    ];
    let is_meta = first.len() == 2 && first[0] == b'm';
    let is_other = !is_meta && !b"gsacidt".contains(&first[0]) && !known.contains(&first);
    is_other && first.len() > 1 && last.starts_with(b"HTTP/")
}
