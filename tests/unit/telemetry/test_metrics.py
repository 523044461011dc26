"""When metrics are read, and what they cost those who do not ask for them."""

import asyncio
import subprocess
import sys

from priolb.core.nodes.node import NodeState
from priolb.telemetry.exposition import parts_of
from priolb.telemetry.metric import Facts, Node
from priolb.telemetry.metrics import Metrics
from priolb.telemetry.pulse import Pulse
from priolb.telemetry.requests import RequestLog
from support.pipe_log import OpenLog
from support.tickets import new_queue


def test_each_page_tells_of_the_moment_at_which_it_was_asked_for(open_log: OpenLog) -> None:
    nodes: list[Node] = []
    queue, requests, pulse = new_queue(), RequestLog(open_log().logger), Pulse()
    metrics = Metrics(lambda: nodes, queue, requests, pulse)

    def page() -> str:
        return asyncio.run(metrics.page()).decode().partition("# HELP process_")[0]

    def expected() -> str:
        return b"".join(parts_of(Facts(nodes, queue, requests, pulse))).decode()

    empty = page()
    assert empty == expected()
    assert "http://a" not in empty
    nodes.append((NodeState(1, "http://a", 8), None))
    requests.refused(b"", 1, "deadline", 504, 7.5)
    page_now = page()
    assert page_now == expected()
    assert 'priolb_node_slots{node="http://a"} 8.0\n' in page_now
    assert 'priolb_refusals_total{lane="high-priority",reason="deadline"} 1.0\n' in page_now


def test_several_may_ask_at_once(open_log: OpenLog) -> None:
    metrics = Metrics(list, new_queue(), RequestLog(open_log().logger), Pulse())

    async def ask() -> list[bytes]:
        return await asyncio.gather(*(metrics.page() for _ in range(5)))

    assert {page.partition(b"# HELP process_")[0] for page in asyncio.run(ask())} == {
        asyncio.run(metrics.page()).partition(b"# HELP process_")[0]
    }


def test_a_program_that_nobody_asks_does_not_import_the_library() -> None:
    code = "import sys, priolb.app; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_requests_have_their_turn_while_a_long_page_is_written(open_log: OpenLog) -> None:
    """The parts of a page are as many turns of the loop at least."""
    nodes: list[Node] = [(NodeState(number, f"http://node-{number}", 8), None) for number in range(300)]
    facts = Facts(nodes, new_queue(), RequestLog(open_log().logger), Pulse())
    metrics = Metrics(lambda: nodes, facts.queue, facts.requests, facts.pulse)

    async def turns_of_a_page() -> int:
        turns = 0
        page = asyncio.ensure_future(metrics.page())
        while not page.done():
            await asyncio.sleep(0)
            turns += 1
        assert len(page.result()) > 0
        return turns

    assert asyncio.run(turns_of_a_page()) >= len(list(parts_of(facts)))
