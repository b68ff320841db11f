// The request route of kemi.cfg in JavaScript; it does what kemi.lua does.

function ksr_request_route() {
    // Keys are data: they may hold whatever a caller sends.
    var caller = KSR.pv.gete("$fU");
    var plan = KSR.memcached.get("plan:" + caller);
    if (plan == null) {
        plan = "gold";
        KSR.memcached.setxs("plan:" + caller, plan, 60);
    }

    // The calls of this hour: the first one stores 1 for an hour, all others add 1.
    var calls = "not counted";
    if (KSR.memcached.incx("calls:" + caller, 1, 1, 3600) == 1) {
        calls = KSR.memcached.value();
    }

    // Of all calls to this user, on all nodes, one at a time gets here, for five seconds. A call that takes
    // longer is not alone any more, and its `delete` ends the lock of another call: see lock.cfg.
    var lock = "lock:" + KSR.pv.gete("$rU").toLowerCase();
    if (KSR.memcached.addxs(lock, "taken", 5) == 1) {
        KSR.memcached.delete(lock);
    }

    KSR.sl.send_reply(200, "plan " + plan + ", calls " + calls);
}

// Called when a server has gone down or is back; `name` is the event's name.
function on_cache_event(name) {
    var server = KSR.pv.get("$mcev(server)"), state = KSR.pv.get("$mcev(state)");
    KSR.warn(name + ": " + server + " is " + state + "\n");
}
