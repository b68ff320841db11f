//! Commands about servers.

use std::ffi::CString;

use super::call::{Arguments, Call, RpcFault, Structure};
use crate::admin::Selection;
use crate::admin::servers::{self, About, Listed};
use crate::cache::Cache;

pub(super) fn list(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let (pool, server) = (arguments.text()?, arguments.text()?);
    let selection = Selection {
        pool: pool.as_deref(),
        server: server.as_deref(),
    };
    for server in servers::list(cache, selection)? {
        show(&call.structure(), &server);
    }
    Ok(())
}

pub(super) fn ping(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    for pinged in servers::ping(cache, arguments.text()?.as_deref())? {
        let reply = call.structure();
        reply.text(c"pool", &pinged.pool);
        reply.text(c"server", &pinged.server);
        reply.text(c"answer", pinged.answer);
        reply.text(c"reason", &pinged.reason);
    }
    Ok(())
}

pub(super) fn set_state(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let state = servers::state(&arguments.text()?.unwrap_or_default())?;
    let server = arguments.text()?.unwrap_or_default();
    for server in servers::set_state(cache, state, &server)? {
        show(&call.structure(), &server);
    }
    Ok(())
}

pub(super) fn server_stats(
    call: &Call,
    cache: &mut Cache,
    mut arguments: Arguments,
) -> Result<(), RpcFault> {
    let server = arguments.text()?.unwrap_or_default();
    let about = About::named(arguments.text()?.as_deref())?;
    let told = servers::tell(cache, &server, about)?;
    let reply = call.structure();
    for (name, value) in told {
        // It was escaped, so it has no NUL.
        reply.text(&CString::new(name).unwrap_or_default(), &value);
    }
    Ok(())
}

/// Adds a server to the reply.
fn show(reply: &Structure<'_>, server: &Listed) {
    reply.text(c"pool", &server.pool);
    reply.text(c"address", &server.address);
    reply.text(c"alias", &server.alias);
    reply.number(c"weight", server.weight.into());
    reply.text(c"state", server.state);
    reply.text(c"since", &server.since.to_string());
    reply.text(c"returned", &server.returned);
    reply.text(c"reason", server.reason);
    reply.text(c"why", &server.why);
    reply.text(c"last_probe", &server.last_probe);
    reply.text(c"resolved", &server.resolved);
    reply.number(c"latency_p50_us", server.latency.p50);
    reply.number(c"latency_p99_us", server.latency.p99);
    reply.number(c"latency_max_us", server.latency.max);
    reply.number(c"in_flight", server.in_flight);
    reply.text(c"operations", &server.operations.to_string());
    reply.text(c"failures", &server.failures.to_string());
    reply.text(c"version", &server.version);
    reply.text(c"protocol", server.protocol);
    reply.text(c"tls", server.tls);
    reply.number(c"replicas", server.replicas as u32);
}
