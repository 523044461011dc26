"""What tests ask of any order of nodes."""

from priolb.core.nodes.selection import Selection
from support.tickets import ticket

FRESH = ticket("l1")
"""A ticket that was tried nowhere."""


def best_id(selection: Selection, *tried: int) -> int | None:
    best = selection.best(frozenset(tried))
    return None if best is None else best.node_id
