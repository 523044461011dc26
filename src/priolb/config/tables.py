"""Every table of the configuration file, each key described once.

A class is a kind of table and a field of it a key: its name and type are what the program sees, its record
what the operator sees. Reading, errors and the reference in docs/settings.md are read off these records. A
new key is one field here; a new kind of table is a class, and one field of `Policy`.
"""

from dataclasses import dataclass, field
from typing import Final

from priolb.config.document import Place
from priolb.config.parse import Choice, Count, Switch, Word, seconds
from priolb.config.record import key, optional_key, required_key, tables

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
        meaning="When no slot is free, a request takes that of the youngest of a preemptible lane below.",
    )
    preemptible: bool = key(
        Switch(), "preemptible", "false", "switch",
        meaning="Its requests may lose their slots so, each once, and go back to their place in line.",
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
# fmt: on
