"""What two suites plant in the scripts: schedules of `stateful` and storms of `chaos` find it."""

from __future__ import annotations

STORES_WHAT_IS_NEW = """if #refused > 0 then
  for _, group in ipairs(groups) do
    for at = group.first, group.last, 3 do
      if redis.call('HSETNX', JOBS, ARGV[at], ARGV[at + 1]) == 1 then
        redis.call('ZADD', group.due, score_text(time), ARGV[at])
      end
    end
  end"""

TAKES_BY_ID = """for _, held in ipairs(redis.call('LRANGE', PROCESSING, 0, -1)) do
  for delivery in pairs(wanted) do
    if string.match(held, ':.*$') == string.match(delivery, ':.*$') and held ~= delivery then
      redis.call('LREM', PROCESSING, 1, held)
      redis.call('RPUSH', PROCESSING, delivery)
    end
  end
end
take_out(PROCESSING, wanted, outcome_count)"""
