"""What becomes of a store whose server goes away, comes back, hangs and wakes up."""

import asyncio
import time

import pytest
import uvloop
from redis.asyncio.client import Pipeline

from priolb.errors import StoreError
from priolb.store import open_store
from priolb.store.address import redis_address
from priolb.store.redis import RedisStore
from support.redis_server import RedisServer

A, B, C = "http://a:8545", "http://b:8545", "http://c:8545"


def test_a_server_away_at_open_is_an_error_and_a_second_open_works(own_server: RedisServer) -> None:
    async def main() -> None:
        own_server.stop()
        store = open_store(own_server.address, "")
        began = time.monotonic()
        with pytest.raises(StoreError) as caught:
            await store.open()
        assert time.monotonic() - began < 4
        assert str(caught.value).startswith(f"store redis://{own_server.address}/0: ")
        assert "refused" in str(caught.value) or "Connect call failed" in str(caught.value)
        own_server.start()
        await store.open()
        assert await store.nodes() == []
        await store.close()

    asyncio.run(main())


def test_a_host_that_is_not_there_is_an_error() -> None:
    store = open_store("nowhere.invalid:6379", "")
    with pytest.raises(StoreError, match=r"^store redis://nowhere\.invalid:6379/0: "):
        asyncio.run(store.open())


def test_a_server_away_later_fails_each_call_and_the_first_call_after_its_return_works(
    own_server: RedisServer,
) -> None:
    async def main() -> None:
        store = open_store(own_server.address, "")
        await store.open()
        await store.add(A)
        own_server.stop()
        for call in (store.nodes(), store.add(B), store.remove(A), store.nodes()):
            with pytest.raises(StoreError, match=f"^store redis://{own_server.address}/0: "):
                await call
        own_server.start()
        assert await store.add(C) is True
        assert await store.nodes() == [C]
        await store.close()

    asyncio.run(main())


def test_a_restart_between_two_calls_is_not_noticed(own_server: RedisServer) -> None:
    """The idle connection is dead, which shows only when it is used."""

    async def main() -> None:
        store = open_store(own_server.address, "")
        await store.open()
        own_server.stop()
        own_server.start()
        assert await store.nodes() == []
        own_server.stop()
        own_server.start()
        assert await store.add(A) is True
        await store.close()

    asyncio.run(main())


def test_a_server_that_hangs_fails_open_within_three_and_a_call_within_two_seconds(
    own_server: RedisServer,
) -> None:
    async def main() -> None:
        opened, unopened = open_store(own_server.address, ""), open_store(own_server.address, "")
        await opened.open()
        own_server.pause()
        began = time.monotonic()
        calls = (opened.nodes(), opened.add(A), opened.remove(A))
        opening = asyncio.create_task(unopened.open())
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert 1.5 < time.monotonic() - began < 4
        expected = f"store redis://{own_server.address}/0: no answer within 2 s"
        assert [str(error) for error in errors] == [expected] * 3
        assert all(isinstance(error, StoreError) for error in errors)
        with pytest.raises(StoreError, match="no answer within"):
            await opening
        assert time.monotonic() - began < 5
        await opened.close()

    asyncio.run(main())


def test_a_server_that_hung_is_usable_by_the_next_call_after_it(own_server: RedisServer) -> None:
    """Answers that come late are not taken for those of later calls."""

    async def main() -> None:
        store = RedisStore(redis_address(own_server.address), "", call_timeout_s=0.7)
        await store.open()
        await store.add(A)
        own_server.pause()
        for _ in range(2):
            with pytest.raises(StoreError, match=r"no answer within 0\.7 s"):
                await store.nodes()
        own_server.resume()
        assert await store.add(C) is True
        assert await store.nodes() == [A, C]
        await store.close()

    asyncio.run(main())


def test_a_server_that_hangs_in_the_middle_of_a_change_is_given_up_in_time(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change may still be made when the server wakes up; the list is whole either way."""
    multi = Pipeline.multi

    def pause_and_multi(pipeline: Pipeline) -> None:
        own_server.pause()
        multi(pipeline)  # type: ignore[no-untyped-call]  # the client leaves it untyped

    async def main() -> None:
        store = RedisStore(redis_address(own_server.address), "", call_timeout_s=0.7)
        await store.open()
        await store.add(A)
        with monkeypatch.context() as patch:
            patch.setattr(Pipeline, "multi", pause_and_multi)
            began = time.monotonic()
            with pytest.raises(StoreError, match=r"no answer within 0\.7 s"):
                await store.add(B)
            assert time.monotonic() - began < 4
        own_server.resume()
        assert await store.nodes() in ([A], [A, B])
        await store.add(C)
        assert await store.nodes() in ([A, C], [A, B, C])
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"$abc\r\n", "ValueError: invalid literal for int() with base 10: b'abc'"),
        (b"$-5\r\n", "ValueError: readexactly size can not be less than zero"),
        (b"*2\r\n:1\r\n:2\r\n", "TypeError: the JSON object must be str, bytes or bytearray, not list"),
        (b"*1\r\n" * 3000, "RecursionError: "),
    ],
    ids=["no number", "negative", "list", "nested"],
)
def test_what_does_not_speak_redis_is_named_with_the_cause(answer: bytes, cause: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(answer)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(StoreError) as caught:
            await open_store(address, "").open()
        assert str(caught.value).startswith(f"store redis://{address}/0: no answer of Redis ({cause}")
        server.close()

    asyncio.run(main())


def test_a_reset_between_two_calls_is_not_noticed(own_server: RedisServer) -> None:
    """The loop has closed the connection before the client hears of it: a RuntimeError with uvloop."""

    async def main() -> None:
        store = RedisStore(redis_address(own_server.address), "")
        await store.open()
        for change in (store.add(A), store.add(B), store.remove(A)):
            assert store._client is not None
            for connection in store._client.connection_pool._available_connections:
                assert connection._writer is not None
                connection._writer.transport.abort()
            assert await change is True
        assert await store.nodes() == [B]
        await store.close()

    uvloop.run(main())
