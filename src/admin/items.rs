//! Items: operators see where a key lies, read and write an item, remove it, and change its lifetime.

use super::{Cause, Refused, select};
use crate::cache::{Cache, Inspected, Key, Operand, Verb};
use crate::error::Refusal;
use crate::item::value::{Found, Value};
use crate::pool::Pool;
use crate::quoted::{as_text, escaped};
use crate::server::ServerSpec;
use crate::status::{Outcome, Status};
use crate::wire::protocol::Usage;

/// Where a key lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The name of the pool.
    pub pool: String,
    /// The key as it is sent.
    pub wire: String,
    /// The key's hash.
    pub hash: u32,
    /// The point of the ring, or the slot, that the hash belongs to.
    pub point: u32,
    /// The alias or address of the server that the key lies on.
    pub owner: String,
    /// The servers that stand in for the owner, in the order in which they are asked.
    pub failover: Vec<String>,
    /// The stand-in that is asked if the owner does not have it; empty if none is.
    pub miss_failover: String,
    /// The servers that keep it, the owner first, where each item is kept on several; else none.
    pub copies: Vec<String>,
    /// Where it lies in the pools from which it could come over, as `pool: server`.
    pub warm_from: Vec<String>,
}

/// Tells where `key` lies in the pool of that name, or in the default pool.
///
/// # Errors
/// No pool has that name, the key is empty, or no server is live.
pub(crate) fn hash(cache: &mut Cache, key: &[u8], pool: Option<&str>) -> Result<Placed, Refused> {
    let named = Named { key, pool }.key(cache)?;
    let miss_failover = cache.asked_after_miss(&named).unwrap_or_default();
    // There is at least one: every cache has a default pool.
    let pool = &select(cache.pools(), pool)?[0];
    let warm_from = sources(cache.pools(), pool, key);
    let wire = pool.placement().wire_key(key);
    let wire = wire.map_err(|refusal| Refused::because(refusal.to_string()))?;
    let no_server = || Refused {
        cause: Cause::Servers,
        reason: "all servers are out of service".into(),
    };
    let location = pool.locate(wire.as_bytes()).ok_or_else(no_server)?;
    let copies = match location.copies {
        1 => &[],
        copies => location.order.get(..copies).unwrap_or(&location.order),
    };
    let copies = copies.iter().map(|server| server.label()).collect();
    let mut order = location.order.into_iter().map(ServerSpec::label);
    Ok(Placed {
        pool: pool.settings().name.clone(),
        wire: wire.to_string(),
        hash: location.hash,
        point: location.point,
        owner: order.next().unwrap_or_default(),
        failover: order.collect(),
        miss_failover,
        copies,
        warm_from,
    })
}

/// Where `key` lies in the pools from which it could come over to `pool`.
fn sources(pools: &[Pool], pool: &Pool, key: &[u8]) -> Vec<String> {
    let source = |pool: &Pool| {
        let name = pool.settings().warm_from.as_ref()?;
        pools.iter().find(|it| it.settings().name == *name)
    };
    let sources = std::iter::successors(source(pool), |pool| source(pool));
    let owner = |pool: &Pool| {
        let wire = pool.placement().wire_key(key).ok()?;
        let order = pool.locate(wire.as_bytes())?.order;
        Some(order.first()?.label())
    };
    let none = || "all servers are out of service".to_owned();
    let place = |it: &Pool| {
        let owner = owner(it).unwrap_or_else(none);
        format!("{}: {owner}", it.settings().name)
    };
    sources.map(place).collect()
}

/// The item that a command is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    /// Its key, without the prefix of the pool.
    pub key: &'a [u8],
    /// Its pool; `None` = the default pool.
    pub pool: Option<&'a str>,
}

/// What a command about an item has come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// The name of the pool.
    pub pool: String,
    /// The key as it is sent.
    pub wire: String,
    /// What it came to.
    pub answer: Status,
}

/// An item for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// What a script reads: `integer`, `string` or `null`, or the word for why it reads nothing.
    pub kind: &'static str,
    /// The form in which it is read.
    pub form: &'static str,
    /// How its bytes are stored, and how many there are.
    pub stored: (String, usize),
    /// Its client flags.
    pub flags: u32,
    /// How many bytes its value has.
    pub size: usize,
    /// The seconds that are left of its lifetime, or `never`; empty if the server does not tell.
    pub expires_in: String,
    /// How many seconds ago it was used last; empty if the server does not tell.
    pub unused_for: String,
    /// Whether the value is shown escaped, because it is not text that can be shown as it is.
    pub is_escaped: bool,
    /// The value.
    pub value: String,
}

impl Shown {
    fn of(item: Inspected, value: &[u8]) -> Self {
        let used = |read: fn(Usage) -> String| item.usage.map_or_else(String::new, read);
        let text = as_text(value);
        Self {
            kind: match item.found {
                Ok(Found::Integer(_)) => "integer",
                Ok(Found::Text) => "string",
                Ok(Found::Null) => "null",
                Err(status) => status.word(),
            },
            form: item.form.name(),
            stored: (item.stored.to_string(), item.stored.size),
            flags: item.flags,
            size: value.len(),
            expires_in: used(|usage| match usage.left {
                Usage::FOR_EVER => "never".into(),
                seconds => seconds.to_string(),
            }),
            unused_for: used(|usage| usage.unused.to_string()),
            is_escaped: text.is_none(),
            value: text.map_or_else(|| escaped(value), str::to_owned),
        }
    }
}

/// Reads an item, and how it is used. That is no use of it where the server can tell.
///
/// # Errors
/// No pool has that name; what the operation ends with.
pub(crate) fn get(cache: &mut Cache, item: Named<'_>) -> Result<(Done, Option<Shown>), Refused> {
    let key = item.key(cache)?;
    let mut value = Vec::new();
    let found = cache.inspect(&key, &mut value);
    let found = found.map_err(|error| Refused::of(&error))?;
    let answer = found.map_or(Status::Miss, |item| match item.found {
        Ok(_) => Status::Hit,
        Err(status) => status,
    });
    let shown = found.map(|item| Shown::of(item, &value));
    Ok((Done::of(cache, &key, answer), shown))
}

/// Stores an item, whatever is there. `expire` is its lifetime; `None` or empty = that of the pool.
///
/// # Errors
/// As [`get`].
pub(crate) fn set(
    cache: &mut Cache,
    item: Named<'_>,
    value: Value<'_>,
    expire: Option<&[u8]>,
) -> Result<Done, Refused> {
    let lifetime = expire.filter(|text| !text.is_empty());
    let lifetime = lifetime.map(|text| Some(Value::Text(text)));
    let operands: Vec<_> = [Some(value)].into_iter().chain(lifetime).collect();
    call(cache, Verb::Set, item, &operands)
}

/// Removes an item.
///
/// # Errors
/// As [`get`].
pub(crate) fn delete(cache: &mut Cache, item: Named<'_>) -> Result<Done, Refused> {
    call(cache, Verb::Delete, item, &[])
}

/// Changes the lifetime of an item.
///
/// # Errors
/// As [`get`].
pub(crate) fn touch(cache: &mut Cache, item: Named<'_>, expire: &[u8]) -> Result<Done, Refused> {
    call(cache, Verb::Touch, item, &[Some(Value::Text(expire))])
}

fn call(
    cache: &mut Cache,
    verb: Verb,
    item: Named<'_>,
    operands: &[Operand<'_>],
) -> Result<Done, Refused> {
    let key = item.key(cache)?;
    let answer = cache.waiting(|cache| cache.call(verb, &key, operands, &mut Vec::new()));
    let answer = answer.map_err(|error| Refused::of(&error))?;
    Ok(Done::of(cache, &key, answer.status()))
}

impl Named<'_> {
    fn key(&self, cache: &mut Cache) -> Result<Key, Refused> {
        cache.refresh();
        let name = &select(cache.pools(), self.pool)?[0].settings().name;
        let at = cache
            .pools()
            .iter()
            .position(|pool| pool.settings().name == *name);
        let key = cache.key(at.unwrap_or_default(), self.key, b"");
        key.map_err(|refusal: Refusal| Refused::because(refusal.to_string()))
    }
}

impl Done {
    fn of(cache: &Cache, key: &Key, answer: Status) -> Self {
        Self {
            pool: cache.pools()[key.pool()].settings().name.clone(),
            wire: key.wire().to_string(),
            answer,
        }
    }
}
