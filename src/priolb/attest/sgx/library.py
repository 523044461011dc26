"""The collateral at hand: fetched in the background, never in a handshake, and replaced before it expires."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from operator import lt
from typing import Final, Protocol

from priolb.attest.attestors import Log
from priolb.attest.reader import MalformedError
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.origin import check_origin
from priolb.tasks import Tasks, in_thread

REFRESH_S: Final = 3600.0
"""Collateral is fetched anew this often; Intel makes it valid for 30 days."""
LOOK_S: Final = 30.0
"""How often it is seen whether something is due or still missing; what expires is seen when it does."""
PLATFORMS_MAX: Final = 256


class CollateralSource(Protocol):
    """Where collateral comes from."""

    async def fetch(self, platform: Platform) -> Collateral:
        """Return the collateral for a platform.

        Raises:
            OSError: the source cannot be reached or has none.
            MalformedError: what it gives is no collateral.
        """


class _Wanted:
    """A platform that some node has: when it was last asked for, and why the last try failed.

    `is_fresh` means that it was wanted since then.
    """

    __slots__ = ("asked_at", "failure", "is_being_fetched", "is_fresh")

    def __init__(self) -> None:
        self.asked_at = float("-inf")
        self.is_fresh = True
        self.failure = ""
        self.is_being_fetched = False


class CollateralLibrary:
    """Collateral by platform.

    A node says itself what its platform is, and may say another one each time. So when it would be fetched
    again, collateral that nobody has wanted meanwhile, and that the last proof of no node rests on, is
    forgotten instead.

    Args:
        source: None when there is none: then nothing is ever at hand.
        root: Intel's root certificate in DER; what it does not vouch for is not taken.
        clock: gives Unix seconds.
        log: where failures of the source are told.
        in_use: gives the platforms of the last proofs of all nodes.
        on_change: awaited when collateral has come or has expired.
    """

    def __init__(
        self,
        source: CollateralSource | None,
        root: bytes,
        clock: Callable[[], float],
        log: Log,
        in_use: Callable[[], Collection[tuple[str, str]]],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self._source = source
        self._root = root
        self._clock = clock
        self._log = log
        self._in_use = in_use
        self._on_change = on_change
        self._wanted: dict[Platform, _Wanted] = {}
        self._expired: set[Platform] = set()
        self._tasks = Tasks()
        self._fetches = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.held: dict[Platform, Collateral] = {}

    def start(self) -> None:
        """Look after the collateral from now on."""
        self._tasks.spawn(self._run(), "SGX collateral")

    async def close(self) -> None:
        """End the background work."""
        await self._tasks.cancel()

    def want(self, platform: Platform) -> None:
        """Fetch this collateral soon if it is not at hand, and keep it fresh from now on."""
        if platform in self._wanted:
            self._wanted[platform].is_fresh = True
            return
        if len(self._wanted) >= PLATFORMS_MAX:
            return
        self._wanted[platform] = _Wanted()
        if platform not in self.held:
            self._fetch(platform)

    async def arrived(self) -> None:
        """Wait until nothing is being fetched, and what came has been told."""
        await self._idle.wait()

    async def look(self) -> None:
        """See what has expired and tell it; fetch or forget what is missing or due."""
        now = self._clock()
        expired = {platform for platform, held in self.held.items() if now >= held.expires_at}
        is_news = bool(expired - self._expired)
        self._expired = expired
        if is_news:
            await self._on_change()
        in_use = self._in_use()
        for platform, wanted in list(self._wanted.items()):
            is_good = platform in self.held and platform not in expired
            # However the clock was set meanwhile, ahead or back.
            is_recent = abs(now - wanted.asked_at) < REFRESH_S
            if wanted.is_being_fetched or (is_good and is_recent):
                continue
            if wanted.is_fresh or platform in in_use:
                self._fetch(platform)
            else:
                del self._wanted[platform]
                self.held.pop(platform, None)

    def _fetch(self, platform: Platform) -> None:
        wanted = self._wanted[platform]
        wanted.is_fresh = False
        if self._source is None:
            return
        wanted.is_being_fetched = True
        wanted.asked_at = self._clock()
        self._fetches += 1
        self._idle.clear()
        self._tasks.spawn(self._take(self._source, platform, wanted), f"SGX collateral {platform}")

    async def _take(self, source: CollateralSource, platform: Platform, wanted: _Wanted) -> None:
        try:
            is_news = await self._shelve(platform, await source.fetch(platform))
            wanted.failure = ""
            if is_news:
                await self._on_change()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told once, and tried again
            failure = str(error) if isinstance(error, (OSError, MalformedError)) else repr(error)
            if failure != wanted.failure:
                self._log.warning("SGX collateral cannot be fetched", platform=str(platform), err=failure)
            wanted.failure = failure
        finally:
            wanted.is_being_fetched = False
            self._fetches -= 1
            if not self._fetches:
                self._idle.set()

    async def _shelve(self, platform: Platform, fetched: Collateral) -> bool:
        """Take what was fetched; return whether it is another than before."""
        if fetched.platform != platform:
            raise MalformedError(f"the source gave collateral for {fetched.platform}")
        held = self.held.get(platform)
        if fetched == held:
            return False
        await in_thread(lambda: self._check(fetched), f"SGX collateral {platform}")
        if held is not None and any(map(lt, fetched.issued_at, held.issued_at)):
            # Still valid, perhaps, but nobody between us and the source may turn the clock back.
            raise MalformedError("the source gave collateral that is older than what is at hand")
        now = self._clock()
        if held is not None and held.is_valid_at(now) and not fetched.is_valid_at(now):
            # As with an old certificate of a key that Intel has certified anew.
            raise MalformedError("the source gave collateral that is not valid now, as what is at hand is")
        self.held[platform] = fetched
        self._log.info("SGX collateral is at hand", platform=str(platform), expiresAt=int(fetched.expires_at))
        return True

    def _check(self, fetched: Collateral) -> None:
        check_origin(fetched, self._root)
        _ = fetched.digest  # which handshakes ask for, and which takes its time for lists of megabytes

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s())
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - nobody else would look after the collateral again
                self._log.warning("SGX collateral could not be looked after", err=repr(error))

    def _pause_s(self) -> float:
        """Return how long to wait before the next look, seconds."""
        now = self._clock()
        valid = [held for platform, held in self.held.items() if platform not in self._expired]
        return max(0.0, min([LOOK_S, *(held.expires_at - now for held in valid)]))
