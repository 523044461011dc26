"""The TLS context by itself; over real connections it is tested in e2e/test_attested_tls.py."""

import ssl
from typing import Any

import pytest
import trustme

from priolb.attest.context import AttestedContext, AttestedObject, NotAttestedError
from priolb.attest.verdict import Refusal, Verdict


class Judge:
    """An attestor with one answer."""

    def __init__(self, outcome: Verdict | Exception) -> None:
        self.outcome = outcome
        self.hosts: list[str | None] = []
        self.judged: list[tuple[bytes, bytes]] = []

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        self.hosts.append(host)
        return "a-name", b"nonce"

    def judge(self, leaf: bytes, nonce: bytes) -> Verdict:
        self.judged.append((leaf, nonce))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Pair:
    """A client of the context and a server, joined in memory."""

    def __init__(self, judge: Judge) -> None:
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(server_context)
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.names: list[str | None] = []
        server_context.sni_callback = lambda _object, name, _context: self.names.append(name)
        self.client = AttestedContext(judge).wrap_bio(down, up, server_hostname="the-host")
        self.server = server_context.wrap_bio(up, down, server_side=True)

    def shake_hands(self) -> None:
        for _ in range(3):
            for side in (self.client, self.server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue


def test_a_proven_node_may_be_talked_to() -> None:
    judge = Judge(Verdict("SEV"))
    pair = Pair(judge)
    pair.shake_hands()
    leaf = pair.client.getpeercert(binary_form=True)
    assert judge.judged == [(leaf, b"nonce")], "asked once, however often the loop calls"
    assert (judge.hosts, pair.names) == (["the-host"], ["a-name"])
    assert isinstance(pair.client, AttestedObject)
    assert pair.client.write(b"ping") == 4
    assert pair.server.read() == b"ping"
    pair.server.write(b"pong")
    assert pair.client.read(4) == b"pong"
    pair.server.write(b"pong")
    buffer = bytearray(4)
    count: Any = pair.client.read(4, buffer)
    assert (count, bytes(buffer)) == (4, b"pong")


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Verdict("SEV", Refusal.ID_KEY, "unknown"), "not attested: id_key: unknown"),
        (KeyError("x"), "not attested: KeyError: 'x'"),
        (OSError("gone"), "not attested: OSError: gone"),
    ],
)
def test_a_node_that_has_not_proven_itself_is_not_talked_to(outcome: Verdict | Exception, text: str) -> None:
    pair = Pair(Judge(outcome))
    with pytest.raises(NotAttestedError) as caught:
        pair.shake_hands()
    assert (caught.value.strerror, isinstance(caught.value, ssl.SSLCertVerificationError)) == (text, True)
    for use in (lambda: pair.client.write(b"ping"), lambda: pair.client.read(1)):
        with pytest.raises(
            ssl.SSLCertVerificationError, match=r"^not attested: the handshake was not finished$"
        ):
            use()
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.read()


def test_no_certificate_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(Judge(Verdict("SEV")))
    monkeypatch.setattr(ssl.SSLObject, "getpeercert", lambda *_arguments, **_options: None)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        pair.shake_hands()
    assert caught.value.strerror == "not attested: ValueError: the node showed no certificate"


def test_reading_and_writing_do_not_finish_a_handshake_by_themselves() -> None:
    judge = Judge(Verdict("SEV"))
    client = Pair(judge).client
    for use in (lambda: client.write(b"ping"), lambda: client.read(1)):
        with pytest.raises(ssl.SSLCertVerificationError):
            use()
    assert judge.judged == []


def test_it_wraps_no_socket_and_serves_nobody() -> None:
    context = AttestedContext(Judge(Verdict("SEV")))
    with pytest.raises(ValueError, match="wraps no socket"):
        context.wrap_socket(None)
    with pytest.raises(ValueError, match="for clients"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)


def test_a_host_may_come_as_bytes_or_not_at_all() -> None:
    judge = Judge(Verdict("SEV"))
    hosts: list[Any] = [b"host", None]
    for host in hosts:
        AttestedContext(judge).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=host)
    assert judge.hosts == ["host", None]


def test_its_settings_are_those_of_a_client_that_trusts_evidence_alone() -> None:
    context = AttestedContext(Judge(Verdict("SEV")))
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_TICKET
    assert context.get_ca_certs() == []
