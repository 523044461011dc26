"""The ways to a server: passwords, databases, a Unix socket, TLS."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from priolb.errors import StoreError
from priolb.store import open_store
from support.redis_server import RedisServer
from support.tls_relay import tls_relay

A = "http://a:8545"
PASSWORD = "hunter2:/@ä"
ENCODED_PASSWORD = "hunter2%3A%2F%40%C3%A4"


@pytest.mark.parametrize("user_info", [f":{ENCODED_PASSWORD}", f"default:{ENCODED_PASSWORD}"])
def test_a_password_lets_in_and_is_not_described(tmp_path: Path, user_info: str) -> None:
    async def main(server: RedisServer) -> None:
        store = open_store(f"redis://{user_info}@{server.address}/3", "")
        assert store.describe() == f"redis://{server.address}/3"
        await store.open()
        assert await store.add(A) is True
        await store.close()

    with RedisServer(tmp_path, "--requirepass", PASSWORD) as server:
        asyncio.run(main(server))


def test_a_wrong_password_and_none_are_errors_that_do_not_repeat_it(tmp_path: Path) -> None:
    async def reason(uri: str) -> str:
        with pytest.raises(StoreError) as caught:
            await open_store(uri, "").open()
        assert caught.value.__cause__ is None
        return str(caught.value)

    with RedisServer(tmp_path, "--requirepass", PASSWORD) as server:
        wrong = asyncio.run(reason(f"redis://:wrong-secret@{server.address}"))
        none = asyncio.run(reason(server.address))
    store = f"store redis://{server.address}/0: "
    assert wrong.startswith(store)
    assert "invalid username-password pair" in wrong
    assert "wrong-secret" not in wrong
    assert none.startswith(store)
    assert "Authentication required" in none


def test_a_server_that_repeats_the_password_does_not_bring_it_into_the_error(tmp_path: Path) -> None:
    """A server that does not know `AUTH` quotes its arguments."""

    async def main(server: RedisServer) -> None:
        with pytest.raises(StoreError) as caught:
            await open_store(f"redis://:hunter2@{server.address}", "").open()
        assert "unknown command" in str(caught.value)
        assert "***" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    with RedisServer(tmp_path, "--rename-command", "AUTH", "") as server:
        asyncio.run(main(server))


def test_a_unix_socket_works(tmp_path: Path) -> None:
    # Made short: the path of a socket has at most 107 bytes.
    socket_path = tmp_path / "r.sock"

    async def main() -> None:
        uri = f"unix://{socket_path}?db=2&password={ENCODED_PASSWORD}"
        store = open_store(uri, "")
        assert store.describe() == f"unix://{socket_path}?db=2"
        await store.open()
        assert await store.add(A) is True
        assert await store.nodes() == [A]
        await store.close()

    with RedisServer(tmp_path, "--requirepass", PASSWORD, "--unixsocket", str(socket_path)):
        asyncio.run(main())


def test_a_unix_socket_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        asyncio.run(open_store(f"unix://{tmp_path}/none.sock", "").open())


def test_databases_of_one_server_are_apart(shared_server: RedisServer, prefix: str) -> None:
    async def main() -> None:
        one = open_store(f"redis://{shared_server.address}/1", prefix)
        two = open_store(f"redis://{shared_server.address}?db=2", prefix)
        await one.open()
        await two.open()
        await one.add(A)
        assert await one.nodes() == [A]
        assert await two.nodes() == []
        await one.close()
        await two.close()

    asyncio.run(main())


def test_tls_works_with_the_right_authority_and_refuses_every_other(
    shared_server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stranger.cert_pem.write_to_path(tmp_path / "stranger.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def main() -> None:
        async with tls_relay(context, shared_server.port) as port:
            store = open_store(f"rediss://localhost:{port}?ssl_ca_certs={tmp_path}/ca.pem", prefix)
            assert store.describe() == f"rediss://localhost:{port}/0"
            await store.open()
            assert await store.add(A) is True
            assert await store.nodes() == [A]
            await store.close()

            for options in ("", f"?ssl_ca_certs={tmp_path}/stranger.pem"):
                refusing = open_store(f"rediss://localhost:{port}{options}", prefix)
                with pytest.raises(StoreError, match=f"^store rediss://localhost:{port}/0: "):
                    await refusing.open()

            wrong_name = f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/ca.pem"
            with pytest.raises(StoreError, match="certificate"):
                await open_store(wrong_name, prefix).open()
            for options in ("&ssl_check_hostname=false", "&ssl_cert_reqs=none"):
                trusting = open_store(f"{wrong_name}{options}", prefix)
                await trusting.open()
                assert await trusting.nodes() == [A]
                await trusting.close()

    asyncio.run(main())
