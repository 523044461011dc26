"""Signals: which belong together, what a later one does, and that the process is heard to its end."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from priolb.stop_signals import StopSignals, ignore_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Desk:
    """The signals of a process, with a clock that is set by hand, and what came of them."""

    def __init__(self) -> None:
        self.now = 100.0
        self.notes: list[object] = []
        self.signals = StopSignals(
            lambda: self.notes.append("stop"), self.notes.append, self, clock=lambda: self.now
        )

    def warning(self, msg: str, /, **fields: object) -> None:
        self.notes.append(msg)

    def heed(self, at: float, number: int) -> list[object]:
        """Let a signal come, so many seconds after the first, and return what came of it."""
        self.now = 100.0 + at
        self.notes.clear()
        self.signals.heed(number)
        return self.notes.copy()


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Leave the handlers of the test run as they were."""
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_signals_within_a_second_are_one_stop_and_a_later_one_ends_at_once(first: int) -> None:
    desk = Desk()
    assert desk.heed(0.0, first) == ["stop"]
    assert desk.heed(0.0, signal.SIGTERM) == []
    assert desk.heed(0.01, signal.SIGINT) == []
    assert desk.heed(1.0, signal.SIGTERM) == []
    assert desk.heed(1.01, signal.SIGTERM) == [143]


def test_the_status_names_the_signal_that_ended_it() -> None:
    desk = Desk()
    desk.heed(0.0, signal.SIGTERM)
    assert desk.heed(5.0, signal.SIGINT) == [130]


def test_sighup_is_no_stop_neither_a_first_nor_a_second() -> None:
    desk = Desk()
    told = ["SIGHUP ignored: a change of settings takes a restart"]
    assert desk.heed(0.0, signal.SIGHUP) == told
    assert desk.heed(5.0, signal.SIGTERM) == ["stop"]
    assert desk.heed(9.0, signal.SIGHUP) == told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_heard_by_the_loop_and_harmless_once_it_is_closed(number: int) -> None:
    stopped = asyncio.Event()

    async def main() -> None:
        signals = StopSignals(stopped.set, lambda _status: None, Desk(), clock=lambda: 0.0)
        signals.listen(asyncio.get_running_loop())
        os.kill(os.getpid(), number)
        await stopped.wait()

    asyncio.run(main())
    os.kill(os.getpid(), number)


def test_signals_that_are_ignored_are_so_for_good() -> None:
    """Python resets handlers of its own at its end, and leaves what is ignored."""
    ignore_signals()
    for number in NUMBERS:
        assert signal.getsignal(number) is signal.SIG_IGN
        os.kill(os.getpid(), number)
