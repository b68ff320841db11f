//! Cache: the core's only front door.
//!
//! One method an operation; each makes a request, has the key's pool ask it, and says what it came
//! to. Outages, misses and refusals are answers here, never panics: the last [`Status`] tells which.

use std::fmt::Display;
use std::time::Instant;

use crate::config::Settings;
use crate::error::{Error, Refusal};
use crate::key::WireKey;
use crate::lifetime::Lifetime;
use crate::limiter::Limiter;
use crate::pool::Pool;
use crate::protocol::{MAX_VALUE, Reply, Request, Way};
use crate::status::Status;
use crate::value::{Found, MAX_DECIMAL, Numbers, Value, decode, operand};

/// The pools of this process.
#[derive(Debug)]
pub struct Cache {
    pool: Pool,
    numbers: Numbers,
    last: Option<Status>,
    refusals: Limiter,
}

/// A key that may be sent, with the lifetime it was written with.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    wire: WireKey,
    expire: Option<Lifetime>,
}

impl Cache {
    /// A cache whose integers are read as `numbers` says.
    pub fn new(settings: Settings, numbers: Numbers) -> Self {
        let numbers = if settings.stringify {
            Numbers::AsText
        } else {
            numbers
        };
        Self {
            pool: Pool::new(settings),
            numbers,
            last: None,
            refusals: Limiter::default(),
        }
    }

    /// What the last operation came to; `None` before the first.
    pub fn last(&self) -> Option<Status> {
        self.last
    }

    /// Makes the key to send out of a key's text; `expire` is the lifetime's text, empty =
    /// the pool's default.
    ///
    /// # Errors
    /// [`Refusal::EmptyKey`], [`Refusal::Lifetime`].
    pub fn key(&self, text: &[u8], expire: &[u8]) -> Result<Key, Refusal> {
        Ok(Key {
            wire: WireKey::new(b"", text)?,
            expire: Lifetime::parse(expire)?,
        })
    }

    /// Reads an item: `None` when it is not there or could not be read, else what it is; its text
    /// is then in `text`.
    pub fn get(&mut self, key: &Key, text: &mut Vec<u8>) -> Option<Found> {
        match self.ask(&Request::Get { key: &key.wire }, text) {
            Some(Reply::Value { flags }) => Some(decode(flags, text, self.numbers)),
            _ => None,
        }
    }

    /// Writes an item as the pool's `mode` says.
    pub fn store(&mut self, key: &Key, value: Value<'_>) {
        let mut room = [0; MAX_DECIMAL];
        let (flags, value) = value.encode(&mut room);
        if value.len() > MAX_VALUE {
            return self.refuse(format_args!("set of key '{}'", key.wire), Refusal::Value);
        }
        let settings = self.pool.settings();
        self.say(&Request::Store {
            store: settings.mode,
            key: &key.wire,
            flags,
            lifetime: key.expire.unwrap_or(settings.expire).on_wire(),
            value,
        });
    }

    /// Removes an item, or finds that it is not there.
    pub fn delete(&mut self, key: &Key) {
        self.say(&Request::Delete { key: &key.wire });
    }

    /// Changes an item's lifetime to `lifetime` seconds; the value never moves.
    pub fn touch(&mut self, key: &Key, lifetime: Value<'_>) {
        let Some(seconds) = operand(lifetime) else {
            return self.refuse(
                format_args!("touch of key '{}'", key.wire),
                Refusal::Operand,
            );
        };
        match Lifetime::new(seconds) {
            Ok(lifetime) => self.say(&Request::Touch {
                key: &key.wire,
                lifetime: lifetime.on_wire(),
            }),
            Err(refusal) => self.refuse(format_args!("touch of key '{}'", key.wire), refusal),
        }
    }

    /// Counts an item by `by`; a negative number reverses the way.
    pub fn count(&mut self, way: Way, key: &Key, by: Value<'_>) {
        let Some(by) = operand(by) else {
            return self.refuse(
                format_args!("count of key '{}'", key.wire),
                Refusal::Operand,
            );
        };
        let way = if by < 0 { way.reversed() } else { way };
        self.say(&Request::Count {
            way,
            key: &key.wire,
            by: by.unsigned_abs(),
        });
    }

    /// Notes that `what` was not done, and why.
    #[cold]
    pub fn refuse(&mut self, what: impl Display, refusal: Refusal) {
        self.last = Some(Status::Refused);
        self.note(what, &Error::Refused(refusal));
    }

    fn say(&mut self, request: &Request<'_>) {
        self.ask(request, &mut Vec::new());
    }

    fn ask(&mut self, request: &Request<'_>, value: &mut Vec<u8>) -> Option<Reply> {
        let reply = self.pool.ask(request, value);
        self.last = Some(reply.as_ref().map_or_else(Error::status, Reply::status));
        match &reply {
            Ok(Reply::Miss) => {
                log::debug!("{}: no item with key '{}'", request.verb(), request.key());
            }
            // What is the server's fault the pool has noted, once for all operations.
            Err(error) if !error.counts_against_server() => {
                self.note(
                    format_args!("{} of key '{}'", request.verb(), request.key()),
                    error,
                );
            }
            _ => {}
        }
        reply.ok()
    }

    fn note(&mut self, what: impl Display, error: &Error) {
        if let Some(left_out) = self.refusals.admit(Instant::now()) {
            log::error!("{what}: {}: {error}{left_out}", error.status());
        }
    }
}
