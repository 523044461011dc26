"""The TLS context that lets no byte out before a node has proven what it runs.

It goes wherever an `ssl.SSLContext` goes. The proof is asked for inside the handshake, on the event loops of
asyncio and uvloop alike: whoever opened the connection gets `NotAttestedError`, and the node sees it closed.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, cast

if TYPE_CHECKING:
    from priolb.attest.verdict import Verdict


class Attestor(Protocol):
    """Who decides about the evidence of one node."""

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        """Return the name to send in the handshake of a new connection (SNI), and its nonce."""

    def judge(self, leaf: bytes, nonce: bytes) -> Verdict:
        """Return the verdict on the certificate that a connection showed."""


class NotAttestedError(ssl.SSLCertVerificationError):
    """The node has not proven what it runs, so the connection ends before anything is sent."""


class AttestedObject(ssl.SSLObject):
    """One TLS connection; its handshake ends only when the node has proven itself."""

    _nonce: bytes
    _is_proven: bool = False

    def do_handshake(self) -> None:
        """Shake hands, and then ask for the proof.

        Raises:
            NotAttestedError: the node has not proven what it runs.
        """
        super().do_handshake()
        if self._is_proven:
            return
        try:
            leaf = self.getpeercert(binary_form=True)
            if leaf is None:
                raise ValueError("the node showed no certificate")
            verdict = cast("AttestedContext", self.context).attestor.judge(leaf, self._nonce)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the connection must not be used
            _refuse(f"not attested: {type(error).__name__}: {error}")
        if not verdict.ok:
            _refuse(str(verdict))
        self._is_proven = True

    def read(self, *arguments: Any) -> Any:
        """Read from a proven node only: OpenSSL would finish a handshake by itself."""
        self._check()
        return super().read(*arguments)

    def write(self, data: Any) -> int:
        """Write to a proven node only: OpenSSL would finish a handshake by itself."""
        self._check()
        return super().write(data)

    def _check(self) -> None:
        if not self._is_proven:
            _refuse("not attested: the handshake was not finished")


class AttestedContext(ssl.SSLContext):
    """A client's context for the connections to one node.

    Args:
        attestor: who decides about the node's evidence.
    """

    attestor: Attestor

    def __new__(cls, attestor: Attestor) -> Self:
        """Make a context that trusts no certificate authority: the evidence takes their place."""
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        self.check_hostname = False
        self.verify_mode = ssl.CERT_NONE
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        # No second handshake on a connection, and none cut short by an earlier one: each shows its evidence
        # anew.
        self.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        self.sslobject_class = AttestedObject
        self.attestor = attestor
        return self

    def __init__(self, attestor: Attestor) -> None:
        super().__init__()

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return a connection that asks for the proof; it resumes no session."""
        if server_side:
            raise ValueError("an attested context is for clients")
        host = server_hostname.decode() if isinstance(server_hostname, bytes) else server_hostname
        name, nonce = self.attestor.greet(host)
        wrapped = super().wrap_bio(incoming, outgoing, server_hostname=name)
        cast("AttestedObject", wrapped)._nonce = nonce  # noqa: SLF001 - the two classes are one mechanism
        return wrapped

    def wrap_socket(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Refuse: a socket would do the handshake without asking for the proof."""
        raise ValueError("an attested context wraps no socket: only wrap_bio asks for the proof")


def _refuse(text: str) -> NoReturn:
    # With a number and a text, as the ssl module itself raises it: the text alone is then its strerror.
    raise NotAttestedError(1, text)
