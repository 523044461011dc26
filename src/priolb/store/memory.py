"""The node list in this process: `dev`, nothing to install and nothing kept."""

from typing import Final

from priolb.errors import StoreError


class MemoryStore:
    """A `Store` that ends with the object."""

    shared: Final = False

    def __init__(self) -> None:
        self._uris: dict[str, None] = {}
        self._opened = False

    async def open(self) -> None:
        self._opened = True

    async def nodes(self) -> list[str]:
        return list(self._opened_uris())

    async def add(self, uri: str) -> bool:
        uris = self._opened_uris()
        if uri in uris:
            return False
        uris[uri] = None
        return True

    async def remove(self, uri: str) -> bool:
        uris = self._opened_uris()
        if uri not in uris:
            return False
        del uris[uri]
        return True

    async def close(self) -> None:
        self._opened = False

    def describe(self) -> str:
        return "dev (in memory)"

    def _opened_uris(self) -> dict[str, None]:
        # Refused although nothing could go wrong, so that a mistake shows in development too.
        if not self._opened:
            raise StoreError(f"store {self.describe()}: not open")
        return self._uris
