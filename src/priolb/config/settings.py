"""Every setting of the program, each described once.

A field of `Settings` is a setting: its name and type are what the program sees, its record what the
operator sees. Loading, --help and the reference in docs/settings.md are read off these records, so
there is no second list of names, defaults or bounds to keep in step.

Names of variables and flags are those of the original program; a name that it does not have is ours. In the
configuration file a setting has the name of its variable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from priolb.attest.sev.policy import CONSTELLATION, Tcb, parse_arks, parse_id_keys, parse_tcb
from priolb.config.parse import (
    Address,
    Choice,
    CidrList,
    CommaList,
    Count,
    HostPort,
    JsonText,
    MethodOrPath,
    Methods,
    Name,
    Names,
    Network,
    OptionalHostPort,
    ReadBy,
    Status,
    Switch,
    Text,
    Token,
    UrlOrDirectory,
    WholeNumbers,
    seconds,
)
from priolb.config.record import setting, settings_of
from priolb.config.rule_kinds import FunctionName
from priolb.config.tables import ARRIVAL, ORDERS, LaneSpec, Policy
from priolb.config.words import escaped
from priolb.core.nodes.policy import MAX_HARD_STOP_S
from priolb.core.queueing.classify import LANE_NAMES

# One setting is one short paragraph of the table; a line for each argument would make it twice as long.
# fmt: off


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one run, all of them checked.

    `policy` is what the configuration file says beyond them, and `lines` where it has those that it gives.
    """

    config_file: str = setting(
        Text(), "CONFIG_FILE", "", "file", flag="config",
        meaning="TOML file of settings and lanes; empty = priolb.toml here, if it is there.",
    )

    # Where clients, the store and nodes are
    listen: Address = setting(
        HostPort(), "LISTEN_ADDR", "localhost:8080", "host:port", flag="http",
        meaning="Where clients connect; :8080 is port 8080 on all interfaces.",
    )
    redis_uri: str = setting(
        Text(), "REDIS_URI", "dev", "URI", flag="redis", secret=True,
        meaning="Where the node list is kept: dev (in memory, gone at the end), sqlite:///file, "
        "host:port of Redis, redis://, rediss:// or unix://.",
    )
    redis_prefix: str = setting(
        Text(), "REDIS_PREFIX", "prio-load-balancer:", "text", empty_is_value=True,
        meaning="Put before the name of the key in Redis; an empty value means no prefix.",
    )
    nodes: tuple[str, ...] = setting(
        CommaList(), "NODES", "", "URIs, comma separated", flag="nodes", secret=True,
        meaning="Nodes added to the list at start; nodes that the store has already stay.",
    )
    backends: tuple[str, ...] = setting(
        CommaList(), "BACKENDS", "", "URIs, comma separated", flag="backends", secret=True,
        meaning="As NODES; the nodes of both are added.",
    )
    node_workers: int = setting(
        Count(1, 10_000), "NUM_NODE_WORKERS", "8", "requests", flag="node-workers",
        meaning="Slots of a node, unless its URI says ?_workers=N; never above ProxyMaxConnsPerHost.",
    )
    mock_node: bool = setting(
        Switch(), None, "false", "switch", flag="mock-node",
        meaning="Start a mock node on localhost:8095 and add it; also turns both debug APIs on.",
    )

    # Logs
    log_prod: bool = setting(
        Switch(), "LOG_PROD", "false", "switch", flag="log-prod",
        meaning="Log one JSON object a line instead of lines for people.",
    )
    log_service: str = setting(
        Text(), "LOG_SERVICE", "", "text", flag="log-service",
        meaning="Value of the field service on each log line; empty = no such field.",
    )

    # Queues and tries
    retries_max: int = setting(
        Count(0, 1000), "RETRIES_MAX", "3", "tries",
        meaning="Tries that a request gets in all, the first one included; 0 counts as 1.",
    )
    retry_methods: frozenset[bytes] = setting(
        Methods(), "RETRY_METHODS", "POST,GET,HEAD,OPTIONS,PUT,DELETE,TRACE", "methods, comma separated",
        meaning="Tried again even when a node may have seen the request; any other only if no byte has left.",
    )
    payload_max_kb: int = setting(
        Count(0, 10**7), "PAYLOAD_MAX_KB", "8192", "KB of 1024 bytes",
        meaning="A request with a larger body is refused with 413; 0 = no limit.",
    )
    replay_max_kb: int = setting(
        Count(0, 10**6), "REPLAY_MAX_KB", "1024", "KB of 1024 bytes",
        meaning="Bodies up to this are held, so that they can be sent again; longer ones pass through once.",
    )
    items_fasttrack_max: int = setting(
        Count(), "ITEMS_FASTTRACK_MAX", "0", "requests",
        meaning="Requests that may wait in the fast-track queue; 0 = no limit.",
    )
    items_highprio_max: int = setting(
        Count(), "ITEMS_HIGHPRIO_MAX", "0", "requests",
        meaning="Requests that may wait in the high-priority queue; 0 = no limit.",
    )
    items_lowprio_max: int = setting(
        Count(), "ITEMS_LOWPRIO_MAX", "0", "requests",
        meaning="Requests that may wait in the low-priority queue; 0 = no limit.",
    )
    items_fasttrack_per_highprio: int = setting(
        Count(), "ITEMS_FASTTRACK_PER_HIGHPRIO", "2", "requests",
        meaning="Fast-track requests before one high-priority request while both wait; 0 = high first.",
    )
    fasttrack_drain_first: bool = setting(
        Switch(), "FASTTRACK_DRAIN_FIRST", "false", "switch",
        meaning="Serve high-priority requests only while no fast-track request waits.",
    )
    queue_max_mb: int = setting(
        Count(1, 10**6), "QUEUE_MAX_MB", "1024", "MB of 1048576 bytes",
        meaning="Request bodies held in memory over all queues, and heads above 1 KB, which count three "
        "times; beyond it requests are refused with 503.",
    )

    lane_order: str = setting(
        Choice(ORDERS), "LANE_ORDER", ARRIVAL, "word",
        meaning="Order of lanes that say none: by arrival, by deadline, fair to tenants, or by codel.",
    )

    # Overload
    queue_max: int = setting(
        Count(), "QUEUE_MAX", "0", "requests",
        meaning="Requests that may wait over all queues; a better one then takes the place of the newest of "
        "the worst queue. 0 = no limit.",
    )
    early_refusal: bool = setting(
        Switch(), "EARLY_REFUSAL", "false", "switch",
        meaning="Refuse a request at once when it would have to wait longer than it may.",
    )
    preemptions_per_second: int = setting(
        Count(1, 10_000), "PREEMPTIONS_PER_SECOND", "100", "requests",
        meaning="Requests a second that may lose their slots to better ones, where lanes allow it.",
    )

    # Deadlines
    request_timeout_s: float = setting(
        seconds(), "REQUEST_TIMEOUT", "5", "seconds",
        meaning="From a request's arrival to the start of its last try: waiting and the tries before it.",
    )
    request_proxy_timeout_s: float = setting(
        seconds(), "REQUEST_PROXY_TIMEOUT", "3", "seconds",
        meaning="Longest time of one try at a node.",
    )
    job_send_timeout_s: float = setting(
        seconds(0), "JOB_SEND_TIMEOUT", "2", "seconds",
        meaning="Accepted, no effect: a request stays queued until a node is free or REQUEST_TIMEOUT ends.",
    )
    job_chan_buffer: int = setting(
        Count(), "JOB_CHAN_BUFFER", "2", "requests",
        meaning="Accepted, no effect: nothing is buffered between queue and node.",
    )
    shutdown_timeout_s: float = setting(
        seconds(0), "SHUTDOWN_TIMEOUT", "15", "seconds",
        meaning="After SIGTERM or SIGINT, time to finish what waits and runs; the rest is answered 503.",
    )

    # Connections of clients
    tls_cert: str = setting(
        Text(), "TLS_CERT", "", "file",
        meaning="PEM file of a certificate: clients then have to speak https. Read again when it changes.",
    )
    tls_key: str = setting(
        Text(), "TLS_KEY", "", "file",
        meaning="PEM file of its key, without a password; empty = it is in the file of TLS_CERT.",
    )
    head_max_kb: int = setting(
        Count(1, 65_536), "HEAD_MAX_KB", "64", "KB of 1024 bytes",
        meaning="Longest request line and headers together.",
    )
    head_max_fields: int = setting(
        Count(1, 100_000), "HEAD_MAX_FIELDS", "100", "headers",
        meaning="Most headers of a request.",
    )
    head_timeout_s: float = setting(
        seconds(), "HEAD_TIMEOUT", "10", "seconds",
        meaning="Time that a client has to send the request line and the headers.",
    )
    keepalive_timeout_s: float = setting(
        seconds(), "KEEPALIVE_TIMEOUT", "75", "seconds",
        meaning="A client's connection without a request is closed after it.",
    )
    client_stall_timeout_s: float = setting(
        seconds(), "CLIENT_STALL_TIMEOUT", "30", "seconds",
        meaning="A client that neither sends the body it announced nor reads its answer is cut off after it.",
    )

    body_min_rate: int = setting(
        Count(), "BODY_MIN_RATE", "240", "bytes per second",
        meaning="A client that sends its body, or reads its answer, slower for CLIENT_STALL_TIMEOUT is cut "
        "off; 0 = no matter.",
    )
    connections_per_peer: int = setting(
        Count(), "CONNECTIONS_PER_PEER", "0", "connections",
        meaning="Connections of one address (IPv6: /64) at a time, TRUSTED_PROXIES excepted; 0 = no limit.",
    )

    # What nodes are told
    trusted_proxies: tuple[Network, ...] = setting(
        CidrList(), "TRUSTED_PROXIES", "", "networks, comma separated",
        meaning="Peers that are believed when they say for whom they ask (Forwarded, X-Forwarded-For, ...).",
    )
    forward_client: bool = setting(
        Switch(), "FORWARD_CLIENT", "true", "switch",
        meaning="Tell nodes who the client is, by Forwarded and X-Forwarded-For, -Proto and -Host.",
    )
    preserve_host: bool = setting(
        Switch(), "PRESERVE_HOST", "false", "switch",
        meaning="Nodes get the Host that the client asked for, instead of their own.",
    )
    via_name: str = setting(
        Name(), "VIA_NAME", "", "text",
        meaning="Name of this instance in Via and Proxy-Status, which tells loops; empty = a random one.",
    )

    # Other protocols (WebSocket)
    upgrade_slots: int = setting(
        Count(), "UPGRADE_SLOTS", "0", "requests",
        meaning="Slots that requests for another protocol (Upgrade) may hold or wait for; 0 = no limit.",
    )
    upgrade_idle_timeout_s: float = setting(
        seconds(), "UPGRADE_IDLE_TIMEOUT", "600", "seconds",
        meaning="A connection that has switched protocols is ended after such a silence in both directions.",
    )

    # Connections to nodes
    node_idle_timeout_s: float = setting(
        seconds(), "NODE_IDLE_TIMEOUT", "30", "seconds",
        meaning="Longest silence of a node between two parts of the body of its answer.",
    )
    proxy_max_idle_conns: int = setting(
        Count(), "ProxyMaxIdleConns", "100", "connections",
        meaning="Unused connections kept open over all nodes; 0 = no limit.",
    )
    proxy_max_conns_per_host: int = setting(
        Count(), "ProxyMaxConnsPerHost", "100", "connections",
        meaning="Connections to one node, used and unused, and so its slots; 0 = no limit.",
    )
    proxy_max_idle_conns_per_host: int = setting(
        Count(), "ProxyMaxIdleConnsPerHost", "100", "connections",
        meaning="Unused connections kept open to one node; 0 = no limit.",
    )
    proxy_idle_conn_timeout_s: float = setting(
        seconds(0), "ProxyIdleConnTimeout", "90", "seconds",
        meaning="An unused connection to a node is closed after it; 0 = no limit.",
    )

    node_tls_ca: str = setting(
        Text(), "NODE_TLS_CA", "", "file",
        meaning="PEM file of the roots that https nodes are verified against; empty = those of the system.",
    )
    node_tls_cert: str = setting(
        Text(), "NODE_TLS_CERT", "", "file",
        meaning="PEM file of a certificate to show to https nodes that ask for one; empty = none.",
    )
    node_tls_key: str = setting(
        Text(), "NODE_TLS_KEY", "", "file",
        meaning="PEM file of its key, without a password; empty = it is in the file of NODE_TLS_CERT.",
    )

    # Nodes that prove what they run
    sev_arks: tuple[bytes, ...] = setting(
        ReadBy("a list of milan, genoa", parse_arks), "SEV_ARKS", "milan", "product lines, comma separated",
        meaning="Lines of AMD's processors whose root certificate counts for SEV nodes.",
    )
    sev_min_tcb: Tcb = setting(
        ReadBy("four numbers of 0 to 255 with dots between them", parse_tcb),
        "SEV_MIN_TCB", "2.0.6.93", "bootloader.tee.snp.microcode",
        meaning="Oldest firmware of a SEV node, in each of its four parts.",
    )
    sev_id_keys: frozenset[bytes] = setting(
        ReadBy("a list of SHA-384 digests (96 hex digits each) or constellation", parse_id_keys),
        "SEV_ID_KEYS", CONSTELLATION, "digests, comma separated",
        meaning="Keys that may have signed the launch of a SEV node; constellation = those of the original.",
    )
    sgx_collateral: str = setting(
        UrlOrDirectory(), "SGX_COLLATERAL", "", "URL or path",
        meaning="Where collateral for SGX nodes comes from: base URL of a PCCS, or a directory; "
        "empty = nowhere, so no SGX node can prove itself.",
    )
    ra_tls_allow_outdated_tcb: bool = setting(
        Switch(), "RA_TLS_ALLOW_OUTDATED_TCB_INSECURE", "false", "switch",
        meaning="Accept SGX nodes that Intel says are OutOfDate. Expired collateral is never accepted.",
    )
    ra_tls_allow_hw_config_needed: bool = setting(
        Switch(), "RA_TLS_ALLOW_HW_CONFIG_NEEDED", "false", "switch",
        meaning="Accept SGX nodes that Intel says are ConfigurationNeeded.",
    )
    ra_tls_allow_sw_hardening_needed: bool = setting(
        Switch(), "RA_TLS_ALLOW_SW_HARDENING_NEEDED", "false", "switch",
        meaning="Accept SGX nodes that Intel says are SWHardeningNeeded.",
    )
    ra_tls_allow_debug_enclave: bool = setting(
        Switch(), "RA_TLS_ALLOW_DEBUG_ENCLAVE_INSECURE", "false", "switch",
        meaning="Accepted, no effect: a debug enclave hides nothing from its host and is always refused.",
    )

    # Which node, and how many tries
    node_selection: str = setting(
        Choice(("least-in-flight", "peak-ewma", "round-robin")), "NODE_SELECTION", "least-in-flight", "word",
        meaning="Which of the nodes with a free slot is next: the one with the fewest requests, the faster "
        "of two at random, or one after the other.",
    )
    adaptive_workers: bool = setting(
        Switch(), "ADAPTIVE_WORKERS", "false", "switch",
        meaning="Nodes whose URI does not say ?_workers=N find by themselves how many requests suit them.",
    )
    adaptive_workers_max: int = setting(
        Count(1, 10_000), "ADAPTIVE_WORKERS_MAX", "64", "requests",
        meaning="Most requests of a node that finds their number by itself.",
    )
    retry_budget: int = setting(
        Count(0, 100_000), "RETRY_BUDGET", "20", "per cent",
        meaning="Retries for each hundred recent requests, over all of them.",
    )
    retry_budget_min: int = setting(
        Count(0, 100_000), "RETRY_BUDGET_MIN", "10", "retries per second",
        meaning="Retries that there is budget for however few the requests are.",
    )

    node_error_codes: frozenset[int] = setting(
        WholeNumbers(), "NODE_ERROR_CODES", "-32002,-32005", "numbers, comma separated",
        meaning="JSON-RPC error codes that mean the node, whatever the status: tried again on another one.",
    )
    affinity_header: str = setting(
        Name(), "AFFINITY_HEADER", "", "text",
        meaning="Requests with the same value of this header prefer the same node; empty = none do.",
    )
    lane_function: str = setting(
        FunctionName(), "LANE_FUNCTION", "", "module:name",
        meaning="Function of Python that chooses the lane of a request; what it leaves open, rules decide.",
    )
    tenant_header: str = setting(
        Name(), "TENANT_HEADER", "", "text",
        meaning="Header by which TRUSTED_PROXIES name the tenant; else it is the API key, or the address.",
    )
    hedge_lanes: tuple[str, ...] = setting(
        Names("lanes"), "HEDGE_LANES", "", "words, comma separated",
        meaning="Lanes whose requests get a second try on an idle node when the first takes unusually long.",
    )
    hedge_max_percent: int = setting(
        Count(0, 100), "HEDGE_MAX_PERCENT", "5", "per cent",
        meaning="Second tries for each hundred recent requests, at most.",
    )

    # Health of nodes
    health_check: str = setting(
        MethodOrPath(), "HEALTH_CHECK", "net_version", "method or path",
        meaning="What nodes are asked: a JSON-RPC method, or a path below that of the node, which is read.",
    )
    health_check_status: int = setting(
        Status(), "HEALTH_CHECK_STATUS", "0", "status",
        meaning="Status that the answer must have; 0 = any below 400.",
    )
    health_check_result: str = setting(
        JsonText(), "HEALTH_CHECK_RESULT", "", "JSON",
        meaning="What the result of the call, or the body at the path, must be; of an object, the members "
        "that it must have. Empty = anything.",
    )
    health_check_interval_s: float = setting(
        seconds(0), "HEALTH_CHECK_INTERVAL", "5", "seconds",
        meaning="Between two checks of a node that is well, give or take a fifth; 0 = not checked then.",
    )
    health_check_timeout_s: float = setting(
        seconds(), "HEALTH_CHECK_TIMEOUT", "5", "seconds",
        meaning="Longest wait for the answer to a check.",
    )
    health_check_rise: int = setting(
        Count(1, 1000), "HEALTH_CHECK_RISE", "1", "checks",
        meaning="Checks in a row that bring a node back that was down.",
    )
    health_check_fall: int = setting(
        Count(1, 1000), "HEALTH_CHECK_FALL", "3", "checks",
        meaning="Failed checks in a row that take a node down.",
    )
    health_check_busy_ok: bool = setting(
        Switch(), "HEALTH_CHECK_BUSY_OK", "true", "switch",
        meaning="A late check says nothing about a node that has requests in flight, unless it answers none.",
    )
    eject_after: int = setting(
        Count(0, 1000), "EJECT_AFTER", "5", "failures",
        meaning="Requests in a row that a node fails and another answers until it is ejected; 0 = never.",
    )
    eject_time_s: float = setting(
        seconds(), "EJECT_TIME", "2", "seconds",
        meaning="How long an ejected node rests before one request tries it; doubled each time up to 60.",
    )
    eject_max_percent: int = setting(
        Count(0, 100), "EJECT_MAX_PERCENT", "50", "per cent",
        meaning="Share of the nodes, rounded down, that may be ejected at once.",
    )
    slow_start_s: float = setting(
        seconds(0), "SLOW_START", "5", "seconds",
        meaning="How long a node that is back takes to get all of its slots; 0 = at once.",
    )
    panic_mode: bool = setting(
        Switch(), "PANIC_MODE", "false", "switch",
        meaning="When no node is fit, use all of them rather than hold requests until their time is over.",
    )
    hard_stop_after_s: float = setting(
        seconds(0, MAX_HARD_STOP_S), "HARD_STOP_AFTER", "30", "seconds",
        meaning="What a drained node has in flight is cut off after it, unless the order says otherwise.",
    )

    # Administration
    admin_allow: tuple[Network, ...] = setting(
        CidrList(), "ADMIN_ALLOW", "127.0.0.0/8,::1/128", "networks, comma separated",
        meaning="Peers that may change nodes and see /metrics and /debug without ADMIN_TOKEN.",
    )
    admin_token: str = setting(
        Token(), "ADMIN_TOKEN", "", "text", secret=True,
        meaning="Sent as Authorization: Bearer, it lets a peer do what ADMIN_ALLOW does; empty = none.",
    )
    admin_listen: Address | None = setting(
        OptionalHostPort(), "ADMIN_LISTEN", "", "host:port",
        meaning="Own listener for all admin routes; everything at LISTEN_ADDR then goes to nodes.",
    )
    enable_error_test_api: bool = setting(
        Switch(), "ENABLE_ERROR_TEST_API", "false", "switch",
        meaning="Turn /debug/testLogLevels on.",
    )
    enable_pprof: bool = setting(
        Switch(), "ENABLE_PPROF", "false", "switch",
        meaning="Turn /debug/pprof/ on.",
    )
    legacy_errors: bool = setting(
        Switch(), "LEGACY_ERRORS", "false", "switch",
        meaning="Refuse with the statuses and plain texts of the original program.",
    )

    policy: Policy = field(default_factory=Policy)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    # fmt: on

    def source_of(self, variable: str) -> str:
        """Return how errors name a setting: with its line, when the configuration file gives it."""
        line = self.lines.get(variable)
        return f"{escaped(self.config_file)}:{line}: {variable}" if line else variable

    @property
    def lanes(self) -> tuple[LaneSpec, ...]:
        """The lanes, best first: those of the configuration file, else those of the original."""
        limits = (self.items_fasttrack_max, self.items_highprio_max, self.items_lowprio_max)
        return self.policy.lanes or tuple(
            LaneSpec(name=name, limit=limit) for name, limit in zip(LANE_NAMES, limits, strict=True)
        )


SETTINGS: Final = settings_of(Settings)
"""The record of each setting, by the name of its field, in the order of the reference."""
