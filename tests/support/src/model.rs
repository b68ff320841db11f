//! A memcached without a process: [`Memcached`] answers as memcached 1.6.18 does, byte for byte.
//!
//! It is for tests in which one seed decides everything: it opens no connection and reads no clock.
//! It is told the time with each input. The tests of this package send the same commands to the real
//! one and compare the answers.
//!
//! It answers all commands about items, classic and meta, and authenticates in the text protocol.
//! In these points it decides what with the real one is left to chance:
//!
//! * Input may be cut anywhere. A line of more than 2048 bytes closes the connection, unless it begins
//!   with `get` or `gets`. (The real one takes such a line if all of it arrives at once.)
//! * Answers are sent at once, and all before the connection is closed. (The real one holds them back
//!   while a value is arriving. It drops those that it has not sent yet when it closes without `quit`,
//!   and when a key of `get` is too long.)
//! * Each request before the login is refused by itself. (The real one answers once to several that
//!   arrive together.)
//! * A counter that becomes shorter is padded with blanks. (The real one replaces it while an answer
//!   with its old value is still being sent, or one of its threads looks at it.)
//! * Expired and flushed items stay until they are asked for, and the LRU order is flat, as with
//!   `-o no_lru_maintainer,no_lru_crawler`. (Otherwise threads remove them at times of their own.)
//! * A number of 2^63 or more counts unless a minus is behind it in the value. (The real one looks for
//!   one also in what older items have left behind the value.)
//! * If memory is short, the seed chooses the item that is evicted. (The real one takes old ones of a
//!   similar size.)
//! * `stats` tells only what clients of this project read. Other commands for administration, and the
//!   binary protocol, are answered with `ERROR`.
//!
//! ```text
//! session     what has arrived of the next request
//! command     from a line to the command that it names
//! classic     get, set, incr and so on
//! meta        mg, ms, md, ma, me
//! upload      a value that is on its way, and the answer when it is there
//! items       the items: expiry, flush, versions, eviction
//! words       a line, cut into words
//! number      numbers in words and values
//! base64      keys of meta commands
//! ```

mod base64;
mod classic;
mod command;
mod items;
mod meta;
mod number;
mod session;
mod upload;
mod words;

use self::items::Items;
pub use self::session::ClientSession;

/// The version that is modelled.
pub const VERSION: &str = "1.6.18";

/// The longest key, in bytes.
const KEY_LIMIT: usize = 250;

/// How a [`Memcached`] is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// When it is started, in seconds of Unix time.
    pub started: u64,
    /// The largest item in bytes, with its key and 59 bytes or more around it: `-I`.
    pub item_size: usize,
    /// How many bytes all items may have, counted in the same way.
    pub memory: usize,
    /// Chooses the items that are evicted.
    pub seed: u64,
    /// User and password that clients must send first: `-Y`.
    pub credentials: Option<(Vec<u8>, Vec<u8>)>,
}

impl Default for Options {
    /// As memcached's own defaults; started at 1 000 000 000 seconds of Unix time.
    fn default() -> Self {
        Self {
            started: 1_000_000_000,
            item_size: 1 << 20,
            memory: 64 << 20,
            seed: 0,
            credentials: None,
        }
    }
}

/// What a server sends after an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The bytes to send.
    pub bytes: Vec<u8>,
    /// True if the server closes the connection after them.
    pub closes: bool,
}

/// A memcached: its items, and how it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memcached {
    options: Options,
    items: Items,
}

impl Memcached {
    /// Starts one. It has no items.
    pub fn new(options: Options) -> Self {
        let items = Items::new(&options);
        Self { options, items }
    }

    /// Starts it again `now`, in seconds of Unix time, without items. Its clients' sessions are over.
    pub fn restart(&mut self, now: u64) {
        self.options.started = now;
        self.items = Items::new(&self.options);
    }

    /// Takes bytes of a client `now`, in seconds of Unix time by the server's clock, and returns what
    /// the server sends. Time must not run backwards, nor be before the start.
    pub fn input(&mut self, session: &mut ClientSession, bytes: &[u8], now: u64) -> Output {
        self.items.set_time(now);
        session.take(bytes, &self.options, &mut self.items)
    }

    /// Evicts an item that the seed chooses, as if memory were short.
    pub fn evict(&mut self) {
        self.items.evict(None);
    }

    /// The number of its items. An expired item counts until a client asks for it.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True if it has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
