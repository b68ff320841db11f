-- A KEMI script reads what the native one has stored.
function popular(key)
    local value = KSR.memcached.get(key)
    if value and string.sub(value, 1, #key + 1) ~= key .. "|" then
        KSR.pv.seti("$var(wrong)", 1)
        KSR.err("wrong: " .. key .. " is " .. string.sub(value, 1, 200) .. " in Lua\n")
    end
end
