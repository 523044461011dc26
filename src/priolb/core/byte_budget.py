"""Bounds on what is held."""

from __future__ import annotations


class ByteBudget:
    """Bytes of request bodies that may be held at once, over all lanes and uploads.

    Args:
        limit_bytes: most bytes held.
    """

    __slots__ = ("held_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes: int = limit_bytes
        self.held_bytes: int = 0

    def has_room(self, size_bytes: int) -> bool:
        """Return whether `size_bytes` more could be held."""
        return self.held_bytes + size_bytes <= self.limit_bytes

    def take(self, size_bytes: int) -> bool:
        """Hold `size_bytes` more; False, and nothing done, when that is over the limit."""
        held_bytes = self.held_bytes + size_bytes
        if held_bytes > self.limit_bytes:
            return False
        self.held_bytes = held_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """Let go of bytes taken before."""
        self.held_bytes -= size_bytes
        assert self.held_bytes >= 0
