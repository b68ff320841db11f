-- The request route of kemi.cfg.

function ksr_request_route()
    -- Keys are data: they may hold whatever a caller sends.
    local caller = KSR.pv.gete("$fU")
    local plan = KSR.memcached.get("plan:" .. caller)
    if plan == nil then
        plan = "gold"
        KSR.memcached.setxs("plan:" .. caller, plan, 60)
    end

    -- The calls of this hour: the first one stores 1 for an hour, all others add 1.
    local calls = "not counted"
    if KSR.memcached.incx("calls:" .. caller, 1, 1, 3600) == 1 then
        calls = KSR.memcached.value()
    end

    -- Of all calls to this user, on all nodes, one at a time gets here, for five seconds. A call that takes
    -- longer is not alone any more, and its `delete` ends the lock of another call: see lock.cfg.
    local lock = "lock:" .. string.lower(KSR.pv.gete("$rU"))
    if KSR.memcached.addxs(lock, "taken", 5) == 1 then
        KSR.memcached.delete(lock)
    end

    KSR.sl.send_reply(200, "plan " .. plan .. ", calls " .. calls)
end

-- Called when a server has gone down or is back; `name` is the event's name.
function on_cache_event(name)
    local server, state = KSR.pv.get("$mcev(server)"), KSR.pv.get("$mcev(state)")
    KSR.warn(name .. ": " .. server .. " is " .. state .. "\n")
end
