-- Script for wrk: sends the requests of a file in turn, prints one JSON object at the end.
-- A line of the file is METHOD<tab>PATH, and for a request with a body <tab>CONTENT-TYPE<tab>BODY.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  prepared = {}
  for line in io.lines(args[1]) do
    local method, path, kind, body = line:match("^(%S+)\t(%S+)\t?([^\t]*)\t?(.*)$")
    local headers = {}
    if kind ~= "" then headers["Content-Type"] = kind end
    table.insert(prepared, wrk.format(method, path, headers, body ~= "" and body or nil))
  end
  -- Threads begin at different places, so that they do not ask for the same together.
  at = number * 7919 % #prepared
end

function request()
  at = at % #prepared + 1
  return prepared[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
