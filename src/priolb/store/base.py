"""What the program asks of the place where the node list lives.

A store keeps one ordered list of node URIs and nothing else: whether a node is healthy, how many
slots it has and whether it is draining are facts of a running program. The list in the store is
the truth; the node pool follows it.

`tests/contract/test_store.py` runs these sentences against every implementation.
"""

from typing import Protocol

# A change is part of an administrator's request and an open is part of a start: both are better
# refused than late.
CALL_TIMEOUT_S = 2.0
OPEN_TIMEOUT_S = 3.0


class Store(Protocol):
    """An ordered list of distinct node URIs that outlives a call, and maybe the process.

    All calls but `describe` raise `StoreError` when the store is away, slow, not open, or holds
    something that is no node list. The text names the store and never holds a password. A store
    that was away is usable again by the next call after it came back; nothing has to be reopened.

    A change that ended in `StoreError` because no answer came in time may still be made by the
    store afterwards: whoever must know reads the list again.
    """

    @property
    def shared(self) -> bool:
        """True when another process may change the list, so that it has to be read again."""

    async def open(self) -> None:
        """Reach the store and read the list once; may be tried again after it failed.

        Raises:
            StoreError: the store cannot be used; raised within about `OPEN_TIMEOUT_S`.
        """

    async def nodes(self) -> list[str]:
        """The node URIs in the order in which they were added."""

    async def add(self, uri: str) -> bool:
        """Append a URI; False when it is already in the list, which then keeps its order.

        Changes are atomic: of two that happen at the same moment, in whatever processes, both
        are kept.
        """

    async def remove(self, uri: str) -> bool:
        """Take a URI out of the list; False when it is not in it. Atomic as `add` is."""

    async def close(self) -> None:
        """Let go of connections, files and threads; harmless when the store is not open."""

    def describe(self) -> str:
        """Which store this is, for logs and errors; never holds a password."""
