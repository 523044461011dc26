"""Connections that put their writes off to the end of a turn of the loop."""

from __future__ import annotations

from typing import Final

from priolb.core.timers import Lapsing

# After a read of this length more is to be expected, and an event loop goes on reading while there is more: 8
# MB of one connection before any other has its turn. So such a connection rests until the end of the turn.
LONG_READ_BYTES: Final = 131072

# What is longer is not copied behind what leaves before it: to hand over both costs less. Nor is it put off
# to the end of the turn, as the loop may read from a node many times in a turn.
SHORT_MAX_BYTES: Final = 16384


class Flushing(Lapsing):
    """A connection whose writes leave when the engine says so."""

    __slots__ = ()

    def flush(self) -> None:
        """Send what was put off."""
        raise NotImplementedError
