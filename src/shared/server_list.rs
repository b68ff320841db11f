//! ServerList: a pool's list of servers, as text, in memory that all processes share.
//!
//! The list has a version, which is even. Any process may read the list and any may replace it; a
//! process that uses the list notices a new version at its next operation, which costs one load.
//! All bits zero = version 0, an empty list.
//!
//! Why readers are right: a writer makes the version odd before it touches the text, and even and
//! higher after it. A reader copies the text and then looks at the version again: if that is odd or
//! another one, the reader goes on with the list it has, so no process waits. Everything here is
//! an atomic, so reading while a process writes is no data race; two fences order the text between
//! the two looks at the version (the "seqlock" of Boehm, "Can seqlocks get along with programming
//! language memory models?", 2012).
//!
//! Why writers are right: a writer says which version its new list follows, and takes the list by
//! one compare-and-exchange from that version. So of several writers that have read the same
//! version exactly one succeeds, and the others learn that they have to read again. A process that
//! publishes what a file says reads the version first and the file then. If it succeeds, no list
//! was published in between, so it has read the file later than every process that has published
//! before: the file that was read last wins. [`Writer`] gives the list back when it is dropped,
//! after an error or a panic, too.
//!
//! A process that dies while it writes leaves the version odd: all processes keep the list they
//! have, and no process can publish another one. Kamailio itself ends when one of its
//! processes dies (`main.c`, `SIGCHLD`), and this memory with it.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};

use crate::server::{MAX_LIST, MAX_SERVERS};
use crate::sys;

/// The longest text of a list in bytes: the longest list, with the number of a slot before each server.
const MAX_LISTED: usize = MAX_LIST + MAX_SERVERS * "999 ".len();

/// The same with some room for lines about servers that have left the list.
const MAX_TEXT: usize = MAX_LISTED + 16 * 1024;

/// A list of servers as text, one a line, with its version.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct ServerList {
    version: AtomicU32,
    len: AtomicU32,
    text: [AtomicU8; MAX_TEXT],
}

/// A text that is short enough for a list.
#[derive(Debug)]
pub(crate) struct Text(String);

/// The right to replace a list, which one writer has at a time.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    list: &'a ServerList,
    /// The version that the list has once this is dropped.
    version: u32,
}

/// Why a list was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPublished {
    /// Its text is longer than [`MAX_LISTED`].
    TooLong,
    /// The list is not, or not any more, of the version that was to be replaced.
    Changed,
}

impl Display for NotPublished {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "the list is too long; accepted: up to {MAX_LISTED} bytes"
            ),
            Self::Changed => f.write_str("another process is changing the list; try again"),
        }
    }
}

impl Text {
    /// That text, if it fits.
    pub(crate) fn new(text: String) -> Result<Self, NotPublished> {
        match text.len() {
            ..=MAX_LISTED => Ok(Self(text)),
            _ => Err(NotPublished::TooLong),
        }
    }

    /// Adds a line about a server that has left the list, if there is room.
    pub(crate) fn add_left(&mut self, line: &str) {
        if self.0.len() + 1 + line.len() <= MAX_TEXT {
            self.0.push('\n');
            self.0 += line;
        }
    }
}

impl ServerList {
    /// The present version; odd while a process writes.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// The version and the text, or `None` while a process writes.
    pub(crate) fn read(&self) -> Option<(u32, String)> {
        let version = self.version.load(Ordering::Acquire);
        let text = self.copy();
        sys::preempt();
        fence(Ordering::Acquire);
        let whole = is_whole(version) && self.version.load(Ordering::Relaxed) == version;
        whole.then_some((version, String::from_utf8(text).ok()?))
    }

    /// Takes the list to replace that version.
    ///
    /// # Errors
    /// [`NotPublished::Changed`].
    pub(crate) fn begin_write(&self, version: u32) -> Result<Writer<'_>, NotPublished> {
        if !is_whole(version) {
            return Err(NotPublished::Changed);
        }
        let taken = self.version.compare_exchange(
            version,
            version.wrapping_add(1),
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        match taken {
            Ok(_) => Ok(Writer {
                list: self,
                version,
            }),
            Err(_) => Err(NotPublished::Changed),
        }
    }

    /// The bytes of the text as they are just now.
    fn copy(&self) -> Vec<u8> {
        let len = (self.len.load(Ordering::Relaxed) as usize).min(MAX_TEXT);
        let bytes = self.text[..len].iter();
        bytes.map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            version: AtomicU32::new(0),
            len: AtomicU32::new(0),
            text: [const { AtomicU8::new(0) }; MAX_TEXT],
        }
    }
}

fn is_whole(version: u32) -> bool {
    version.is_multiple_of(2)
}

impl Writer<'_> {
    /// The text that is to be replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.list.copy()).into_owned()
    }

    /// Replaces the text. Nothing in here can fail, so a text is never written by half.
    pub(crate) fn write(mut self, Text(text): &Text) {
        fence(Ordering::Release);
        for (to, from) in self.list.text.iter().zip(text.bytes()) {
            to.store(from, Ordering::Relaxed);
            sys::preempt();
        }
        self.list.len.store(text.len() as u32, Ordering::Relaxed);
        self.version = self.version.wrapping_add(2);
    }
}

impl Drop for Writer<'_> {
    /// Gives the list back, as it was unless a text was written.
    fn drop(&mut self) {
        self.list.version.store(self.version, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text::new(text.into()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_with_a_new_version() {
        let list = Box::new(ServerList::new());
        assert_eq!(list.read(), Some((0, String::new())));
        list.begin_write(0).unwrap().write(&text("a\nb"));
        assert_eq!(list.read(), Some((2, "a\nb".into())));
        assert_eq!(list.version(), 2);
    }

    #[test]
    fn a_text_that_does_not_fit_is_none() {
        assert!(Text::new("x".repeat(MAX_LISTED)).is_ok());
        let long = Text::new("x".repeat(MAX_LISTED + 1));
        assert_eq!(long.unwrap_err(), NotPublished::TooLong);
    }

    #[test]
    fn of_two_writers_from_one_version_one_succeeds() {
        let list = Box::new(ServerList::new());
        let first = list.begin_write(0).unwrap();
        let changed = NotPublished::Changed;
        assert_eq!(list.begin_write(0).unwrap_err(), changed, "it is taken");
        assert_eq!(list.begin_write(1).unwrap_err(), changed, "it is odd");
        assert_eq!(list.read(), None);
        first.write(&text("a"));
        assert_eq!(list.begin_write(0).unwrap_err(), changed, "it is old");
        assert_eq!(list.begin_write(1).unwrap_err(), changed);
        let second = list.begin_write(2).unwrap();
        assert_eq!(second.text(), "a");
        second.write(&text("b"));
        assert_eq!(list.read(), Some((4, "b".into())));
    }

    #[test]
    fn a_writer_that_writes_nothing_gives_the_list_back_unchanged() {
        let list = Box::new(ServerList::new());
        list.begin_write(0).unwrap().write(&text("a"));
        drop(list.begin_write(2).unwrap());
        assert_eq!(list.read(), Some((2, "a".into())));
        let panics = std::panic::AssertUnwindSafe(|| {
            let _writer = list.begin_write(2).unwrap();
            panic!("in the middle");
        });
        std::panic::catch_unwind(panics).unwrap_err();
        assert_eq!(list.read(), Some((2, "a".into())));
        assert!(list.begin_write(2).is_ok());
    }

    #[test]
    fn no_change_is_lost() {
        let (rounds, list) = (
            if cfg!(miri) { 5 } else { 500 },
            Box::new(ServerList::new()),
        );
        let add_one = || {
            let version = list.version();
            let writer = list.begin_write(version)?;
            let number: u32 = writer.text().parse().unwrap_or(0);
            writer.write(&text(&(number + 1).to_string()));
            Ok::<(), NotPublished>(())
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        while add_one().is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
        });
        let sum = 4 * rounds;
        assert_eq!(list.read(), Some((2 * sum, sum.to_string())));
    }

    #[test]
    fn readers_never_see_half_a_text() {
        let (rounds, size) = if cfg!(miri) { (20, 20) } else { (5000, 2000) };
        let list = Box::new(ServerList::new());
        let texts = ["a".repeat(size / 20), "b".repeat(size)];
        list.begin_write(0).unwrap().write(&text(&texts[0]));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for round in 0..rounds {
                        if let Ok(writer) = list.begin_write(list.version()) {
                            writer.write(&text(&texts[round % 2]));
                        }
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..rounds {
                    if let Some((_, text)) = list.read() {
                        assert!(texts.contains(&text), "{text}");
                    }
                }
            });
        });
        assert!(is_whole(list.version()));
    }
}
