"""The composition root: makes the parts from the settings, runs them, and takes them down again."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import uvloop

from priolb import __version__
from priolb.admin.access import AdminAccess
from priolb.admin.api import AdminApi
from priolb.admin.debug import DebugPages
from priolb.attest.attestors import Attestors
from priolb.config.admission import callers_of, function_of, needs_door, rules_of
from priolb.config.attestation import attestors_of
from priolb.config.lanes import hedged_lanes, queue_of, shares_of
from priolb.config.limits import limiter_of
from priolb.config.settings import Settings
from priolb.config.unheeded import unheeded
from priolb.core.byte_budget import ByteBudget
from priolb.core.chance import Chance
from priolb.core.nodes.affinity import Affinity
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.health_check import HealthCheck
from priolb.core.nodes.ordered import RoundRobin, WeightedLeastInFlight
from priolb.core.nodes.peak_ewma import PeakEwma
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.selection import LeastInFlight, Selection
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.budget import RetryBudget
from priolb.core.retries.hedge import Hedging
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.errors import ConfigError
from priolb.garbage import OldGarbage
from priolb.http.fields import FieldFinder
from priolb.http.forwarding import Forwarding
from priolb.http.node_errors import NodeErrors
from priolb.http.parser import HeadLimits
from priolb.net.backend.backend import IdleBudget
from priolb.net.backend.traffic import NodeTraffic
from priolb.net.engine import Engine
from priolb.net.front.door import Door
from priolb.net.front.listener import Listener
from priolb.net.transports import report_but_lookups
from priolb.nodes.checks import Rhythm
from priolb.nodes.factory import NodeFactory, usable_node_uri
from priolb.nodes.pool import NodePool
from priolb.nodes.slots import Slots
from priolb.open_files import connections_allowed, expect_many_files
from priolb.stop_signals import StopSignals, ignore_signals
from priolb.store import open_store
from priolb.tasks import Tasks
from priolb.telemetry.lane_words import words_of
from priolb.telemetry.limits import INTERVAL_S, LimitLog
from priolb.telemetry.logs import Logger, LogWriter, forward_library_logs
from priolb.telemetry.metrics import Metrics
from priolb.telemetry.pulse import Pulse
from priolb.telemetry.refusals import id_field
from priolb.telemetry.requests import RequestLog
from priolb.testing.mock_node import MockNode
from priolb.tls import Certificate, NodeTLS

_MOCK_NODE_HOST: Final = "localhost"
_MOCK_NODE_PORT: Final = 8095

_LOG_FD: Final = 2

_SIZES_INTERVAL_S: Final = 10.0

# How long the last answers may take to leave once nothing more is waited for.
_FLUSH_S: Final = 1.0

# A start that is to be given up is told so again after so long.
_CANCEL_AGAIN_S: Final = 0.1

# The unit of the rests before retries on a node that was tried.
_BACKOFF_S: Final = 0.025

# However often an ejected node disappoints, it is tried again after so long.
_REST_MAX_S: Final = 60.0

MakeAttestors = Callable[[Settings, Logger], Attestors]


def run(settings: Settings, make_attestors: MakeAttestors = attestors_of) -> int:
    """Serve until a signal says stop; return the exit status.

    Args:
        settings: the settings.
        make_attestors: makes what attests nodes. It has the trust anchors, which no setting can change.

    Raises:
        ConfigError: the program cannot start with these settings.
        StoreError: the store is away.
    """
    certificate, node_tls = check(settings)
    faults = expect_many_files()
    log = Logger(LogWriter(_LOG_FD), json=settings.log_prod, service=settings.log_service)
    forward_library_logs(log)
    for fault in faults:
        log.warning("There may be few connections, or slow ones", err=fault)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, log, make_attestors, certificate, node_tls))
    finally:
        ignore_signals()
        log.close()
    return 0


def check(settings: Settings) -> tuple[Certificate | None, NodeTLS]:
    """Look at whatever settings name that can be looked at before anything is opened.

    Returns:
        What clients are shown, and what secures connections to nodes: files may be pipes, to be read once.

    Raises:
        ConfigError: the program cannot start with these settings.
    """
    open_store(settings.redis_uri, settings.redis_prefix)
    certificate = Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
    node_tls = NodeTLS(settings.node_tls_ca, settings.node_tls_cert, settings.node_tls_key)
    for name, uris in (("NODES", settings.nodes), ("BACKENDS", settings.backends)):
        for number, uri in enumerate(uris, start=1):
            try:
                usable_node_uri(uri)
            except ConfigError as error:
                raise ConfigError(f"{settings.source_of(name)}, item {number}: {error}") from None
    return certificate, node_tls


async def _serve(
    settings: Settings,
    log: Logger,
    make_attestors: MakeAttestors,
    certificate: Certificate | None,
    node_tls: NodeTLS,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report_but_lookups)
    log.requests.call_later = loop.call_later
    log.info("Starting prio-load-balancer", version=__version__)
    if settings.config_file:
        log.info("Configuration file read", file=settings.config_file)
    for name, why in unheeded(settings):
        log.info("Setting has no effect", name=name, reason=why)
    balancer = _Balancer(settings, log, make_attestors(settings, log), certificate, node_tls)

    def end(status: int) -> None:
        log.warning("Ended at once, by another signal")
        log.close()
        os._exit(status)

    stop = asyncio.Event()
    StopSignals(stop.set, end, log, time.monotonic).listen(loop)
    try:
        await _start(balancer, stop)
        await stop.wait()
        log.info("Shutting down...")
        await balancer.drain()
    finally:
        await balancer.close()
    log.info("bye")


class _Balancer:
    """The parts of one balancer, made from its settings."""

    def __init__(
        self,
        settings: Settings,
        log: Logger,
        attestors: Attestors,
        certificate: Certificate | None,
        node_tls: NodeTLS,
    ) -> None:
        self._settings = settings
        self._log = log
        self._attestors = attestors
        self._tasks = Tasks()
        self._is_ready = False
        self._mock_node = MockNode() if settings.mock_node else None
        if self._mock_node is not None:
            self._mock_node.received = deque(maxlen=0)  # nobody here asks for what it got
        # Of its own for each instance: two of them, one behind the other, are no loop.
        self._via_name = settings.via_name or f"priolb-{secrets.token_hex(4)}"
        self._certificate = certificate
        self._store = open_store(settings.redis_uri, settings.redis_prefix)
        chance = random.Random()  # noqa: S311 - it spreads load, and keeps no secret
        queue = queue_of(settings)
        self._queue = queue
        words = words_of([lane.name for lane in settings.lanes])
        self._size_names = words.size_names
        self._limiter = limiter_of(settings)
        self._pulse = Pulse()
        self._requests = RequestLog(log, words)
        self._engine = Engine(
            _scheduler(settings, queue, chance),
            ByteBudget(settings.queue_max_mb * 1024 * 1024),
            IdleBudget(
                settings.proxy_max_idle_conns,
                settings.proxy_max_idle_conns_per_host,
                settings.proxy_idle_conn_timeout_s,
                settings.proxy_max_conns_per_host,
            ),
            self._requests,
            time.monotonic,
            time.time,
            try_timeout_s=settings.request_proxy_timeout_s,
            node_idle_timeout_s=settings.node_idle_timeout_s,
            upgrade_idle_timeout_s=settings.upgrade_idle_timeout_s,
            upgrades_max=settings.upgrade_slots,
            retry_methods=settings.retry_methods,
            via_name=self._via_name,
            head_limits=HeadLimits(settings.head_max_kb * 1024, settings.head_max_fields),
            legacy_errors=settings.legacy_errors,
            node_errors=NodeErrors(settings.node_error_codes),
            affinity=FieldFinder(settings.affinity_header) if settings.affinity_header else None,
            door=self._door(),
        )
        slots = Slots(
            settings.node_workers,
            settings.proxy_max_conns_per_host,
            settings.adaptive_workers_max,
            settings.adaptive_workers,
        )
        traffic = NodeTraffic(
            self._engine,
            HealthCheck(settings.health_check, settings.health_check_status, settings.health_check_result),
        )
        self._nodes = NodePool(
            self._store,
            traffic,
            NodeFactory(traffic, slots, settings.preserve_host, node_tls, attestors),
            slots,
            Rhythm(settings.health_check_interval_s, settings.health_check_timeout_s, chance),
            settings.hard_stop_after_s,
            log,
        )
        limits = () if self._limiter is None else self._limiter.rules
        self._limit_log = LimitLog(limits, log)
        self._admin = AdminApi(
            self._nodes,
            AdminAccess(settings.admin_allow, settings.admin_token),
            lambda: self._is_ready,
            Metrics(self._nodes.known, queue, self._requests, self._pulse, limits).page,
            self._debug_pages(),
            log,
            self._requests.rejections,
            time.monotonic,
        )
        is_admin = settings.admin_listen is None
        self._listeners = [(self._listener(forwards=True, is_admin=is_admin), settings.listen)]
        if settings.admin_listen is not None:
            self._listeners.append((self._listener(forwards=False, is_admin=True), settings.admin_listen))

    async def start(self) -> None:
        """Reach the store, take the ports, take up the nodes, and serve."""
        settings = self._settings
        await self._store.open()
        self._log.info("Node list opened", store=self._store.describe())
        # Before the list is changed, which others may share, as a port in use ends the start. To bind
        # is not enough: Linux lets two sockets with SO_REUSEADDR do so as long as neither listens. And only
        # once the store has answered: whoever connects from now on waits for a few answers more.
        ports = [listener.open(address.host, address.port) for listener, address in self._listeners]
        uris = [*settings.nodes, *settings.backends]
        if self._mock_node is not None:
            port = await self._mock_node.start(_MOCK_NODE_HOST, _MOCK_NODE_PORT)
            uris.append(f"http://{_MOCK_NODE_HOST}:{port}")
        await self._nodes.start(uris)
        for (listener, address), port in zip(self._listeners, ports, strict=True):
            await self._accept(listener, address.host, port)
        self._pulse.start(asyncio.get_running_loop().call_later)
        self._tasks.spawn(self._log_sizes(OldGarbage()), "queue sizes")
        if self._limiter is not None:
            self._tasks.spawn(_log_limits(self._limit_log), "limits")
        if self._certificate is not None:
            self._tasks.spawn(self._certificate.follow(self._log), "certificate")
        self._is_ready = True

    async def drain(self) -> None:
        """Take no more requests, and finish what is queued and running."""
        self._is_ready = False
        until = time.monotonic() + self._settings.shutdown_timeout_s
        for listener, _ in self._listeners:  # that of the admin API last: /readyz answers in the meantime
            listener.drain()
            if not await listener.wait_closed(max(0.0, until - time.monotonic())):
                self._log.warning("Not everything was finished in time; the rest is refused")
                listener.shut_down()
                await listener.wait_closed(_FLUSH_S)

    async def close(self) -> None:
        """End everything that was started."""
        for listener, _ in self._listeners:
            await listener.close()
        self._pulse.stop()
        await self._tasks.cancel()
        self._requests.tell_others()
        self._limit_log.write()
        await self._nodes.close()
        await self._attestors.close()
        await self._engine.close()
        await self._store.close()
        if self._mock_node is not None:
            await self._mock_node.stop()

    async def _accept(self, listener: Listener, host: str, port: int) -> None:
        certificate = self._certificate
        await listener.accept((lambda: certificate.context) if certificate else None)
        self._log.info(
            "Listening",
            host=host,
            port=port,
            admin=not listener.forwards,
            tls=bool(certificate),
            name=self._via_name,
        )

    def _listener(self, forwards: bool, is_admin: bool) -> Listener:
        settings = self._settings
        clients_max, admins_max = connections_allowed()
        return Listener(
            self._engine,
            self._admin if is_admin else None,
            forwards=forwards,
            head_limits=HeadLimits(settings.head_max_kb * 1024, settings.head_max_fields),
            forwarding=Forwarding(
                self._via_name,
                "https" if self._certificate else "http",
                settings.forward_client,
                settings.trusted_proxies,
            ),
            max_body_bytes=settings.payload_max_kb * 1024,
            replay_max_bytes=settings.replay_max_kb * 1024,
            body_min_bytes_per_s=settings.body_min_rate,
            connections_max=clients_max if forwards else admins_max,
            connections_per_peer=settings.connections_per_peer,
            head_timeout_s=settings.head_timeout_s,
            keepalive_timeout_s=settings.keepalive_timeout_s,
            stall_timeout_s=settings.client_stall_timeout_s,
        )

    def _door(self) -> Door | None:
        settings = self._settings
        if not needs_door(settings):
            return None

        def report(mistake: str, count: int, request_id: bytes) -> None:
            what = {"name": settings.lane_function, "error": mistake, "count": count}
            self._log.error("Lane function failed", **id_field(request_id), **what)

        return Door(callers_of(settings), rules_of(settings), function_of(settings, report), self._limiter)

    def _debug_pages(self) -> DebugPages:
        settings = self._settings
        return DebugPages(
            self._log,
            has_log_test=settings.enable_error_test_api or settings.mock_node,
            has_pprof=settings.enable_pprof or settings.mock_node,
        )

    async def _log_sizes(self, garbage: OldGarbage) -> None:
        while True:
            await asyncio.sleep(_SIZES_INTERVAL_S)
            lengths = dict(zip(self._size_names, self._queue.lengths(), strict=True))
            stall_ms = round(self._pulse.take_longest_s() * 1e3, 1)
            self._log.info("prioQueue size", **lengths, longestStallMs=stall_ms)
            self._requests.tell_others()
            garbage.collect_if_little()


async def _start(balancer: _Balancer, stop: asyncio.Event) -> None:
    """Start, and return when that is done, or when the stop has come first and the start was given up."""
    loop = asyncio.get_running_loop()
    starting = loop.create_task(balancer.start(), name="start")
    stopping = loop.create_task(stop.wait(), name="stop during the start")
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    while not starting.done():
        # Once may not do: `wait_for` of Python 3.11, by which Redis is asked, swallows it now and then.
        starting.cancel()
        await asyncio.wait({starting}, timeout=_CANCEL_AGAIN_S)
    if not starting.cancelled():
        starting.result()


async def _log_limits(limit_log: LimitLog) -> None:
    while True:
        await asyncio.sleep(INTERVAL_S)
        limit_log.write()


def _scheduler(settings: Settings, queue: PriorityQueue, chance: Chance) -> Scheduler:
    policy = HealthPolicy(
        rise=settings.health_check_rise,
        fall=settings.health_check_fall,
        tolerates_busy=settings.health_check_busy_ok,
        eject_after=settings.eject_after,
        rest_s=settings.eject_time_s,
        rest_max_s=max(settings.eject_time_s, _REST_MAX_S),
        ejected_max_percent=settings.eject_max_percent,
        slow_start_s=settings.slow_start_s,
        panics=settings.panic_mode,
    )
    now = time.monotonic()
    lanes = hedged_lanes(settings)
    has_affinity = settings.affinity_header != ""
    # Behind an order of its own, the fleet cannot exchange the usual one for that which heeds weights.
    selection: Selection = WeightedLeastInFlight() if has_affinity else LeastInFlight()
    if settings.node_selection == "peak-ewma":
        selection = PeakEwma(chance)
    elif settings.node_selection == "round-robin":
        selection = RoundRobin()
    fleet = Fleet(Affinity(selection) if has_affinity else selection, policy)
    fleet.estimate = WaitEstimate(len(queue.lanes)) if settings.early_refusal else None
    has_admission = settings.queue_max > 0 or settings.early_refusal
    shares = shares_of(settings, queue.lanes, fleet, now)
    return Scheduler(
        queue,
        RetryPolicy(settings.retries_max, _BACKOFF_S),
        fleet,
        RetryBudget(settings.retry_budget, settings.retry_budget_min, now),
        Hedging(lanes, settings.hedge_max_percent, now) if lanes else None,
        chance,
        AdmissionControl(queue, fleet, settings.queue_max, fleet.estimate, shares) if has_admission else None,
        shares,
    )
