"""Nodes that prove what they run, on a loop and a thread of their own: a command has a loop itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from priolb.attest.sgx.collateral import Collateral
from support.der_build import PrivateKey
from support.live_nodes import sev_leaf
from support.sev_evidence import SevNode
from support.sgx_evidence import SgxNode, intel
from support.tls_server import Certify, NodeServer


class AttestedNode:
    """A running node."""

    def __init__(self, folder: Path, key: PrivateKey, certify: Certify) -> None:
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._server = NodeServer(folder, key, certify)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._started.wait(10)

    @property
    def port(self) -> int:
        return self._server.port

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def collateral(self) -> Collateral:
        """Return collateral that is valid now."""
        now = time.time()
        start, end = now - 60, now + 86_400
        crls = {"pck_crl": intel().ca.crl((), start, end), "root_ca_crl": intel().root.crl((), start, end)}
        return intel().collateral(start=start, end=end, **crls)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with self._server:
            self._started.set()
            await self._stop.wait()


@contextmanager
def sev_node(folder: Path, node: SevNode) -> Iterator[AttestedNode]:
    """Run a SEV node."""
    running = AttestedNode(folder, node.tls_key, lambda nonce: sev_leaf(node, nonce))
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def sgx_node(folder: Path) -> Iterator[AttestedNode]:
    """Run a SGX node."""
    node = SgxNode()
    running = AttestedNode(folder, node.tls_key, lambda _nonce: node.certificate())
    try:
        yield running
    finally:
        running.stop()
