-- Makes a thing, reads it, deletes it and reads until it is gone, over and over; one connection a
-- thread, each with a thing of its own. Arguments: the path up to the thing's name, and the query.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init(args)
  path = args[1] .. number .. (args[2] or "")
  step = 1
  rounds = 0
  wrong = 0
end

local methods = { "PUT", "GET", "DELETE", "GET" }

function request()
  return wrk.format(methods[step], path, nil, "")
end

function response(status)
  if step == 4 then
    if status == 404 then
      rounds = rounds + 1
      step = 1
    elseif status ~= 200 then
      wrong = wrong + 1
    end
  elseif status >= 200 and status < 300 then
    step = step + 1
  else
    wrong = wrong + 1
    step = 1
  end
end

function done(summary)
  local all, failed = 0, 0
  for _, thread in ipairs(threads) do
    all = all + thread:get("rounds")
    failed = failed + thread:get("wrong")
  end
  io.write(string.format("Rounds: %d in %d us, wrong: %d\n", all, summary.duration, failed))
end
