"""The checks of one node: when they are made, and what is reported."""

import asyncio

import pytest

from priolb.core.nodes.node import NodeState
from priolb.errors import NodeError, UnaskedError, UnattestedError
from priolb.nodes.checks import Checks, Rhythm
from support.chance import Fixed
from support.pool_desk import turns
from support.raw_client import eventually


@pytest.mark.parametrize(
    ("interval_s", "is_well", "pauses_s"),
    [
        (5.0, True, (4.0, 5.0, 6.0)),
        (5.0, False, (0.8, 1.0, 1.2)),
        (0.5, True, (0.4, 0.5, 0.6)),
        (0.5, False, (0.4, 0.5, 0.6)),
        (0.0, False, (0.8, 1.0, 1.2)),
    ],
)
def test_pauses_vary_by_a_fifth_and_are_short_when_a_node_is_not_well(
    interval_s: float, is_well: bool, pauses_s: tuple[float, float, float]
) -> None:
    pauses = [Rhythm(interval_s, 5.0, Fixed(number)).pause_s(is_well) for number in (0.0, 0.5, 1.0)]
    assert pauses == pytest.approx(list(pauses_s))


def test_without_an_interval_a_node_that_is_well_is_checked_when_somebody_asks() -> None:
    assert Rhythm(0.0, 5.0, Fixed(0.5)).pause_s(is_well=True) is None


@pytest.mark.parametrize(
    ("interval_s", "pauses_s"),
    [(5.0, (4.0, 5.0, 6.0)), (0.5, (0.4, 0.5, 0.6)), (0.0, (4.0, 5.0, 6.0)), (60.0, (4.0, 5.0, 6.0))],
)
def test_a_node_that_has_not_proven_itself_is_asked_again_every_5_seconds_at_least(
    interval_s: float, pauses_s: tuple[float, float, float]
) -> None:
    pauses = [Rhythm(interval_s, 5.0, Fixed(number)).unattested_pause_s() for number in (0.0, 0.5, 1.0)]
    assert pauses == pytest.approx(list(pauses_s))


class Scripted:
    """Traffic whose checks end as told, and the pauses after them: None is that of an unproven node."""

    def __init__(self, *ends: NodeError | None) -> None:
        self.ends = list(ends)
        self.pauses: list[bool | None] = []
        self.is_impatient = True
        self.reports: list[tuple[str | None, bool]] = []
        self.timeouts: list[float] = []
        self.node = NodeState(1, "http://a", 8)
        self.never = asyncio.Event()
        self.failures: list[str] = []
        self.checks = Checks(self.node, self, _Noted(self), self.failures.append)

    async def probe(self, node: NodeState, timeout_s: float) -> None:
        assert node is self.node
        self.timeouts.append(timeout_s)
        if not self.ends:
            await self.never.wait()
        end = self.ends.pop(0)
        if end is not None:
            raise end

    def checked(self, node: NodeState, failure: str | None, is_late: bool) -> None:
        self.reports.append((failure, is_late))
        self.node.healthy = failure is None


class _Noted(Rhythm):
    """Pauses last a turn, or for ever when a node is well."""

    def __init__(self, traffic: Scripted) -> None:
        super().__init__(5.0, 3.0, Fixed(0.5))
        self._traffic = traffic

    def pause_s(self, is_well: bool) -> float | None:
        self._traffic.pauses.append(is_well)
        return None if is_well else 0.0

    def unattested_pause_s(self) -> float:
        self._traffic.pauses.append(None)
        return 0.0 if self._traffic.is_impatient else 60.0


def test_each_check_is_reported_and_followed_by_a_pause() -> None:
    async def main() -> None:
        traffic = Scripted(NodeError("refused"), NodeError("late", is_late=True), None)
        task = asyncio.create_task(traffic.checks.run(has_passed=False))
        await eventually(lambda: len(traffic.pauses) == 3)
        assert traffic.reports == [("refused", False), ("late", True), (None, False)]
        assert traffic.failures == ["refused", "late"]
        assert traffic.pauses == [False, False, True]
        assert traffic.timeouts == [3.0, 3.0, 3.0]
        task.cancel()

    asyncio.run(main())


def test_a_check_for_which_there_was_no_socket_says_nothing_and_is_made_again_soon() -> None:
    async def main() -> None:
        traffic = Scripted(UnaskedError("too many open files"), None)
        task = asyncio.create_task(traffic.checks.run(has_passed=False))
        await eventually(lambda: len(traffic.pauses) == 2)
        assert (traffic.reports, traffic.failures) == ([(None, False)], [])
        assert traffic.pauses == [False, True]
        task.cancel()

    asyncio.run(main())


def test_a_node_that_has_just_passed_is_not_asked_again_at_once() -> None:
    async def main() -> None:
        traffic = Scripted()
        task = asyncio.create_task(traffic.checks.run(has_passed=True))
        await turns()
        assert (traffic.timeouts, traffic.pauses) == ([], [True])
        task.cancel()

    asyncio.run(main())


def test_news_of_a_node_end_the_pause() -> None:
    async def main() -> None:
        traffic = Scripted(None, None)
        task = asyncio.create_task(traffic.checks.run(has_passed=True))
        await turns()
        traffic.checks.hurry()
        await eventually(lambda: len(traffic.reports) == 1)
        await turns()
        assert len(traffic.reports) == 1, "once"
        traffic.checks.hurry()
        await eventually(lambda: len(traffic.reports) == 2)
        task.cancel()

    asyncio.run(main())


def test_news_that_come_of_a_check_itself_do_not_make_another() -> None:
    async def main() -> None:
        class Echoing(Scripted):
            def checked(self, node: NodeState, failure: str | None, is_late: bool) -> None:
                super().checked(node, failure, is_late)
                self.checks.hurry()

        traffic = Echoing(None)
        task = asyncio.create_task(traffic.checks.run(has_passed=False))
        await turns(20)
        assert (len(traffic.reports), len(traffic.pauses), len(traffic.timeouts)) == (1, 1, 1)
        task.cancel()

    asyncio.run(main())


def test_a_node_that_passes_but_is_not_believed_yet_is_asked_again_soon() -> None:
    async def main() -> None:
        class Doubting(Scripted):
            def checked(self, node: NodeState, failure: str | None, is_late: bool) -> None:
                super().checked(node, failure, is_late)
                self.node.healthy = len(self.reports) > 1

        traffic = Doubting(None, None)
        task = asyncio.create_task(traffic.checks.run(has_passed=False))
        await eventually(lambda: len(traffic.pauses) == 2)
        assert traffic.pauses == [False, True]
        task.cancel()

    asyncio.run(main())


def test_of_a_node_that_has_not_proven_itself_nothing_is_reported() -> None:
    async def main() -> None:
        traffic = Scripted(UnattestedError("not attested"), UnattestedError("not attested"), None)
        task = asyncio.create_task(traffic.checks.run(has_passed=False))
        await eventually(lambda: len(traffic.pauses) == 3)
        assert (traffic.reports, traffic.pauses) == ([(None, False)], [None, None, True])
        task.cancel()

    asyncio.run(main())


def test_a_proof_that_comes_while_it_is_being_refused_is_not_missed() -> None:
    """What was missing may have come before the refusal is known here."""

    async def main() -> None:
        class Late(Scripted):
            async def probe(self, node: NodeState, timeout_s: float) -> None:
                if len(self.ends) == 2:
                    self.checks.hurry()
                await super().probe(node, timeout_s)

        traffic = Late(UnattestedError("not attested"), None)
        traffic.is_impatient = False
        task = asyncio.create_task(traffic.checks.run(has_passed=False))
        await eventually(lambda: traffic.reports == [(None, False)])
        task.cancel()

    asyncio.run(main())
