-- The request route of kemi.cfg.

function ksr_request_route()
    -- The name is always the same text. Kamailio evaluates the $fU in it each time.
    local plan = KSR.pv.get("$mct(plan:$fU)")
    if plan == nil then
        plan = "gold"
        KSR.pv.sets("$mct(plan:$fU=>60)", plan)
    end

    -- The counter begins at 0, if there is none: with mode=1 nobody overwrites it.
    KSR.pv.seti("$mct(calls:$fU=>3600)", 0)
    KSR.pv.seti("$mcinc(calls:$fU)", 1)

    -- A key that Lua builds goes through a variable.
    KSR.pv.sets("$var(key)", "last:" .. string.lower(KSR.pv.gete("$rU")))
    KSR.pv.sets("$mct($var(key))", plan)
    KSR.pv.unset("$mct($var(key))")

    KSR.sl.send_reply(200, "plan " .. plan .. ", calls " .. KSR.pv.gete("$mct(calls:$fU)"))
end

-- Called when a server has gone down or is back; `name` is the event's name.
function on_cache_event(name)
    local server, state = KSR.pv.get("$mcev(server)"), KSR.pv.get("$mcev(state)")
    KSR.warn(name .. ": " .. server .. " is " .. state .. "\n")
end
