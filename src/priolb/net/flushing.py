"""Connections that put their writes off to the end of a turn of the loop."""

from __future__ import annotations

from priolb.core.timers import Lapsing


class Flushing(Lapsing):
    """A connection whose writes leave when the engine says so."""

    __slots__ = ()

    def flush(self) -> None:
        """Send what was put off."""
        raise NotImplementedError
