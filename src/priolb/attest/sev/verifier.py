"""The verifier of one SEV node: a fresh nonce with every connection."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from priolb.attest.sev.measurements import Measurements
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sev.verify import NONCE_BYTES, verify_sev
from priolb.attest.verdict import Verdict


class SevVerifier:
    """Asks for evidence by a nonce in the server name of the handshake, as Constellation's aTLS does.

    Args:
        expected: values of the PCRs.
        policy: everything else that the node is held to.
        clock: gives Unix seconds.
        random_bytes: gives bytes that nobody can foretell.
    """

    __slots__ = ("_clock", "_expected", "_policy", "_random_bytes")

    kind = "SEV"

    def __init__(
        self,
        expected: Measurements,
        policy: SevPolicy,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._expected = expected
        self._policy = policy
        self._clock = clock
        self._random_bytes = random_bytes

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        """Return a nonce, and its base64 for the server name: the host is not told."""
        nonce = self._random_bytes(NONCE_BYTES)
        return base64.b64encode(nonce).decode(), nonce

    def verify(self, leaf: bytes, nonce: bytes) -> Verdict:
        return verify_sev(leaf, self._expected, self._policy, self._clock(), nonce)

    def verify_again(self, leaf: bytes) -> Verdict | None:
        """Return None: the evidence was for one connection and says nothing later."""
        return None
