-- What wrk sends (the same bytes each time, so no Lua runs per request) and prints at its end.
local body_file = assert(io.open(os.getenv("BODY_FILE"), "rb"))
wrk.method = "POST"
wrk.body = body_file:read("*a")
wrk.headers["Content-Type"] = "application/json"
body_file:close()

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\n{"requests": %d, "failed": %d, "duration_s": %.6f}\n', summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6))
end
