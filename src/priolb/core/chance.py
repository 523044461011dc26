"""Where randomness comes from."""

from __future__ import annotations

from typing import Final, Protocol


class Chance(Protocol):
    """A generator of random numbers; `random.Random` is one."""

    def random(self) -> float:
        """Return a number from 0 up to, and without, 1."""


class _Middle:
    __slots__ = ()

    def random(self) -> float:
        return 0.5


MIDDLE: Final = _Middle()
"""Chance that always falls in the middle."""
