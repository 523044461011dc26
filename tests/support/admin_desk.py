"""The admin API over nodes that are in the hands of a test."""

import asyncio
from collections.abc import Iterator
from ipaddress import ip_network

from priolb.admin.access import AdminAccess
from priolb.admin.api import AdminApi
from priolb.admin.debug import DebugPages
from priolb.http.messages import LocalRequest
from support.memory_log import MemoryLog

TEXT = b"text/plain; charset=utf-8"
URI = b'{"uri":"http://a:1"}'
STRANGER = "203.0.113.9"
TOKEN = "Authorization: Bearer s3cret"


class FakeNodes:
    """Nodes of which each change ends as told."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.members = ["http://a:1"]
        self.changes: list[tuple[str, str]] = []
        self._fault = fault

    def uris(self) -> list[str]:
        return self.members

    async def add(self, uri: str) -> None:
        self._change("add", uri)

    async def remove(self, uri: str) -> bool:
        self._change("remove", uri)
        return uri in self.members

    def details(self) -> Iterator[dict[str, object]]:
        for uri in self.members:
            yield {"uri": uri, "state": "up"}

    def change(self, uri: str, order: dict[str, object]) -> bool:
        self._change(f"change {sorted(order.items())}", uri)
        return uri in self.members

    def _change(self, kind: str, uri: str) -> None:
        if self._fault is not None:
            raise self._fault
        self.changes.append((kind, uri))


class RecordingRefusals:
    """Keeps what it is told as lines of a log, and when."""

    def __init__(self, log: MemoryLog) -> None:
        self.times: list[float] = []
        self._log = log

    def call_refused(self, call: dict[str, str], peer: str, status: int, detail: str, now: float) -> None:
        self._log.warning("Admin call refused", **call, peer=peer, status=status, err=detail)
        self.times.append(now)


async def a_page() -> bytes:
    return b"up 1\n"


class Desk:
    """An API with all that it works on."""

    def __init__(
        self, fault: BaseException | None = None, is_ready: bool = True, has_debug: bool = True
    ) -> None:
        self.nodes = FakeNodes(fault)
        self.log = MemoryLog()
        access = AdminAccess([ip_network("127.0.0.0/8")], "s3cret")
        debug = DebugPages(self.log, has_log_test=False, has_pprof=True) if has_debug else None
        self.refusals = RecordingRefusals(self.log)
        self.api = AdminApi(
            self.nodes, access, lambda: is_ready, a_page, debug, self.log, self.refusals, lambda: 7.0
        )

    def ask(self, request: LocalRequest) -> tuple[int, bytes, bytes, bytes]:
        async def main() -> tuple[int, bytes, bytes, bytes]:
            response = await self.api.handle(request)
            return response.status, response.body, response.content_type, response.fields

        return asyncio.run(main())
