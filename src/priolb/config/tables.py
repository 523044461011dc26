"""Every table of the configuration file, each key described once.

A class is a kind of table and a field of it a key: its name and type are what the program sees, its record
what the operator sees. Reading, errors and the reference in docs/settings.md are read off these records. A
new key is one field here; a new kind of table is a class, and one field of `Policy`.
"""

from dataclasses import dataclass, field
from typing import Final

from priolb.config.document import Place
from priolb.config.parse import (
    Choice,
    CidrList,
    Count,
    MethodCosts,
    Methods,
    Names,
    Network,
    Switch,
    Text,
    Word,
    seconds,
)
from priolb.config.record import key, optional_key, required_key, tables
from priolb.config.rule_kinds import Cidr, FieldName, PatternList, Sha256, Urgencies

# Disciplines
ORIGINAL: Final = "original"
STRICT: Final = "strict"
WEIGHTED: Final = "weighted"
AGED: Final = "aged"

# Orders of the requests of a lane
ARRIVAL: Final = "arrival"
DEADLINE: Final = "deadline"
FAIR: Final = "fair"
CODEL: Final = "codel"
ORDERS: Final = (ARRIVAL, DEADLINE, FAIR, CODEL)

# Defaults that others have to know.
WEIGHT: Final = 1
MAX_SHARE_PERCENT: Final = 100
AGING_STEP_S: Final = 1

# Whoever looks for the next request looks at all lanes.
_LANES_MAX: Final = 64

# A request is held against one rule after the other, then all limits; its client against all networks.
_RULES_MAX: Final = 256
_NETWORKS_MAX: Final = 1024
_KEYS_MAX: Final = 10_000
_LIMITS_MAX: Final = 64

# A year: what takes longer is a slip of the unit.
LIMIT_WINDOW_MAX_S: Final = 366 * 86_400

# Whose requests a limit counts together
NETWORK: Final = "network"
ANONYMOUS: Final = "anonymous"
KEY: Final = "key"
LANE: Final = "lane"

# As in `settings`: one key is one short paragraph of the table.
# fmt: off


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A table of the file; `place` says where it stands, for errors about what it says."""

    place: Place = field(default_factory=Place, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSpec(Entry):
    """A lane."""

    name: str = required_key(
        Word(), "name", "word",
        meaning="How rules, settings and logs call it.",
    )
    limit: int = key(
        Count(), "limit", "0", "requests",
        meaning="Requests that may wait in it; 0 = no limit.",
    )
    limit_mb: int = key(
        Count(), "limit_mb", "0", "MB",
        meaning="Bodies of requests that may wait in it, besides QUEUE_MAX_MB for all lanes; 0 = no limit.",
    )
    max_wait_s: float | None = optional_key(
        seconds(), "max_wait", "seconds",
        meaning="From arrival to the start of a try; if not set REQUEST_TIMEOUT, which is the most.",
    )
    strict: bool = key(
        Switch(), "strict", "false", "switch",
        meaning="Go before all lanes with a weight, and strict ones below; for the discipline weighted.",
    )
    weight: int = key(
        Count(1, 1_000_000), "weight", str(WEIGHT), "requests",
        meaning="Requests that it serves in its turn while others wait, too; for the discipline weighted.",
    )
    order: str | None = optional_key(
        Choice(ORDERS), "order", "word",
        meaning="Which of its requests is next: the first to come, the one with the least time left, that of "
        "the tenant that has got the least, or, while it is congested, the last to come, and what has waited "
        "for long is refused (codel); if not set LANE_ORDER.",
    )
    reserved: int = key(
        Count(0, 1_000_000), "reserved", "0", "slots",
        meaning="Slots that are kept for it.",
    )
    max_share_percent: int = key(
        Count(1, MAX_SHARE_PERCENT), "max_share", str(MAX_SHARE_PERCENT), "per cent",
        meaning="Share of all slots that it may have at once; at least one.",
    )
    preempts: bool = key(
        Switch(), "preempts", "false", "switch",
        meaning="A request that no free slot serves takes that of the youngest of a preemptible lane below.",
    )
    preemptible: bool = key(
        Switch(), "preemptible", "false", "switch",
        meaning="Its requests may lose their slots so, and go back to their place in line.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec(Entry):
    """An API key."""

    name: str = required_key(
        Word(), "name", "word",
        meaning="How rules, limits and logs call it.",
    )
    sha256: bytes = required_key(
        Sha256(), "sha256", "64 hex digits",
        meaning="SHA-256 of the secret that clients send as X-API-Key or Authorization: Bearer.",
        secret=True,
    )
    allow: tuple[str, ...] = key(
        Names("lanes"), "allow", "", "lanes",
        meaning="Lanes that it may use; without it, those of its client's network.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec(Entry):
    """A network of clients."""

    cidr: Network = required_key(
        Cidr(), "cidr", "network",
        meaning="Its addresses. Of the networks that a client is in, the smallest counts.",
    )
    allow: tuple[str, ...] = key(
        Names("lanes"), "allow", "", "lanes",
        meaning="Lanes that it may use; without it, all.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec(Entry):
    """A rule."""

    header: str | None = optional_key(
        FieldName(), "header", "field name",
        meaning="A header field that the request must have, and not empty.",
    )
    value: str | None = optional_key(
        Text(), "value", "text",
        meaning="With header, what that field must be, to the letter.",
    )
    paths: tuple[str, ...] = key(
        PatternList("paths", "/"), "path", "", "paths",
        meaning="What the path must be, as it is sent and without the query.",
    )
    http_methods: frozenset[bytes] = key(
        Methods(), "http_method", "", "methods",
        meaning="What the method of HTTP must be.",
    )
    rpc_methods: tuple[str, ...] = key(
        PatternList("methods of JSON-RPC"), "rpc_method", "", "methods",
        meaning="What the method of JSON-RPC must be that the body calls; of a batch, every one.",
    )
    networks: tuple[Network, ...] = key(
        CidrList(), "network", "", "networks",
        meaning="Where the client must be.",
    )
    keys: tuple[str, ...] = key(
        Names("API keys"), "key", "", "keys",
        meaning="Names of API keys of which the client must have one.",
    )
    lane: str | None = optional_key(
        Word(), "lane", "lane",
        meaning="Where requests go for which all of that holds.",
    )
    urgency: tuple[tuple[int, str], ...] = key(
        Urgencies(), "urgency", "", "table",
        meaning="Instead of lane: where they go by their urgency, 0 to 7, as RFC 9218 has it (Priority: u=1; "
        "3 when it is not said). The rule does not count for one that is not named.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSpec(Entry):
    """A limit of what one caller may ask for."""

    name: str = required_key(
        Word(), "name", "word",
        meaning="How clients and the log are told of it.",
    )
    by: str = key(
        Choice((NETWORK, ANONYMOUS, KEY, LANE)), "by", NETWORK, "word",
        meaning="Whose requests count together: those of one network, of one network without an API key, "
        "of one API key, of one lane.",
    )
    only: tuple[str, ...] = key(
        Names("names with commas between them"), "only", "", "keys or lanes",
        meaning="With by = key or lane, those that it concerns; without it, all.",
    )
    rate: int | None = optional_key(
        Count(1), "rate", "requests",
        meaning="So many in the time of per, each for its cost.",
    )
    per_s: int | None = optional_key(
        Count(1, LIMIT_WINDOW_MAX_S), "per", "seconds",
        meaning="The time of rate; 1 when it is not given.",
    )
    burst: int | None = optional_key(
        Count(1), "burst", "requests",
        meaning="Most of them at once, each for its cost; as many as rate when it is not given.",
    )
    concurrent: int | None = optional_key(
        Count(1), "concurrent", "requests",
        meaning="Instead of rate: so many at a time, from arrival to the end of the answer.",
    )
    costs: tuple[tuple[str, int], ...] = key(
        MethodCosts(), "cost", "", "table",
        meaning="With rate, what a request counts for by its method, of JSON-RPC or HTTP; a batch for all of "
        "its members. 1 for methods that are not named.",
    )
    ipv4_bits: int | None = optional_key(
        Count(0, 32), "prefix_v4", "bits",
        meaning="With by = network or anonymous, what one network is; 32 when it is not given.",
    )
    ipv6_bits: int | None = optional_key(
        Count(0, 128), "prefix_v6", "bits",
        meaning="The same for IPv6; 64 when it is not given.",
    )
    is_dry_run: bool = key(
        Switch(), "dry_run", "false", "switch",
        meaning="Count and log who would be refused, and refuse nobody.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Entry):
    """What the file says beyond settings; by default nothing: the original's lanes, and its discipline."""

    discipline: str = key(
        Choice((ORIGINAL, STRICT, WEIGHTED, AGED)), "discipline", ORIGINAL, "word",
        meaning="Which lane is next. original = of three lanes, the first two in the ratio of "
        "ITEMS_FASTTRACK_PER_HIGHPRIO, the third after both; strict = the best that has somebody; weighted = "
        "strict ones first, the others in turns by their weights; aged = strict for aging_step at most.",
    )
    aging_step_s: float = key(
        seconds(), "aging_step", str(AGING_STEP_S), "seconds",
        meaning="How much longer a lane waits than the one above it; for the discipline aged.",
    )
    lanes: tuple[LaneSpec, ...] = tables(
        LaneSpec, "lane", most=_LANES_MAX,
        meaning="A lane; the best one comes first. Without any there are the three of the original.",
    )
    keys: tuple[KeySpec, ...] = tables(
        KeySpec, "key", most=_KEYS_MAX,
        meaning="An API key: who asks. A client without one, or with another, is known by its network alone.",
    )
    networks: tuple[NetworkSpec, ...] = tables(
        NetworkSpec, "network", most=_NETWORKS_MAX,
        meaning="A network of clients: who asks. Behind `TRUSTED_PROXIES`, what these forward counts.",
    )
    rules: tuple[RuleSpec, ...] = tables(
        RuleSpec, "rule", most=_RULES_MAX,
        meaning="A rule that chooses the lane; the first counts whose conditions all hold. Without such, "
        "it is that of the original's headers, or the last lane, where these mean nothing.",
    )
    limits: tuple[LimitSpec, ...] = tables(
        LimitSpec, "limit", most=_LIMITS_MAX,
        meaning="A limit of what one caller may ask for; a request that is over any is refused with 429.",
    )
# fmt: on
