"""Every table of the configuration file, each key described once.

A class is a kind of table and a field of it a key: its name and type are what the program sees, its record
what the operator sees. Reading, errors and the reference in docs/settings.md are read off these records. A
new key is one field here; a new kind of table is a class, and one field of `Policy`.
"""

from dataclasses import dataclass, field
from typing import Final

from priolb.config.document import Place
from priolb.config.parse import Choice, Count, Switch, Word
from priolb.config.record import key, required_key, tables

ORIGINAL: Final = "original"

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
    codel: bool = key(
        Switch(), "codel", "false", "switch",
        meaning="While it is congested, serve the newest first and refuse what has waited for long.",
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
        Choice((ORIGINAL,)), "discipline", ORIGINAL, "word",
        meaning="Which lane is next. original = of three lanes, the first two in the ratio of "
        "ITEMS_FASTTRACK_PER_HIGHPRIO, the third after both.",
    )
    lanes: tuple[LaneSpec, ...] = tables(
        LaneSpec, "lane", most=_LANES_MAX,
        meaning="A lane; the best one comes first. Without any there are the three of the original.",
    )
# fmt: on
