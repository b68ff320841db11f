//! Commands about pools.

use super::call::{Arguments, Call, RpcFault};
use crate::admin::{near, pools};
use crate::cache::Cache;

pub(super) fn stats(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    for statistics in pools::statistics(cache, arguments.text()?.as_deref())? {
        let reply = call.structure();
        reply.text(c"pool", &statistics.pool);
        for (name, value) in statistics.values {
            // They are texts because hosts have no numbers of 64 bits.
            reply.text(name, &value.to_string());
        }
        reply.text(c"hit_ratio", &statistics.hit_ratio);
    }
    Ok(())
}

pub(super) fn reload(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    for pool in pools::reload(cache, arguments.text()?.as_deref())? {
        let reply = call.structure();
        reply.text(c"pool", &pool.name);
        reply.number(c"servers", pool.servers as u32);
    }
    Ok(())
}

pub(super) fn flush(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    for flushed in pools::flush(cache, &arguments.text()?.unwrap_or_default())? {
        let reply = call.structure();
        reply.text(c"pool", &flushed.pool);
        reply.text(c"server", &flushed.server);
        reply.text(c"answer", flushed.answer);
        reply.text(c"reason", &flushed.reason);
    }
    Ok(())
}

pub(super) fn near(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    for near in near::near(cache, arguments.text()?.as_deref())? {
        let reply = call.structure();
        reply.text(c"pool", &near.pool);
        reply.number(c"slots", near.slots as u32);
        reply.number(c"used", near.used as u32);
        // They are texts because hosts have no numbers of 64 bits.
        reply.text(c"hits", &near.hits.to_string());
        reply.text(c"misses", &near.misses.to_string());
        reply.text(c"memory", &near.memory.to_string());
    }
    Ok(())
}
