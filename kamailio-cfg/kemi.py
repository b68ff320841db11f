# The request route of kemi.cfg in Python; it does what kemi.lua does.

import KSR as KSR


def mod_init():
    return Script()


class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        # Keys are data: they may hold whatever a caller sends.
        caller = KSR.pv.gete("$fU")
        plan = KSR.memcached.get("plan:" + caller)
        if plan is None:
            plan = "gold"
            KSR.memcached.setxs("plan:" + caller, plan, 60)

        # The calls of this hour: the first one stores 1 for an hour, all others add 1.
        calls = "not counted"
        if KSR.memcached.incx("calls:" + caller, 1, 1, 3600) == 1:
            calls = KSR.memcached.value()

        # Of all calls to this user, on all nodes, one at a time gets here, for five seconds. A call that takes
        # longer is not alone any more, and its `delete` ends the lock of another call: see lock.cfg.
        lock = "lock:" + KSR.pv.gete("$rU").lower()
        if KSR.memcached.addxs(lock, "taken", 5) == 1:
            KSR.memcached.delete(lock)

        KSR.sl.send_reply(200, "plan {}, calls {}".format(plan, calls))
        return 1

    # Called when a server has gone down or is back; `name` is the event's name.
    def on_cache_event(self, msg, name):
        server, state = KSR.pv.get("$mcev(server)"), KSR.pv.get("$mcev(state)")
        KSR.warn("{}: {} is {}\n".format(name, server, state))
        return 1
