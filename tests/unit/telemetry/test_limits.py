"""What the log says of limits."""

import json

from priolb.core.limits.costs import Calls
from priolb.core.limits.limiter import BY_NETWORK, Limiter, LimitRule
from priolb.core.limits.rate_limits import RateLimit
from priolb.core.queueing.classify import LANE_NAMES
from priolb.telemetry.limits import LimitLog
from support.pipe_log import OpenLog
from support.senders import ASender


def rule(name: str, burst: int, is_dry: bool = False) -> LimitRule:
    return LimitRule(RateLimit(name, 1, 60, burst), BY_NETWORK, frozenset(), 32, 64, None, is_dry, b"")


def ask(limiter: Limiter, *addresses: str) -> None:
    for address in addresses:
        limiter.admit(ASender(address), 0, Calls((b"POST",)), 1.0)


def test_each_limit_that_has_refused_something_has_a_line(open_log: OpenLog) -> None:
    log = open_log()
    limiter = Limiter([rule("wide", 9), rule("api", 1), rule("dry", 1, is_dry=True)], LANE_NAMES)
    limit_log = LimitLog(limiter.rules, log.logger)
    limit_log.write()
    ask(limiter, *["192.0.2.7"] * 3, "2001:db8::1", "2001:db8::2")
    limit_log.write()
    limit_log.write()
    assert [{**json.loads(line), "ts": 0} for line in log.lines()] == [
        {
            "level": "warn",
            "ts": 0,
            "msg": "Requests over a limit",
            "limit": limit,
            "refused": 3,
            "last": "2001:db8::/64",
            "dryRun": is_dry,
        }
        for limit, is_dry in (("api", False), ("dry", True))
    ]


def test_only_what_is_new_is_told(open_log: OpenLog) -> None:
    log = open_log()
    limiter = Limiter([rule("api", 1)], LANE_NAMES)
    limit_log = LimitLog(limiter.rules, log.logger)
    ask(limiter, *["192.0.2.7"] * 4)
    limit_log.write()
    ask(limiter, "192.0.2.7", "192.0.2.8", "192.0.2.8")
    limit_log.write()
    lines = [json.loads(line) for line in log.lines()]
    assert [(line["refused"], line["last"]) for line in lines] == [(3, "192.0.2.7"), (2, "192.0.2.8")]
