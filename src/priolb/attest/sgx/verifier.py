"""The verifier of one SGX node: what was accepted is remembered for an hour."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.policy import SgxPolicy
from priolb.attest.sgx.verify import verify_sgx
from priolb.attest.verdict import Refusal, Verdict

REMEMBERED_S: Final = 3600.0
_REMEMBERED_MAX: Final = 64

# Collateral that is fetched now may turn these around.
_WANTS_COLLATERAL: Final = frozenset({Refusal.COLLATERAL_MISSING, Refusal.COLLATERAL_EXPIRED})


class Library(Protocol):
    """Where collateral is kept in memory."""

    @property
    def held(self) -> Mapping[Platform, Collateral]:
        """What is at hand."""

    def want(self, platform: Platform) -> None:
        """Fetch this collateral soon, and keep it fresh from now on."""


class SgxVerifier:
    """Verifies the certificate that an enclave shows, as Gramine's RA-TLS does.

    The handshake shows that the node has the key which the quote names, so the quote itself needs no nonce,
    and a verdict on the same certificate may be used again. It is kept under the certificate and the
    collateral that it rests on; MRENCLAVE and policy are those of this verifier alone. Refusals are not
    kept.

    Args:
        mrenclave: hash of the enclave, 32 bytes.
        policy: everything else that the node is held to.
        library: where collateral is.
        clock: gives Unix seconds.
    """

    __slots__ = ("_clock", "_library", "_mrenclave", "_policy", "_remembered")

    kind = "SGX"

    def __init__(
        self, mrenclave: bytes, policy: SgxPolicy, library: Library, clock: Callable[[], float]
    ) -> None:
        self._mrenclave = mrenclave
        self._policy = policy
        self._library = library
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[Verdict, bytes, float]] = OrderedDict()

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        """Return the host, which is sent as it is, and no nonce."""
        return host, b""

    def verify(self, leaf: bytes, nonce: bytes) -> Verdict:
        now = self._clock()
        key = hashlib.sha256(leaf).digest()
        known = self._known(key, now)
        if known is not None:
            return known
        verdict = verify_sgx(leaf, self._mrenclave, self._policy, self._library.held, now)
        platform = Platform(*verdict.platform) if verdict.platform is not None else None
        if platform is not None and verdict.ok:
            self._library.want(platform)
            until = min(now + REMEMBERED_S, verdict.valid_until)
            self._remembered[key] = verdict, self._library.held[platform].digest, until
            if len(self._remembered) > _REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        elif platform is not None and verdict.refusal in _WANTS_COLLATERAL:
            self._library.want(platform)
        return verdict

    def verify_again(self, leaf: bytes) -> Verdict | None:
        return self.verify(leaf, b"")

    def _known(self, key: bytes, now: float) -> Verdict | None:
        if key not in self._remembered:
            return None
        verdict, digest, until = self._remembered[key]
        assert verdict.platform is not None
        held = self._library.held.get(Platform(*verdict.platform))
        if now < until and held is not None and held.digest == digest:
            return verdict
        del self._remembered[key]
        return None
