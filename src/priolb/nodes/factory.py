"""From the URI of a node to a node that requests can reach, and to what it has to prove before it gets any.

Attested and healthy are two facts. What a node has proven is told to what brings requests to it as soon as
it changes: with a connection, and without one when the collateral that a proof rests on comes, changes or
expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final

from priolb.attest.attestation import Attestation
from priolb.attest.attestors import Attestors
from priolb.attest.expectation import SevExpectation
from priolb.attest.sev.measurements import never_matching
from priolb.attest.verdict import Refusal, Verdict
from priolb.core.nodes.node import NodeState
from priolb.errors import ConfigError, UnattestedError
from priolb.http.rewrite import Target
from priolb.nodes.ports import Traffic
from priolb.nodes.slots import Slots
from priolb.nodes.uri import NodeURI, parse_node_uri
from priolb.tls import NodeTLS

COLLATERAL_TIMEOUT_S: Final = 30.0
"""How long whoever adds a node waits at most for collateral that nobody has asked for before."""


class Proof:
    """What a node has proven, and since when.

    Args:
        traffic: what brings requests to the node.

    Attributes:
        attestation: who asks for it.
        node: whose it is.
        changed_at: when it last changed, monotonic seconds; None as long as nothing was shown.
    """

    __slots__ = ("_traffic", "attestation", "changed_at", "node")

    attestation: Attestation
    node: NodeState

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self.changed_at: float | None = None

    def change(self, verdict: Verdict) -> None:
        """Take note of a verdict that is not the one before."""
        self.changed_at = self._traffic.clock()
        self._traffic.attested(self.node, f"{verdict.reason}: {verdict.detail}" if not verdict.ok else "")


class KnownNode:
    """A node that can be reached, and its proof; None for an ordinary node."""

    __slots__ = ("node", "proof")

    def __init__(self, node: NodeState, proof: Proof | None) -> None:
        self.node = node
        self.proof = proof


class NodeFactory:
    """Makes nodes known to what brings requests to them.

    Args:
        traffic: what brings requests to nodes.
        slots: how many slots nodes get.
        keeps_host: nodes are told the host that the client asked for, rather than their own.
        tls: how connections to https nodes are secured.
        attestors: who asks nodes to prove what they run.
    """

    __slots__ = ("_attestors", "_keeps_host", "_slots", "_tls", "_traffic")

    def __init__(
        self, traffic: Traffic, slots: Slots, keeps_host: bool, tls: NodeTLS, attestors: Attestors
    ) -> None:
        self._traffic = traffic
        self._slots = slots
        self._keeps_host = keeps_host
        self._tls = tls
        self._attestors = attestors

    def parse(self, uri: str) -> NodeURI:
        """Return a URI taken apart, of which `make` can make a node.

        Raises:
            ConfigError: it cannot be used, asks for what no node can prove, or needs packages that are not
                installed.
        """
        parsed = usable_node_uri(uri)
        if parsed.expectation is not None:
            self._attestors.require(parsed.expectation)
        return parsed

    def make(self, uri: NodeURI) -> KnownNode:
        """Return the node of a URI; it can be probed, but takes no part yet.

        Raises:
            ConfigError: what verifies its evidence is not installed.
        """
        proof: Proof | None = None
        tls: ssl.SSLContext | None = None
        if uri.expectation is not None:
            proof = Proof(self._traffic)
            proof.attestation = self._attestors.attest(uri.name, uri.expectation, proof.change)
            tls = proof.attestation.context
        elif uri.is_tls:
            tls = self._tls.unverified if uri.parameters.is_insecure else self._tls.verified
        traffic, parameters = self._traffic, uri.parameters
        target = Target(uri.authority, uri.path, uri.query, self._keeps_host)
        node = traffic.register(uri.name, uri.host, uri.port, tls, target, self._slots.of(parameters))
        node.weight, node.tier = parameters.weight, parameters.tier
        if self._slots.is_adaptive_for(parameters):
            now = traffic.clock()
            traffic.fleet.set_workers(node, self._slots.adaptive_most, self._slots.new_adaptive(now), now)
        if proof is not None:
            proof.node = node
            traffic.attested(node, "nothing was asked of it yet")
        return KnownNode(node, proof)

    async def check(self, known: KnownNode, timeout_s: float) -> None:
        """Send a node its first health check. When its proof fails for want of collateral, wait for that.

        Args:
            known: the node.
            timeout_s: longest wait for an answer, seconds.

        Raises:
            UnattestedError: it has not proven what it runs, and was sent nothing.
            NodeError: it cannot be reached, is late, or does not answer as expected.
        """
        try:
            await self._traffic.probe(known.node, timeout_s)
        except UnattestedError:
            assert known.proof is not None, "nobody else is asked for one"
            if not _lacks_collateral(known.proof.attestation):
                raise
        else:
            return
        with contextlib.suppress(TimeoutError):  # what is missing then is what the node is refused for
            async with asyncio.timeout(COLLATERAL_TIMEOUT_S):
                await self._attestors.collateral_arrived()
        await self._traffic.probe(known.node, timeout_s)

    def drop(self, known: KnownNode) -> None:
        """Forget a node, whether it takes part or not; what it has in flight goes on."""
        self._traffic.detach(known.node)
        if known.proof is not None:
            self._attestors.forget(known.proof.attestation)


def usable_node_uri(uri: str) -> NodeURI:
    """Return a URI taken apart.

    Raises:
        ConfigError: it cannot be used, or asks for what no node can prove.
    """
    parsed = parse_node_uri(uri)
    expectation = parsed.expectation
    never = never_matching(expectation.measurements) if isinstance(expectation, SevExpectation) else ()
    if never:
        listed = ", ".join(map(str, never))
        words = f"the measurements enforce a value that no node has for PCR {listed}"
        raise ConfigError(f"node URI {parsed.name!r}: {words}")
    return parsed


def _lacks_collateral(attestation: Attestation) -> bool:
    verdict = attestation.verdict
    return verdict is not None and verdict.refusal is Refusal.COLLATERAL_MISSING
