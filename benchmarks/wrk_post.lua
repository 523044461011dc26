-- What wrk sends and prints at its end: the same bytes each time, so that no Lua runs per request, or with
-- OWN_HEADS an id with each request.
local body_file = assert(io.open(os.getenv("BODY_FILE"), "rb"))
wrk.method = "POST"
wrk.body = body_file:read("*a")
wrk.headers["Content-Type"] = "application/json"
body_file:close()

if os.getenv("OWN_HEADS") == "1" then
  local start, number = os.time() * 1000000, 0
  request = function()
    number = number + 1
    wrk.headers["X-Request-ID"] = string.format("%d", start + number)
    return wrk.format()
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\n{"requests": %d, "failed": %d, "duration_s": %.6f}\n', summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6))
end
