"""Clients that speak https to the balancer."""

import contextlib
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect as connect_websocket

from support.balancer import Line
from support.certificates import ECDSA, RSA, Authority
from support.factories import Connect, Launch, NewNode
from support.programs import program
from support.scripted_node import always
from support.websocket_node import WebSocketScript
from support.wire import CUT, PATIENCE_S, Client, post, request

MB = 1024 * 1024


@pytest.fixture
def secure(authority: Authority) -> dict[str, str]:
    """Settings of a balancer with a certificate for localhost."""
    cert_file, key_file = authority.issue("localhost", "own")
    return {"TLS_CERT": cert_file, "TLS_KEY": key_file}


class SecureClient(Client):
    """One connection by TLS; what is sent and read is as with any other."""

    def __init__(self, port: int, authority: Authority, receive_bytes: int = 0) -> None:
        super().__init__(port, receive_bytes)
        self.socket = authority.client_context().wrap_socket(
            self.socket, server_hostname="localhost", suppress_ragged_eofs=False
        )

    @property
    def certificate(self) -> bytes:
        """The certificate that the server has shown."""
        assert isinstance(self.socket, ssl.SSLSocket)
        shown = self.socket.getpeercert(binary_form=True)
        assert shown is not None
        return shown


def der_of(file: str) -> bytes:
    """Return the certificate in a PEM file."""
    return ssl.PEM_cert_to_DER_cert(Path(file).read_text())


def test_curl_gets_its_answer(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    node = new_node(always(200, b"secret"))
    balancer = launch("-nodes", node.uri, **secure)
    words = ["-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]
    target = f"https://localhost:{balancer.port}/x"
    told = "%{http_version} %{ssl_verify_result} %{num_connects}\n"
    found = subprocess.run(
        [program("curl"), *words, "--cacert", authority.ca_file, "--write-out", told, target, target],
        capture_output=True,
        timeout=2 * PATIENCE_S,
        check=True,
    )
    assert found.stdout == b"secret1.1 0 1\nsecret1.1 0 0\n"
    assert node.requests[0].field("x-forwarded-proto") == "https"
    assert (
        node.requests[0].field("forwarded") == f'for=127.0.0.1;proto=https;host="localhost:{balancer.port}"'
    )


def test_httpx_sends_and_gets_large_bodies(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    balancer = launch("-nodes", new_node(lambda call: call.answer(200, call.body)).uri, **secure)
    with httpx.Client(verify=authority.client_context(), trust_env=False, timeout=PATIENCE_S) as client:
        for size in (0, 1, 16_384, 16_385, 5 * MB):
            body = bytes(range(256)) * (size // 256) + bytes(size % 256)
            assert client.post(f"https://localhost:{balancer.port}/", content=body).content == body


def test_a_websocket_by_tls(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    balancer = launch("-nodes", new_node(WebSocketScript()).uri, **secure)
    url, context = f"wss://localhost:{balancer.port}/socket", authority.client_context()
    with connect_websocket(url, ssl=context, max_size=None, proxy=None) as client:
        for message in ("hello", b"x" * 5 * MB):
            client.send(message)
            assert client.recv(PATIENCE_S) == message


# Another certificate


@pytest.mark.parametrize("kinds", [(RSA, ECDSA), (ECDSA, RSA)], ids=["RSA to ECDSA", "ECDSA to RSA"])
def test_a_certificate_is_replaced_while_the_program_runs(
    launch: Launch, authority: Authority, exits: ExitStack, kinds: tuple[Any, Any]
) -> None:
    """Also by one whose key is of another kind; connections that are open go on."""
    cert_file, key_file = authority.issue("localhost", "own", kinds[0])
    before = der_of(cert_file)
    balancer = launch(TLS_CERT=cert_file, TLS_KEY=key_file)
    client = exits.enter_context(SecureClient(balancer.port, authority))
    assert client.certificate == before
    authority.issue("localhost", "own", kinds[1])
    balancer.wait_for("Certificate was taken up anew", file=cert_file)
    later = exits.enter_context(SecureClient(balancer.port, authority))
    assert later.certificate == der_of(cert_file) != before
    for each in (client, later):
        assert each.ask(request("GET", "/healthz"), "GET").status == 200


def test_broken_files_are_not_taken_up(launch: Launch, authority: Authority, exits: ExitStack) -> None:
    cert_file, key_file = authority.issue("localhost", "own")
    stranger, _ = authority.issue("localhost", "stranger", RSA)
    balancer = launch(TLS_CERT=cert_file, TLS_KEY=key_file)
    original = Path(cert_file).read_bytes()
    known: list[Line] = []

    def is_new_complaint(line: Line) -> bool:
        return line["level"] == "warn" and line not in known

    for broken in (b"no certificate", original[: len(original) // 2], Path(stranger).read_bytes()):
        known = list(balancer.lines)
        Path(cert_file).write_bytes(broken)
        line = balancer.wait_for_line(is_new_complaint)
        assert line["msg"] == "Certificate has changed and cannot be used; the old one stays"
        assert cert_file in line["err"]
        client = exits.enter_context(SecureClient(balancer.port, authority))
        assert client.certificate == ssl.PEM_cert_to_DER_cert(original.decode())
    Path(cert_file).write_bytes(original)
    balancer.wait_for("Certificate was taken up anew", file=cert_file)


def test_a_name_that_is_no_ascii_is_no_matter(launch: Launch, secure: dict[str, str]) -> None:
    balancer = launch(**secure)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="abcd.example")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    client = Client(balancer.port)
    client.socket.sendall(outgoing.read().replace(b"abcd.example", b"\xc3\xa4bc.example"))
    handshake = b"\x16"
    assert client.socket.recv(1) == handshake, "rather than an alert"
    assert balancer.noise == []
    client.socket.close()


# Ends


def test_a_refusal_reaches_a_client_that_is_still_sending(
    launch: Launch, secure: dict[str, str], authority: Authority
) -> None:
    balancer = launch(**secure, PAYLOAD_MAX_KB="64")
    with SecureClient(balancer.port, authority) as client:
        client.send(request("PUT", "/up", b"", "Content-Length: 50000000"))
        with contextlib.suppress(OSError):
            for _ in range(20):
                client.send(bytes(100_000))
        assert client.receive("PUT").status == 413


def test_a_client_that_vanishes_in_the_middle_of_its_answer_frees_the_node(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, **secure)
    with SecureClient(balancer.port, authority) as client:
        client.send(post())
        call = node.next_call()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        client.receive_head()
        client.socket.shutdown(socket.SHUT_RDWR)
    call.wait_left()


def test_an_answer_that_breaks_off_does_not_end_in_order(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    """To a client of HTTP/1.0 the end of the connection is the end of the body: here TLS has to tell."""
    node = new_node()
    balancer = launch("-nodes", node.uri, **secure)
    with SecureClient(balancer.port, authority) as client:
        client.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
        call = node.next_call()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        client.receive_head()
        assert client.read_exactly(4) == b"half"
        call.close()
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            client.read_to_end()


def test_an_answer_up_to_the_end_of_the_connection_ends_in_order(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    node = new_node(always(200, b"all of it"))
    balancer = launch("-nodes", node.uri, **secure)
    with SecureClient(balancer.port, authority) as client:
        client.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
        client.receive_head()
        assert client.read_to_end() == b"all of it"


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(100), b""]
)
def test_who_speaks_no_tls_is_shown_the_door(
    launch: Launch, secure: dict[str, str], connect: Connect, authority: Authority, hello: bytes
) -> None:
    balancer = launch(**secure, HEAD_TIMEOUT="0.3")
    client = connect(balancer)
    client.send(hello)
    with contextlib.suppress(*CUT):
        client.read_to_end()
    with SecureClient(balancer.port, authority) as other:
        assert other.ask(request("GET", "/healthz"), "GET").status == 200


def test_the_end_of_an_answer_waits_for_a_client_that_reads_on(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    """Two seconds after it was to be closed, a connection was, whatever was still on its way."""
    node = new_node(always(200, bytes(16 * MB), "Connection: close"))
    balancer = launch("-nodes", node.uri, **secure)
    with SecureClient(balancer.port, authority, 65_536) as client:
        client.send(post(b"{}", "Connection: close"))
        client.receive_head()
        is_over, read = threading.Event(), 0
        while not any(line["msg"] == "Request completed" for line in balancer.lines):
            read += client.skip(16_384)
            is_over.wait(0.005)
        is_over.wait(2.5)
        assert client.skip(16 * MB - read) == 16 * MB - read
        assert client.is_ended()


def test_a_client_that_does_not_say_goodbye_is_not_waited_for(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    balancer = launch("-nodes", new_node(always(200, b"ok")).uri, **secure, CLIENT_STALL_TIMEOUT="60")
    with SecureClient(balancer.port, authority) as client:
        assert client.ask(post(b"{}", "Connection: close")).body == b"ok"
        plain = socket.socket(fileno=client.socket.detach())  # so that what TLS says is not answered
        with plain:
            plain.settimeout(PATIENCE_S)
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(65_536):
                    pass
    assert not [line for line in balancer.lines if line["msg"] == "Connection rejected"]


def test_connections_of_one_peer_count_before_they_have_shown_anything(
    launch: Launch, secure: dict[str, str], connect: Connect, authority: Authority
) -> None:
    """Connections whose handshake was not over yet counted for nothing, and there could be thousands."""
    balancer = launch(**secure, CONNECTIONS_PER_PEER="2")
    silent = [connect(balancer) for _ in range(2)]
    turned_away = connect(balancer)
    with contextlib.suppress(*CUT):
        assert turned_away.read_to_end() == b""
    line = balancer.wait_for("Connection rejected")
    assert (line["peer"], line["statusCode"], line["err"]) == ("127.0.0.1", 0, "too_many_connections")
    silent[0].send(b"no TLS at all\r\n\r\n")
    with contextlib.suppress(*CUT):
        silent[0].read_to_end()
    with SecureClient(balancer.port, authority) as client:
        assert client.ask(request("GET", "/healthz"), "GET").status == 200


def test_a_slow_reader_of_a_large_answer_gets_all_of_it(
    launch: Launch, new_node: NewNode, secure: dict[str, str], authority: Authority
) -> None:
    node = new_node(always(200, bytes(32 * MB)))
    balancer = launch("-nodes", node.uri, **secure)
    with SecureClient(balancer.port, authority, 65_536) as client:
        client.send(post())
        client.receive_head()
        assert client.skip(32 * MB) == 32 * MB
        assert client.ask(request("GET", "/healthz"), "GET").status == 200
