"""From tables to those who know callers and rules."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from priolb.config.admission import callers_of, function_of, needs_door, rules_of
from priolb.http.forwarding import Forwarding
from priolb.http.request import Request
from priolb.http.rules import NO_LANE
from support.configuration import settings_of
from support.heads import request_head

SECRET = sha256(b"secret").hexdigest()

FILE = f"""\
TRUSTED_PROXIES = "10.0.0.0/8"
TENANT_HEADER = "X-Tenant"

[[key]]
name = "builder"
sha256 = "{SECRET}"
allow = ["high-priority", "low-priority"]

[[network]]
cidr = "192.0.2.0/24"
allow = ["low-priority"]

[[rule]]
header = "X-Who"
value = "me"
path = "/a*"
http_method = "PUT"
key = "builder"
network = "192.0.2.0/24"
lane = "fast-track"

[[rule]]
rpc_method = ["eth_send*"]
lane = "high-priority"

[[rule]]
urgency = {{ 0 = "fast-track", 7 = "low-priority" }}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("RETRIES_MAX = 1", False),
        ("[[lane]]\nname = 'a'\n[[lane]]\nname = 'b'\n[[lane]]\nname = 'c'", False),
        ("TENANT_HEADER = 'X-Tenant'", False),
        ("LANE_ORDER = 'fair'", True),
        ("[[lane]]\nname = 'a'\n[[lane]]\nname = 'b'\norder = 'fair'\n[[lane]]\nname = 'c'", True),
        ("discipline = 'strict'", False),
        ("discipline = 'strict'\n[[lane]]\nname = 'a'", True),
        ("LANE_FUNCTION = 'a:b'", True),
        (f"[[key]]\nname = 'a'\nsha256 = '{SECRET}'", True),
        ("[[network]]\ncidr = '::/0'", True),
        ("[[rule]]\nlane = 'fast-track'", True),
    ],
)
def test_a_door_costs_only_those_who_need_it(text: str, expected: bool) -> None:
    assert needs_door(settings_of(text)) is expected


def test_callers_and_rules_are_those_of_the_file() -> None:
    settings = settings_of(FILE)
    callers, rules = callers_of(settings), rules_of(settings)
    peer = Forwarding("lb", "http", tells_client=True, trusted=settings.trusted_proxies).peer("10.0.0.1")

    def ask(start: str, *lines: str, body: bytes = b"") -> tuple[bytes, bytes, bytes, int, int]:
        head = request_head(start, "X-Forwarded-For: 192.0.2.7", *lines)
        caller = callers.caller_of(head, peer)
        request = Request(head, caller, body)
        wanted = rules.lane_of(request)
        lane = wanted if wanted == NO_LANE else caller.lane_for(wanted)
        return caller.key, caller.network, caller.tenant, request.rule, lane

    network = b"192.0.2.0/24"
    assert ask("PUT /ab HTTP/1.1", "X-Who: me", "X-API-Key: secret") == (
        b"builder", network, b"key builder", 0, 1,
    )  # fmt: skip
    assert ask("PUT /ab HTTP/1.1", "X-Who: me", "X-Tenant: t") == (b"", network, b"header t", -1, NO_LANE)
    assert ask("POST / HTTP/1.1", "X-API-Key: secret", body=b'{"method":"eth_sendX"}')[3:] == (1, 1)
    assert ask("POST / HTTP/1.1", "Priority: u=0")[3:] == (2, 2)
    assert ask("POST / HTTP/1.1", "Priority: u=1")[3:] == (-1, NO_LANE)


def test_a_function_is_asked_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def function_named(name: str, source: str) -> Callable[[object], str]:
        assert source == "LANE_FUNCTION"
        return {"a:b": lambda _: "high-priority"}[name]

    def report(mistake: str, count: int, request_id: bytes) -> None:
        raise AssertionError

    monkeypatch.setattr("priolb.config.admission.lane_function_of", function_named)
    assert function_of(settings_of(""), report) is None
    function = function_of(settings_of("LANE_FUNCTION = 'a:b'"), report)
    assert function is not None
    settings = settings_of("")
    peer = Forwarding("lb", "http", tells_client=True, trusted=()).peer("10.0.0.1")
    head = request_head()
    assert function.lane_of(Request(head, callers_of(settings).caller_of(head, peer), b"")) == 1


@pytest.mark.parametrize(
    ("networks", "lanes"),
    [
        ({}, None),
        ({"10.0.0.0/8": ["low-priority"]}, None),
        ({"0.0.0.0/0": []}, None),
        ({"0.0.0.0/0": ["high-priority", "low-priority"]}, (1, 1, 2)),
        ({"::/0": ["high-priority", "low-priority"], "0.0.0.0/0": []}, (1, 1, 2)),
        ({"::/0": ["high-priority", "low-priority"], "0.0.0.0/0": ["fast-track", "low-priority"]}, (2, 2, 2)),
        ({"::/0": ["high-priority"], "0.0.0.0/0": ["fast-track"]}, (2, 2, 2)),
    ],
)
def test_who_has_no_address_that_can_be_read_may_use_what_all_may(
    networks: dict[str, list[str]], lanes: tuple[int, ...] | None
) -> None:
    text = "".join(
        f"[[network]]\ncidr = '{cidr}'\n" + (f"allow = {allow}\n" if allow else "")
        for cidr, allow in networks.items()
    )
    callers = callers_of(settings_of("TRUSTED_PROXIES = '10.0.0.0/8'\n" + text))
    peer = Forwarding("lb", "http", tells_client=True, trusted=()).peer("")
    assert callers.caller_of(request_head(), peer).lanes == lanes
