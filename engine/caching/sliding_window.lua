-- A sliding-window log, equal to engine/rate_limit.py. KEYS[1]: the log of one key, entries of three doubles (first, last, cost).
-- ARGV: limit, seconds, cost, exact entries, whether to charge whatever is left ("1"), seconds that tests add to the clock.
-- Returns {allowed, remaining, seconds to wait as text}. The clock is Redis' own, so that all replicas share one.
local limit, seconds, cost, exact = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[6])
local raw = redis.call('GET', KEYS[1]) or ''
local entries, used, at = {}, 0, 1
while at <= #raw do
    local first, last, spent
    first, last, spent, at = struct.unpack('>ddd', raw, at)
    -- A clock that was put back must neither lock out nor forget: what lies in the future happened now.
    if last > now then first, last = math.min(first, now), now end
    if last > now - seconds then
        entries[#entries + 1] = {first, last, spent}
        used = used + spent
    end
end
local allowed = used + cost <= limit
local wait = 0
if not allowed then
    wait = seconds
    local left = used
    for _, entry in ipairs(entries) do
        left = left - entry[3]
        if left + cost <= limit then
            wait = math.max(0, entry[2] + seconds - now)
            break
        end
    end
end
if cost > 0 and (allowed or ARGV[5] == '1') then
    used = used + cost
    local newest = entries[#entries]
    if #entries >= exact and now - newest[1] < seconds / exact then
        newest[2], newest[3] = now, newest[3] + cost
    else
        entries[#entries + 1] = {now, now, cost}
    end
    local packed = {}
    for number, entry in ipairs(entries) do packed[number] = struct.pack('>ddd', entry[1], entry[2], entry[3]) end
    redis.call('SET', KEYS[1], table.concat(packed), 'PX', math.ceil(seconds * 1000))
end
return {allowed and 1 or 0, math.max(0, math.floor(limit - used)), string.format('%.6f', wait)}
