"""The engine: runs what the scheduler decides, and keeps the one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from priolb.core.byte_budget import ByteBudget
from priolb.core.instrument import Instrument
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.nodes.status import NodeChange
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket
from priolb.core.timers import Lapsing, TimingWheel
from priolb.errors import Reason
from priolb.http.fields import FieldFinder
from priolb.http.node_errors import NodeErrors
from priolb.http.parser import HeadLimits
from priolb.http.refusal import Refusals
from priolb.http.writer import date_field, via_field
from priolb.net.backend.backend import Backend, IdleBudget
from priolb.net.exchange.exchange import Exchange
from priolb.net.flushing import Flushing
from priolb.net.front.door import Door
from priolb.net.portions import Portions
from priolb.tasks import Tasks

# Event loops round delays to whole milliseconds: never wake up just before the time.
_TIMER_SLACK_S: Final = 0.001

# So many tries start in one turn of the loop, and so many of them on new connections, which take longer to
# make: so that thousands for which slots come at once hold nobody up.
_STARTS_PER_TURN: Final = 64
_CONNECTS_PER_TURN: Final = 16


def _ignore(change: NodeChange) -> None:
    """Tell nobody."""


class Engine:
    """Brings tickets and nodes together.

    Args:
        scheduler: decides.
        body_budget: bound on the bytes of request bodies held.
        idle: bounds on idle connections to nodes.
        instrument: is told of every request.
        clock: monotonic seconds.
        wall_clock: seconds since 1970.
        try_timeout_s: longest wait for the head of a node's answer, connecting included, seconds.
        node_idle_timeout_s: longest silence between two parts of an answer's body, seconds.
        upgrade_idle_timeout_s: longest silence on a connection that has switched protocols, seconds.
        upgrades_max: most requests at a time that ask for another protocol, 0 for no limit.
        head_limits: bounds on the head of a node's answer.
        retry_methods: methods of requests that may be sent again once a node may have seen them.
        via_name: how this program calls itself in Via and Proxy-Status.
        legacy_errors: answer refusals as the original does.
        node_errors: knows the JSON-RPC errors that mean the node, None for none.
        affinity: finds the value by which requests prefer the same node, None for none.
        door: looks at every request before it is taken up; None when the original's headers say all.

    Attributes:
        backends: how to reach each node that is known.
        max_waits_s: longest time from a request's arrival to the start of a try, for each lane, seconds.
        has_limits: whether any lane can be full.
        on_node_change: is told of every node that does something else than before.
        portions: what has to be done for clients who may leave by the thousand.
        upgrades: requests under way that ask for another protocol, or have got it.
    """

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_date",
        "_date_until",
        "_is_flush_booked",
        "_is_pump_due",
        "_loop",
        "_unflushed",
        "_wall_clock",
        "_wheel",
        "affinity",
        "backends",
        "body_budget",
        "clock",
        "door",
        "has_limits",
        "head_limits",
        "idle",
        "instrument",
        "max_waits_s",
        "node_errors",
        "node_idle_timeout_s",
        "on_node_change",
        "portions",
        "refusals",
        "retry_methods",
        "scheduler",
        "tasks",
        "try_timeout_s",
        "upgrade_idle_timeout_s",
        "upgrades",
        "upgrades_max",
        "via",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        body_budget: ByteBudget,
        idle: IdleBudget,
        instrument: Instrument,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        try_timeout_s: float,
        node_idle_timeout_s: float,
        upgrade_idle_timeout_s: float,
        upgrades_max: int,
        head_limits: HeadLimits,
        retry_methods: frozenset[bytes],
        via_name: str,
        legacy_errors: bool,
        node_errors: NodeErrors | None = None,
        affinity: FieldFinder | None = None,
        door: Door | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.node_errors = NodeErrors(frozenset()) if node_errors is None else node_errors
        self.affinity = affinity
        self.door = door
        self.on_node_change: Callable[[NodeChange], None] = _ignore
        self.body_budget = body_budget
        self.instrument = instrument
        self.clock = clock
        self._wall_clock = wall_clock
        self._date: bytes = b""
        self._date_until: float = -inf
        self.try_timeout_s = try_timeout_s
        self.retry_methods = retry_methods
        self.refusals = Refusals(via_name, legacy_errors)
        self.via: list[bytes] = [via_field(minor, via_name) for minor in (0, 1)]
        self.upgrade_idle_timeout_s = upgrade_idle_timeout_s
        self.upgrades_max = upgrades_max
        self.upgrades: int = 0
        self.idle = idle
        self.node_idle_timeout_s = node_idle_timeout_s
        self.head_limits = head_limits
        self.max_waits_s: tuple[float, ...] = tuple([lane.max_wait_s for lane in scheduler.queue.lanes])
        self.has_limits: bool = any(lane.limit or lane.limit_bytes for lane in scheduler.queue.lanes)
        self._loop = asyncio.get_running_loop()
        self.portions = Portions(self._loop)
        self._wheel = TimingWheel()
        self.tasks = Tasks()
        self.backends: dict[NodeState, Backend] = {}
        self._is_pump_due: bool = False
        self._is_flush_booked: bool = False
        self._unflushed: list[Flushing] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float = inf

    # Requests

    def submit(self, exchange: Exchange) -> None:
        """Start a request at once when a node is free that nobody waits for, else put it in line."""
        scheduler = self.scheduler
        queue = scheduler.queue
        now = exchange.enqueued_at
        lease = scheduler.start_at_once(exchange, now)
        if lease is None:
            lease = self._put_in_line(exchange, now)
            if lease is None:
                return
        self.instrument.queued(exchange.request_id, exchange.lane, exchange.payload_bytes, now, queue)
        exchange.begin(lease, self.backends[lease.node], now)

    def _put_in_line(self, exchange: Exchange, now: float) -> Lease | None:
        """Put a request in line, or refuse it; return its lease when it can start, now that others have."""
        scheduler, queue = self.scheduler, self.scheduler.queue
        # Who estimates waits takes it that no slot is free for who waits; nor shall these fill a lane.
        reason = scheduler.submit(exchange) if scheduler.admission is None else Reason.QUEUE_FULL
        if reason is Reason.QUEUE_FULL:
            if self.catch_up(now):
                lease = scheduler.start_at_once(exchange, now)
                if lease is not None:
                    return lease
            reason = scheduler.submit(exchange)
        if reason is not None:
            exchange.refuse(reason)
            return None
        exchange.size_at_start = queue.lanes[exchange.lane].length
        self.instrument.queued(exchange.request_id, exchange.lane, exchange.payload_bytes, now, queue)
        self.wake_by(exchange.start_by)
        if scheduler.may_refuse:
            self.wake_by(scheduler.next_refusal())
        self.pump_later()
        return None

    def refusal(self, lane: int, tenant: bytes, body_bytes: int, timeout_s: float) -> Reason | None:
        """Return why a request would be refused now whose body is still to come; None when it would not.

        Args:
            lane: index of its lane.
            tenant: whose it is, as in `Ticket`.
            body_bytes: as much of its body as is known to be going to wait, bytes.
            timeout_s: for how long its client waits, seconds; infinity when it does not say.
        """
        now = self.clock()
        self.catch_up(now)
        answer_by = now + timeout_s
        ticket = Ticket(lane, now, min(now + self.max_waits_s[lane], answer_by), body_bytes)
        ticket.answer_by, ticket.tenant = answer_by, tenant
        return self.scheduler.refusal(ticket)

    def pump_later(self) -> None:
        """Start every try that can at the end of this turn of the loop.

        Then everybody is known who has come in it, so that the best of them is first.
        """
        if self.scheduler.queue.length or self.scheduler.fleet.has_news:
            self._book_pump()

    def _book_pump(self) -> None:
        self._is_pump_due = True
        if not self._is_flush_booked:
            self._is_flush_booked = True
            self._loop.call_soon(self.flush)

    def catch_up(self, now: float) -> bool:
        """Do now what `pump_later` has put off, as it matters for what follows; False if that is nothing."""
        if not self._is_pump_due:
            return False
        self._is_pump_due = False
        self.pump(now)
        return True

    def is_full(self, lane: int, body_bytes: int, tenant: bytes, now: float) -> bool:
        """Return whether a new request would be refused because its lane is full; see `Scheduler.is_full`."""
        if not self.scheduler.is_full(lane, body_bytes, tenant):
            return False
        return not self.catch_up(now) or self.scheduler.is_full(lane, body_bytes, tenant)

    def pump(self, now: float) -> None:
        """Start every try that can, also in place of others; when those are many, some in the next turns."""
        if self.scheduler.queue.length:
            self._start_waiting(now)
            if self.scheduler.preemption is not None:
                self._preempt(now, self.scheduler.preemption.lanes)
        if self.scheduler.fleet.has_news:
            self._take_news()

    def _start_waiting(self, now: float) -> None:
        scheduler = self.scheduler
        connects = 0
        for _ in range(_STARTS_PER_TURN):
            lease = scheduler.next_dispatch(now) if scheduler.queue.length else None
            if lease is None:
                return
            exchange = lease.ticket
            assert isinstance(exchange, Exchange)
            exchange.begin(lease, self.backends[lease.node], now)
            connects += exchange.is_connecting
            if connects == _CONNECTS_PER_TURN:
                break
        self.pump_later()  # more of them, when other connections had their turn

    def _preempt(self, now: float, lanes: Sequence[int]) -> None:
        """Take slots from other requests for those of `lanes`, as long as that is allowed."""
        scheduler = self.scheduler
        for lane in lanes:
            while (victim := scheduler.victim_of(lane, now)) is not None:
                loser = victim.ticket
                assert isinstance(loser, Exchange)
                loser.give_way(now)
                lease = scheduler.preempt(victim, lane, now)
                winner = lease.ticket
                assert isinstance(winner, Exchange)
                self.instrument.preempted(loser.request_id, loser.lane, victim.node.name, winner.request_id)
                self.wake_by(loser.start_by)
                winner.begin(lease, self.backends[lease.node], now)
        if scheduler.fleet.free.length and not self._is_pump_due:
            self._start_waiting(now)  # a slot that was no good for a winner may be for a loser
        self.wake_by(scheduler.next_preemption())

    def _take_news(self) -> None:
        """Carry out what has followed from the ends of tries, from checks and from the operator's wishes."""
        fleet = self.scheduler.fleet
        changes = fleet.take_changes()
        self.wake_by(self.scheduler.next_deadline())
        for change in changes:
            self.on_node_change(change)
        for node in fleet.take_overdue():
            if node in self.backends:
                self.backends[node].cut()

    # Writes

    def flush_later(self, connection: Flushing) -> None:
        """Call `flush` of `connection` at the end of this turn of the loop.

        Writes of one turn leave one right after the other. A write that wakes its reader costs more than
        all the rest of it; a reader that is still awake from the write before costs nothing.
        """
        self._unflushed.append(connection)
        if not self._is_flush_booked:
            self._is_flush_booked = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Do everything that was put off to the end of this turn of the loop."""
        self._is_flush_booked = False
        unflushed = self._unflushed
        self._unflushed = []
        try:
            if self._is_pump_due:
                self._pump_at_end()
        finally:
            for connection in unflushed:
                connection.flush()

    def _pump_at_end(self) -> None:
        """Start every try that can; what they send leaves before the answers: no slot waits for a client."""
        self._is_flush_booked = True
        try:
            self.catch_up(self.clock())
        finally:
            self._is_flush_booked = False
            started, self._unflushed = self._unflushed, []
            for connection in started:
                connection.flush()
            if self._is_pump_due:
                self._book_pump()

    # Time

    def date(self, now: float) -> bytes:
        """Return the Date field of answers at `now` (monotonic seconds); it may be a second old."""
        if now >= self._date_until:
            self._date = date_field(self._wall_clock())
            self._date_until = now + 1.0
        return self._date

    def watch(self, item: Lapsing) -> None:
        """Make sure that `item` is told when it lapses."""
        self._wheel.watch(item)
        self.wake_by(item.lapses_at)

    def wake_by(self, at: float) -> None:
        """Make sure that what is due at `at` (monotonic seconds) is done then."""
        if at < self._alarm_at:
            self._set_alarm(at)

    def forget(self, item: Lapsing) -> None:
        """Tell `item` no more."""
        self._wheel.forget(item)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_at = at
        if at < inf:
            self._alarm = self._loop.call_later(max(0.0, at - self.clock()) + _TIMER_SLACK_S, self._on_alarm)

    def _on_alarm(self) -> None:
        now = self.clock()
        self._alarm = None
        self._alarm_at = now  # whatever is watched meanwhile waits for the end of this round
        lapsed: list[Lapsing] = []
        try:
            self.catch_up(now)  # whoever has a slot is not one too many
            lapsed = self._wheel.lapsed(now)
            lapsed.reverse()
            while lapsed:
                item = lapsed.pop()
                if item.lapses_at <= now:  # the lapse of one may have ended another
                    item.on_lapse(now)
            self.scheduler.advance(now)
            expired = [(ticket, Reason.DEADLINE) for ticket in self.scheduler.take_expired(now)]
            self._tell(expired + self.scheduler.take_refused(now), now)
            self.pump(now)
        finally:
            for item in lapsed:  # the others have their turn, whatever is wrong with one
                self._wheel.watch(item)
            self._set_alarm(min(self._wheel.next_at(), self.scheduler.next_deadline()))

    def _tell(self, ended: list[tuple[Ticket, Reason]], now: float) -> None:
        """Tell requests that wait no longer why; all of them, whatever is wrong with one."""
        ended.reverse()
        try:
            while ended:
                ticket, reason = ended.pop()
                assert isinstance(ticket, Exchange)
                ticket.expire(reason, now)
        finally:
            if ended:
                ended.reverse()
                self._loop.call_soon(self._tell, ended, now)

    async def close(self) -> None:
        """Let go of every node and of the timer."""
        self.portions.finish()
        self._set_alarm(inf)
        for backend in self.backends.values():
            backend.close()
        await self.tasks.cancel()
