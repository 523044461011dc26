"""Listening sockets: on which addresses, and what is said when there are none."""

import socket

import pytest

from priolb.errors import ConfigError
from priolb.net.front.sockets import listen

Found = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str | int, ...]]]

TCP = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")


def resolve_to(monkeypatch: pytest.MonkeyPatch, found: Found) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)


def close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def test_an_address_is_listened_on_and_the_system_chooses_the_port() -> None:
    [listener] = listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    assert host == "127.0.0.1"
    assert port > 0
    assert not listener.getblocking()
    socket.create_connection(("127.0.0.1", port)).close()
    listener.close()


def test_all_addresses_of_a_name_are_listened_on_at_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(
        monkeypatch,
        [
            (socket.AF_INET, *TCP, ("127.0.0.1", 0)),
            (socket.AF_INET, *TCP, ("127.0.0.2", 0)),
            (socket.AF_INET, *TCP, ("127.0.0.1", 0)),
        ],
    )
    sockets = listen("name", 0)
    (first, port), (second, same_port) = [each.getsockname() for each in sockets]
    close(sockets)
    assert (first, second) == ("127.0.0.1", "127.0.0.2")
    assert port == same_port


def test_an_address_that_this_machine_does_not_have_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(
        monkeypatch,
        [(socket.AF_INET, *TCP, ("192.0.2.1", 0)), (socket.AF_INET, *TCP, ("127.0.0.1", 0))],
    )
    sockets = listen("name", 0)
    assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1"]
    close(sockets)


def test_a_name_of_which_this_machine_has_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, [(socket.AF_INET, *TCP, ("192.0.2.1", 8080))])
    with pytest.raises(ConfigError, match=r"^cannot listen on name:8080: Cannot assign requested address$"):
        listen("name", 8080)


def test_a_name_without_any_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, [])
    with pytest.raises(ConfigError, match=r"^cannot listen on name:8080: no address$"):
        listen("name", 8080)


def test_a_port_that_is_taken_is_named_and_nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        resolve_to(
            monkeypatch,
            [(socket.AF_INET, *TCP, ("127.0.0.1", port)), (socket.AF_INET, *TCP, ("127.0.0.2", port))],
        )
        with pytest.raises(ConfigError, match=rf"^cannot listen on name:{port}: Address already in use$"):
            listen("name", port)
    with socket.create_server(("127.0.0.1", port)) as free:
        assert free.getsockname()[1] == port


def test_a_name_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConfigError, match=r"^cannot listen on name:80: Name or service not known$"):
        listen("name", 80)


def test_a_name_that_cannot_be_one_is_named() -> None:
    """The codec for names raises an error of its own, before anything is looked up."""
    with pytest.raises(ConfigError, match=r"^cannot listen on a\.\.b:80: .*'idna' codec"):
        listen("a..b", 80)


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_ipv6_leaves_ipv4_to_a_socket_of_its_own() -> None:
    try:
        [listener] = listen("::1", 0)
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert listener.getsockname()[0] == "::1"
