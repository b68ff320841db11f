//! Commands about items.

use super::call::{Arguments, Call, Given, RpcFault, Structure};
use crate::admin::items::{self, Done, Named};
use crate::cache::Cache;
use crate::item::value::Value;

pub(super) fn hash(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let key = arguments.bytes().unwrap_or_default();
    let placed = items::hash(cache, &key, arguments.text()?.as_deref())?;
    let reply = call.structure();
    reply.text(c"pool", &placed.pool);
    reply.text(c"key", &placed.wire);
    // They are texts because kamcmd shows numbers from 2^31 on as negative ones.
    reply.text(c"hash", &placed.hash.to_string());
    reply.text(c"point", &placed.point.to_string());
    reply.text(c"owner", &placed.owner);
    reply.texts(c"failover", &placed.failover);
    if !placed.miss_failover.is_empty() {
        reply.text(c"miss_failover", &placed.miss_failover);
    }
    if !placed.copies.is_empty() {
        reply.texts(c"copies", &placed.copies);
    }
    if !placed.warm_from.is_empty() {
        reply.texts(c"warm_from", &placed.warm_from);
    }
    Ok(())
}

pub(super) fn get(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let key = arguments.bytes().unwrap_or_default();
    let pool = arguments.text()?;
    let (done, item) = items::get(cache, named(&key, pool.as_deref()))?;
    let reply = show(call, &done);
    if let Some(item) = item {
        reply.text(c"type", item.kind);
        reply.text(c"values", item.form);
        let (stored_as, stored_size) = &item.stored;
        reply.text(c"stored_as", stored_as);
        reply.text(c"stored_size", &stored_size.to_string());
        reply.text(c"flags", &item.flags.to_string());
        reply.text(c"size", &item.size.to_string());
        reply.text(c"expires_in", &item.expires_in);
        reply.text(c"unused_for", &item.unused_for);
        reply.text(c"escaped", if item.is_escaped { "yes" } else { "no" });
        reply.text(c"value", &item.value);
    }
    Ok(())
}

pub(super) fn set(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let key = arguments.bytes().unwrap_or_default();
    let given = arguments.given();
    let value = given.as_ref().map_or(Value::Text(b""), Given::value);
    let expire = arguments.bytes();
    let pool = arguments.text()?;
    let item = named(&key, pool.as_deref());
    show(call, &items::set(cache, item, value, expire.as_deref())?);
    Ok(())
}

pub(super) fn delete(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let key = arguments.bytes().unwrap_or_default();
    let pool = arguments.text()?;
    show(call, &items::delete(cache, named(&key, pool.as_deref()))?);
    Ok(())
}

pub(super) fn touch(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let key = arguments.bytes().unwrap_or_default();
    let expire = arguments.bytes().unwrap_or_default();
    let pool = arguments.text()?;
    let item = named(&key, pool.as_deref());
    show(call, &items::touch(cache, item, &expire)?);
    Ok(())
}

fn named<'a>(key: &'a [u8], pool: Option<&'a str>) -> Named<'a> {
    Named { key, pool }
}

/// Adds to the reply what a command has come to.
fn show<'a>(call: &'a Call, done: &Done) -> Structure<'a> {
    let reply = call.structure();
    reply.text(c"pool", &done.pool);
    reply.text(c"key", &done.wire);
    reply.text(c"answer", done.answer.word());
    reply
}
