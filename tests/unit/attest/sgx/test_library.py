"""Collateral is fetched in the background, kept fresh, and never turned back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.sgx import library as module
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.library import REFRESH_S, CollateralLibrary
from support.memory_log import MemoryLog
from support.sgx_evidence import DAY_S, NOW, PLATFORM, Intel, intel

OTHER = Platform("00606A000000", "processor")


class Shop:
    """A source whose next answer the test decides."""

    def __init__(self) -> None:
        self.answer: Collateral | Exception = intel().collateral()
        self.asked: list[Platform] = []
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def fetch(self, platform: Platform) -> Collateral:
        self.asked.append(platform)
        await self.is_open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Desk:
    """A library with everything around it."""

    def __init__(self, has_source: bool = True) -> None:
        self.now = NOW
        self.shop = Shop()
        self.log = MemoryLog()
        self.changes = 0
        self.taken = asyncio.Event()
        self.in_use = {PLATFORM, OTHER}
        self.library = CollateralLibrary(
            self.shop if has_source else None,
            intel().root.der,
            lambda: self.now,
            self.log,
            lambda: self.in_use,
            self._changed,
        )

    async def _changed(self) -> None:
        self.changes += 1
        self.taken.set()

    async def look(self) -> None:
        await self.library.look()
        await self.library.arrived()


def on_a_desk(test: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        desk = Desk()
        try:
            await test(desk)
        finally:
            await desk.library.close()

    asyncio.run(main())


def test_what_is_wanted_is_fetched_once_and_told() -> None:
    async def test(desk: Desk) -> None:
        desk.shop.is_open.clear()
        for _ in range(3):
            desk.library.want(PLATFORM)
        assert desk.library.held == {}
        desk.shop.is_open.set()
        await desk.library.arrived()
        assert desk.library.held == {PLATFORM: desk.shop.answer}
        assert (desk.shop.asked, desk.changes) == ([PLATFORM], 1)
        assert desk.log.lines == [
            (
                "info",
                "SGX collateral is at hand",
                {"platform": "00606A000000 (platform CA)", "expiresAt": int(NOW + 30 * DAY_S)},
            )
        ]

    on_a_desk(test)


def test_it_is_fetched_anew_every_hour_and_the_same_is_no_news() -> None:
    async def test(desk: Desk) -> None:
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        desk.now += REFRESH_S - 1
        await desk.look()
        assert len(desk.shop.asked) == 1
        desk.now += 1
        await desk.look()
        assert (len(desk.shop.asked), desk.changes) == (2, 1)
        newer = intel().collateral(start=NOW, status="OutOfDate")
        desk.shop.answer = newer
        desk.now += REFRESH_S
        await desk.look()
        assert (desk.library.held[PLATFORM], desk.changes) == (newer, 2)

    on_a_desk(test)


def test_it_is_fetched_anew_though_the_clock_was_set_back() -> None:
    async def test(desk: Desk) -> None:
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        desk.now -= 2 * DAY_S
        await desk.look()
        assert len(desk.shop.asked) == 2

    on_a_desk(test)


def test_older_collateral_is_not_taken() -> None:
    async def test(desk: Desk) -> None:
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        held = desk.library.held[PLATFORM]
        desk.shop.answer = intel().collateral(start=NOW - 2 * DAY_S, pck_crl=intel().ca.crl(start=NOW))
        desk.now += REFRESH_S
        await desk.look()
        assert (desk.library.held[PLATFORM], desk.changes) == (held, 1)
        assert desk.log.lines[-1][2]["err"] == "the source gave collateral that is older than what is at hand"

    on_a_desk(test)


@pytest.mark.parametrize(("start", "end"), [(NOW, NOW + 60), (NOW + 3 * REFRESH_S, NOW + 30 * DAY_S)])
def test_what_is_not_valid_takes_the_place_only_of_what_is_not_either(start: float, end: float) -> None:
    async def test(desk: Desk) -> None:
        good = desk.shop.answer = intel().collateral(end=NOW + 2 * REFRESH_S)
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        desk.shop.answer = intel().collateral(start=start, end=end)
        desk.now += REFRESH_S
        await desk.look()
        assert (desk.library.held[PLATFORM], desk.changes) == (good, 1)
        error = "the source gave collateral that is not valid now, as what is at hand is"
        assert desk.log.lines[-1][2]["err"] == error
        desk.now += REFRESH_S
        await desk.look()
        assert desk.library.held[PLATFORM] == desk.shop.answer

    on_a_desk(test)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("gone"), "gone"),
        (MalformedError("gibberish"), "gibberish"),
        (ValueError("what nobody thought of"), "ValueError('what nobody thought of')"),
    ],
)
def test_a_source_that_fails_is_asked_again_and_each_failure_told_once(error: Exception, told: str) -> None:
    async def test(desk: Desk) -> None:
        desk.shop.answer = error
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        await desk.look()
        await desk.look()
        assert (len(desk.shop.asked), desk.library.held, desk.changes) == (3, {}, 0)
        message = "SGX collateral cannot be fetched"
        fields = {"platform": "00606A000000 (platform CA)", "err": told}
        assert desk.log.lines == [("warning", message, fields)]
        desk.shop.answer = intel().collateral()
        await desk.look()
        assert PLATFORM in desk.library.held
        desk.shop.answer = error
        desk.now += REFRESH_S
        await desk.look()
        assert desk.log.messages.count(message) == 2
        assert PLATFORM in desk.library.held, "what is at hand stays until it expires"

    on_a_desk(test)


def test_collateral_for_another_platform_is_not_taken() -> None:
    async def test(desk: Desk) -> None:
        desk.library.want(OTHER)
        await desk.library.arrived()
        assert desk.library.held == {}
        assert desk.log.lines[0][2]["err"] == "the source gave collateral for 00606A000000 (platform CA)"

    on_a_desk(test)


def test_what_intel_has_not_signed_is_not_taken_and_does_not_stand_in_the_way_of_what_it_has() -> None:
    """Whoever sits between us and the source could else keep the right collateral out: his seems newer."""

    async def test(desk: Desk) -> None:
        desk.shop.answer = Intel(60).collateral(start=NOW + DAY_S)
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        assert (desk.library.held, desk.changes) == ({}, 0)
        assert desk.log.lines[0][2]["err"] == "the issuer of the TCB info is not certified by Intel's root"
        genuine = desk.shop.answer = intel().collateral()
        await desk.look()
        assert (desk.library.held, desk.changes) == ({PLATFORM: genuine}, 1)
        desk.shop.answer = Intel(60).collateral(start=NOW + DAY_S)
        desk.now += REFRESH_S
        await desk.look()
        assert (desk.library.held, desk.changes) == ({PLATFORM: genuine}, 1)

    on_a_desk(test)


def test_expiry_is_told_once_and_new_collateral_fetched() -> None:
    async def test(desk: Desk) -> None:
        desk.shop.answer = intel().collateral(end=NOW + 60)
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        desk.now = NOW + 60
        desk.shop.answer = OSError("gone")
        await desk.look()
        await desk.look()
        assert (desk.changes, len(desk.shop.asked)) == (2, 3)
        desk.shop.answer = intel().collateral(start=NOW)
        await desk.look()
        assert desk.changes == 3
        await desk.look()
        assert (desk.changes, len(desk.shop.asked)) == (3, 4)

    on_a_desk(test)


def test_a_fetch_under_way_is_not_begun_again() -> None:
    async def test(desk: Desk) -> None:
        desk.shop.is_open.clear()
        desk.library.want(PLATFORM)
        await asyncio.sleep(0)
        await desk.library.look()
        await asyncio.sleep(0)
        assert desk.shop.asked == [PLATFORM]
        desk.library.want(OTHER)
        await asyncio.sleep(0)
        assert desk.shop.asked == [PLATFORM, OTHER]
        waiting = asyncio.ensure_future(desk.library.arrived())
        desk.shop.is_open.set()
        await waiting

    on_a_desk(test)


def test_without_a_source_nothing_is_fetched(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        desk = Desk(has_source=False)
        desk.library.want(PLATFORM)
        await desk.look()
        assert (desk.library.held, desk.changes, desk.log.lines) == ({}, 0, [])
        await asyncio.sleep(0)  # a task that fails says so in the turn after
        assert caplog.records == [], "no task has failed either"

    asyncio.run(main())


def test_a_hostile_node_cannot_make_it_want_ever_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLATFORMS_MAX", 2)

    async def test(desk: Desk) -> None:
        for number in range(5):
            desk.library.want(Platform(f"{number:012X}", "platform"))
        await desk.library.arrived()
        assert len(desk.shop.asked) == 2

    on_a_desk(test)


def test_what_cannot_be_had_is_forgotten_unless_a_node_has_it_or_it_is_wanted_again() -> None:
    """A hostile node that names another platform each time costs one question each time, and no more."""

    async def test(desk: Desk) -> None:
        desk.shop.answer = OSError("none")
        fakes = [Platform(f"{number:012X}", "platform") for number in range(5)]
        for fake in (PLATFORM, *fakes):
            desk.library.want(fake)
        await desk.library.arrived()
        desk.library.want(fakes[0])
        for left in ([PLATFORM, fakes[0]], [PLATFORM], [PLATFORM]):
            desk.shop.asked.clear()
            await desk.look()
            assert desk.shop.asked == left
        assert list(desk.library._wanted) == [PLATFORM]

    on_a_desk(test)


def test_what_no_node_has_any_more_is_forgotten_when_it_would_be_fetched_anew() -> None:
    async def test(desk: Desk) -> None:
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        desk.in_use = set()
        desk.now += REFRESH_S - 1
        await desk.look()
        assert PLATFORM in desk.library.held
        desk.library.want(PLATFORM)
        desk.now += 1
        await desk.look()
        assert len(desk.shop.asked) == 2, "a new connection had it verified meanwhile"
        desk.now += REFRESH_S
        await desk.look()
        assert (desk.library.held, desk.library._wanted, len(desk.shop.asked)) == ({}, {}, 2)
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        assert PLATFORM in desk.library.held

    on_a_desk(test)


@pytest.mark.parametrize(
    ("ends_s", "pause_s"), [([], 30.0), ([60.0], 30.0), ([2.5], 2.5), ([0.0], 0.0), ([-5.0], 0.0)]
)
def test_it_looks_at_the_moment_when_something_expires(ends_s: list[float], pause_s: float) -> None:
    async def test(desk: Desk) -> None:
        for end_s in ends_s:
            desk.library.held[PLATFORM] = intel().collateral(end=NOW + 10)
            desk.now = NOW + 10 - end_s
        assert desk.library._pause_s() == pause_s
        await desk.library.look()
        assert desk.library._pause_s() == (30.0 if pause_s == 0.0 else pause_s), "what has expired is told"

    on_a_desk(test)


def test_collateral_that_was_put_there_is_not_fetched_at_once() -> None:
    async def test(desk: Desk) -> None:
        desk.library.held[PLATFORM] = intel().collateral()
        desk.library.want(PLATFORM)
        assert desk.shop.asked == []
        await desk.look()
        assert desk.shop.asked == [PLATFORM]

    on_a_desk(test)


def test_once_started_it_waits_no_longer_than_until_something_expires() -> None:
    async def test(desk: Desk) -> None:
        desk.library.held[PLATFORM] = intel().collateral(end=NOW + 10)
        desk.now = NOW + 10
        desk.library.start()
        async with asyncio.timeout(5):
            await desk.taken.wait()
        assert desk.changes == 1

    on_a_desk(test)


def test_once_started_it_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.0)

    async def test(desk: Desk) -> None:
        desk.shop.answer = OSError("gone")
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        desk.shop.answer = intel().collateral()
        desk.library.start()
        await desk.taken.wait()
        assert (len(desk.shop.asked), PLATFORM in desk.library.held) == (2, True)

    on_a_desk(test)


def test_whatever_goes_wrong_it_is_looked_after_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(desk: Desk) -> None:
        changed = desk._changed

        async def fail() -> None:
            monkeypatch.setattr(desk.library, "_on_change", changed)
            desk.now = NOW + 20
            raise RuntimeError("oops")

        desk.library.held[PLATFORM] = intel().collateral(end=NOW + 10)
        desk.library.held[OTHER] = intel().collateral(end=NOW + 20)
        desk.now = NOW + 10
        monkeypatch.setattr(desk.library, "_on_change", fail)
        monkeypatch.setattr(module, "LOOK_S", 0.0)
        desk.library.start()
        async with asyncio.timeout(5):
            await desk.taken.wait()
        text = "SGX collateral could not be looked after"
        assert desk.log.lines == [("warning", text, {"err": "RuntimeError('oops')"})]

    on_a_desk(test)


def test_what_takes_its_time_is_done_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(module, "check_origin", lambda *_: threads.append(threading.current_thread()))

    async def test(desk: Desk) -> None:
        desk.library.want(PLATFORM)
        await desk.library.arrived()
        assert [each is threading.current_thread() for each in threads] == [False]
        assert "digest" in vars(desk.library.held[PLATFORM]), "known before a handshake asks for it"

    on_a_desk(test)
