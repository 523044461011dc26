"""Limits of callers, over sockets. Rates are per hour here, so that no time passes that would matter."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.scrape import scrape
from support.scripted_node import ScriptedNode, always
from support.wire import Answer, Client, post, request

MB = 1024 * 1024
TWO_AN_HOUR = '[[limit]]\nname = "api"\nrate = 2\nper = 3600\n'
CALL = b'{"jsonrpc":"2.0","id":7,"method":"eth_call"}'

Start = Callable[..., Balancer]


@pytest.fixture
def node(new_node: NewNode) -> ScriptedNode:
    """The one node of the balancer, which answers at once."""
    return new_node(always(200, b"{}"))


@pytest.fixture
def start(node: ScriptedNode, launch: Launch, tmp_path: Path) -> Start:
    """Return what starts a balancer with this configuration file."""

    def start_one(file: str, **settings: str) -> Balancer:
        path = tmp_path / "limits.toml"
        path.write_text(file)
        return launch("-config", str(path), "-nodes", node.uri, **settings)

    return start_one


def told(answer: Answer) -> tuple[int, str | None]:
    """Return status and what is told of the limits."""
    return answer.status, answer.field("RateLimit")


def asked_for(client: Client, *addresses: str) -> list[int]:
    """Return the statuses of requests that a proxy passes on for these addresses."""
    return [client.ask(post(CALL, f"X-Forwarded-For: {address}")).status for address in addresses]


def test_a_burst_passes_and_then_it_is_429_until_there_is_something_left(
    start: Start, connect: Connect, node: ScriptedNode
) -> None:
    client = connect(start(TWO_AN_HOUR))
    answers = [client.ask(post(CALL)) for _ in range(3)]
    assert [answer.field("RateLimit-Policy") for answer in answers] == ['"api";q=2;w=3600'] * 3
    assert [told(answer) for answer in answers[:2]] == [(200, '"api";r=1;t=1800'), (200, '"api";r=0;t=1800')]
    refused = answers[2]
    assert told(refused) == (429, '"api";r=0;t=1800')
    assert refused.field("Retry-After") == "1800"
    assert refused.field("Content-Type") == "application/json"
    assert json.loads(refused.body) == {
        "jsonrpc": "2.0",
        "id": 7,
        "error": {"code": -32005, "message": "rate limit exceeded: api, try again in 1800 s"},
    }
    assert refused.field("Connection") is None
    assert client.ask(request("GET", "/thing"), "GET").status == 429, "the connection stays"
    assert len(node.requests) == 2


def test_it_passes_again_when_its_time_has_come(start: Start, connect: Connect) -> None:
    client = connect(start('[[limit]]\nname = "api"\nrate = 5\nburst = 1\n'))
    began = time.monotonic()
    assert client.ask(post(CALL)).status == 200
    while client.ask(post(CALL)).status == 429:
        assert time.monotonic() < began + 10
        time.sleep(0.01)
    assert time.monotonic() >= began + 0.2


def test_what_is_no_json_rpc_gets_a_problem_that_names_the_policy(start: Start, connect: Connect) -> None:
    client = connect(start(TWO_AN_HOUR))
    answers = [client.ask(request("GET", "/thing"), "GET") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    problem = json.loads(answers[2].body)
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["violated-policies"] == ["api"]


def test_an_address_has_one_limit_over_all_of_its_connections(start: Start, connect: Connect) -> None:
    balancer = start(TWO_AN_HOUR)
    assert [connect(balancer).ask(post(CALL)).status for _ in range(3)] == [200, 200, 429]


def test_requests_for_the_balancer_itself_are_not_concerned(start: Start, connect: Connect) -> None:
    balancer = start(TWO_AN_HOUR)
    assert [connect(balancer).ask(post(CALL)).status for _ in range(3)] == [200, 200, 429]
    answer = balancer.ask("GET", "/nodes")
    assert (answer.status, answer.field("RateLimit")) == (200, None)


# Whose requests they are


def test_behind_a_trusted_proxy_it_is_the_client_that_counts(start: Start, connect: Connect) -> None:
    client = connect(start(TWO_AN_HOUR, TRUSTED_PROXIES="127.0.0.0/8"))
    addresses = ("192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.7", "192.0.2.8")
    assert asked_for(client, *addresses) == [200, 200, 200, 429, 200]


def test_behind_a_trusted_proxy_64_bits_of_ipv6_are_one_client(start: Start, connect: Connect) -> None:
    client = connect(start(TWO_AN_HOUR, TRUSTED_PROXIES="127.0.0.0/8"))
    addresses = (
        "2001:db8::1",
        "2001:db8::ffff:2",
        "2001:db8:0:0:1::3",
        "2001:db8:0:1::1",
        "::ffff:192.0.2.7",
    )
    assert asked_for(client, *addresses) == [200, 200, 429, 200, 200]


def test_what_a_client_makes_up_before_the_proxy_counts_for_nothing(start: Start, connect: Connect) -> None:
    """The proxy adds its client to whatever that has sent: the last address is the one to be believed."""
    client = connect(start(TWO_AN_HOUR, TRUSTED_PROXIES="127.0.0.0/8"))
    assert asked_for(client, *[f"10.0.0.{number}, 192.0.2.7" for number in range(3)]) == [200, 200, 429]


def test_without_a_trusted_proxy_it_is_the_peer_that_counts(start: Start, connect: Connect) -> None:
    client = connect(start(TWO_AN_HOUR))
    assert asked_for(client, "192.0.2.7", "192.0.2.8", "192.0.2.9") == [200, 200, 429]


KEYS = "".join(
    f'[[key]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode() * 8).hexdigest()}"\n' for name in "ab"
)


def test_each_key_has_its_limit_and_who_has_none_another(start: Start, connect: Connect) -> None:
    file = (
        f'{KEYS}[[limit]]\nname = "keys"\nby = "key"\nrate = 1\nper = 3600\n'
        '[[limit]]\nname = "strangers"\nby = "anonymous"\nrate = 1\nper = 3600\n'
    )
    client = connect(start(file))

    def ask(*fields: str) -> tuple[int, str | None]:
        return told(client.ask(post(CALL, *fields)))

    assert [ask("X-API-Key: aaaaaaaa") for _ in range(2)] == [
        (200, '"keys";r=0;t=3600'),
        (429, '"keys";r=0;t=3600'),
    ]
    assert ask("Authorization: Bearer bbbbbbbb") == (200, '"keys";r=0;t=3600')
    assert [ask("X-API-Key: nobody's") for _ in range(2)] == [
        (200, '"strangers";r=0;t=3600'),
        (429, '"strangers";r=0;t=3600'),
    ]


def test_a_lane_may_have_a_limit_for_all_together(start: Start, connect: Connect) -> None:
    balancer = start('[[limit]]\nname = "slow"\nby = "lane"\nonly = ["low-priority"]\nrate = 1\nper = 3600\n')
    low = [connect(balancer).ask(post(CALL)) for _ in range(2)]
    assert [told(answer) for answer in low] == [(200, None), (429, None)]
    assert low[1].field("Retry-After") == "3600"
    fast = [connect(balancer).ask(post(CALL, "X-Fast-Track: true")).status for _ in range(2)]
    assert fast == [200, 200]


# What they count for


def test_a_request_counts_for_what_its_methods_cost(start: Start, connect: Connect) -> None:
    client = connect(
        start(
            '[[limit]]\nname = "api"\nrate = 10\nper = 3600\n'
            'cost = { eth_call = 4, "debug_*" = 10, net_version = 0, GET = 2 }\n'
        )
    )

    def left(body: bytes) -> tuple[int, str]:
        status, field = told(client.ask(post(body)))
        assert field is not None
        return status, field.split(";")[1]

    assert left(CALL) == (200, "r=6")
    assert left(b'{"method":"debug_traceCall","id":1}') == (429, "r=6")
    assert left(b'[{"method":"net_version","id":1},{"method":"eth_call","id":2},{"method":"x"}]') == (
        200,
        "r=1",
    )
    assert told(client.ask(request("GET", "/thing"), "GET"))[0] == 429
    assert left(b'{"method":"net_version","id":1}') == (200, "r=1")
    assert left(b"no JSON") == (200, "r=0")


def test_a_batch_that_costs_more_than_is_ever_allowed_is_not_asked_to_come_back(
    start: Start, connect: Connect
) -> None:
    client = connect(start('[[limit]]\nname = "api"\nrate = 3\nper = 3600\ncost = { "*" = 1 }\n'))
    batch = b"[" + b",".join([b'{"method":"a","id":1}'] * 4) + b"]"
    answer = client.ask(post(batch))
    assert (told(answer), answer.field("Retry-After")) == ((429, '"api";r=3;t=1200'), None)
    message = json.loads(answer.body)[0]["error"]["message"]
    assert message == "rate limit exceeded: api, a single request may not cost that much"


# At a time


def test_so_many_at_a_time_whatever_becomes_of_them(
    launch: Launch, new_node: NewNode, connect: Connect, tmp_path: Path
) -> None:
    node = new_node()
    path = tmp_path / "limits.toml"
    path.write_text('[[limit]]\nname = "slots"\nconcurrent = 1\n')
    balancer = launch("-config", str(path), "-nodes", node.uri)
    first, second = connect(balancer), connect(balancer)
    first.send(post(CALL, "X-Request-ID: first"))
    call = node.next_call()
    refused = second.ask(post(CALL))
    assert told(refused) == (429, '"slots";r=0')
    assert refused.field("RateLimit-Policy") == '"slots";q=1;qu="concurrent-requests"'
    assert refused.field("Retry-After") == "1"
    call.answer()
    assert told(first.receive()) == (200, '"slots";r=0')
    second.send(post(CALL, "X-Request-ID: second"))
    node.next_call()
    second.close()
    balancer.wait_for("Client closed the connection prematurely", reqID="second")
    first.send(post(CALL))
    node.next_call().answer()
    assert first.receive().status == 200


# Before the body


def test_who_has_nothing_left_is_not_asked_for_the_body(
    start: Start, connect: Connect, node: ScriptedNode
) -> None:
    balancer = start(TWO_AN_HOUR)
    assert [connect(balancer).ask(post(CALL)).status for _ in range(2)] == [200, 200]
    client = connect(balancer)
    answer = client.ask(request("POST", "/", b"", "Content-Length: 50", "Expect: 100-continue"))
    assert (told(answer), answer.field("Connection")) == ((429, '"api";r=0;t=1800'), "close")
    assert client.is_ended()
    assert len(node.requests) == 2


def test_a_body_is_not_waited_for_when_nothing_is_left(start: Start, connect: Connect) -> None:
    balancer = start(TWO_AN_HOUR)
    assert [connect(balancer).ask(post(CALL)).status for _ in range(2)] == [200, 200]
    client = connect(balancer)
    client.send(request("PUT", "/up", b"", f"Content-Length: {8 * MB}"))
    client.send(bytes(100_000))
    answer = client.receive("PUT")
    assert (answer.status, answer.field("Connection")) == (429, "close")


def test_a_body_that_passes_through_counts_once(start: Start, connect: Connect, node: ScriptedNode) -> None:
    client = connect(start(TWO_AN_HOUR))
    answer = client.ask(request("PUT", "/up", bytes(2 * MB)), "PUT")
    assert told(answer) == (200, '"api";r=1;t=1800')
    assert len(node.requests) == 1


# For operators


def test_a_dry_run_lets_all_pass_and_logs_whom_it_would_have_hit(start: Start, connect: Connect) -> None:
    balancer = start(TWO_AN_HOUR + "dry_run = true\n")
    client = connect(balancer)
    assert [told(client.ask(post(CALL))) for _ in range(5)] == [(200, None)] * 5
    line = balancer.wait_for("Requests over a limit")
    assert (line["limit"], line["refused"], line["last"], line["dryRun"]) == ("api", 3, "127.0.0.1", True)


def test_a_storm_has_a_line_each_second_and_none_for_each_request(start: Start, connect: Connect) -> None:
    balancer = start(TWO_AN_HOUR)
    client = connect(balancer)
    client.send(post(CALL) * 202)
    assert [client.receive().status for _ in range(202)] == [200] * 2 + [429] * 200
    balancer.wait_for("Requests over a limit", limit="api", dryRun=False)
    assert [line for line in balancer.lines if line["msg"] == "Request refused"] == []


def test_with_legacy_errors_a_limit_is_a_line_of_text(start: Start, connect: Connect) -> None:
    client = connect(start(TWO_AN_HOUR, LEGACY_ERRORS="1"))
    answer = [client.ask(post(CALL)) for _ in range(3)][2]
    assert (answer.status, answer.body) == (429, b"rate limit exceeded: api, try again in 1800 s\n")
    assert (answer.field("Retry-After"), answer.field("RateLimit")) == (None, None)


def test_mistakes_in_limits_are_told_with_their_lines_and_nothing_starts(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('[[limit]]\nname = "a"\n[[limit]]\nname = "a"\nrate = -1\n')
    done = run_program("-config", str(path), LISTEN_ADDR="127.0.0.1:0")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"prio-load-balancer: {path}:2: [[limit]] name: 'a' needs rate or concurrent",
        f"prio-load-balancer: {path}:5: [[limit]] rate: '-1' is out of range (1 to 1000000000)",
    ]


def test_metrics_count_what_passes_a_limit_and_what_does_not(start: Start, connect: Connect) -> None:
    balancer = start(TWO_AN_HOUR)
    client = connect(balancer)
    statuses = [client.ask(post(CALL)).status for _ in range(3)]
    series = scrape(balancer)
    assert statuses == [200, 200, 429]
    assert series["priolb_limit_requests_total", "api", "passed"] == 2
    assert series["priolb_limit_requests_total", "api", "refused"] == 1
