"""Where randomness comes from."""

from __future__ import annotations

from typing import Protocol


class Chance(Protocol):
    """A generator of random numbers; `random.Random` is one."""

    def random(self) -> float:
        """Return a number from 0 up to, and without, 1."""
