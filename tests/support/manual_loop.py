"""An event loop without sockets and without time of its own: a test drives it turn by turn."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from math import ceil
from typing import Any, Protocol, TypeVar, TypeVarTuple

TICK_S = 1 / 64
_YEAR_S = 366 * 86400.0

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class ManualClock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Dial(Protocol):
    """Opens a connection to a node, as `loop.create_connection` does."""

    async def __call__(
        self, protocol_factory: Callable[[], Any], host: str, port: int
    ) -> tuple[Any, Any]: ...


class ManualLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as the path of a request uses.

    Args:
        clock: what time it is.
        dial: opens connections.

    Errors that escape a callback are kept in `errors`.
    """

    def __init__(self, clock: ManualClock, dial: Dial) -> None:
        self.clock = clock
        self.errors: list[dict[str, Any]] = []
        self._dial = dial
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []

    # What a test does with it

    def turn(self) -> None:
        """Run what is ready now, and leave to the next turn what that makes ready."""
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def run(self) -> None:
        """Make turns until nothing is ready."""
        while self._ready:
            self.turn()

    def advance(self, seconds: float) -> None:
        """Let time pass; what a timer makes ready runs before the next one fires.

        Timers fire at whole ticks of 1/64 s, never early: so all times are exact in floating point.
        """
        until = self.clock.now + seconds
        self.run()
        while (fires_at := ceil(self.next_timer_at / TICK_S) * TICK_S) <= until:
            self.clock.now = max(self.clock.now, fires_at)
            heappop(self._timers)._run()
            self.run()
        self.clock.now = until

    def complete(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run `coroutine` to its end, which must not have to wait for time or for a peer."""
        task: asyncio.Task[Result] = self.create_task(coroutine)
        self.run()
        assert task.done(), "it waits for something that the test has to do"
        return task.result()

    @property
    def next_timer_at(self) -> float:
        """When the next timer fires; in a year when there is none."""
        while self._timers and self._timers[0].cancelled():
            heappop(self._timers)
        return self._timers[0].when() if self._timers else self.clock.now + _YEAR_S

    # What the code under test does with it

    def time(self) -> float:
        return self.clock.now

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.clock.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._timers, handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    async def create_connection(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        host, port = args
        return await self._dial(protocol_factory, host, port)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its turn comes."""
