"""What other clients of the server can do to a store: hold other data in its key, change it midway."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from priolb.errors import StoreError
from priolb.store import open_store
from priolb.store.address import redis_address
from priolb.store.redis import RedisStore
from support.redis_server import RedisServer

A, B, C = "http://a:8545", "http://b:8545?_workers=8&x=1", "http://c:8545"


def key_of(prefix: str) -> str:
    return f"{prefix}prio-load-balancer:nodes"


async def set_raw(server: RedisServer, prefix: str, value: bytes) -> None:
    async with Redis.from_url(f"redis://{server.address}") as client:
        await client.set(key_of(prefix), value)


async def get_raw(server: RedisServer, prefix: str) -> object:
    async with Redis.from_url(f"redis://{server.address}") as client:
        return await client.get(key_of(prefix))


@contextmanager
def before_each_write(
    monkeypatch: pytest.MonkeyPatch, server: RedisServer, prefix: str, values: Iterator[bytes]
) -> Iterator[None]:
    """Let somebody else write the next of `values`, if any is left, after each read of ours."""
    multi = Pipeline.multi

    def write_and_multi(pipeline: Pipeline) -> None:
        if (value := next(values, None)) is not None:
            other.set(key_of(prefix), value)
        multi(pipeline)  # type: ignore[no-untyped-call]  # the client leaves it untyped

    with BlockingRedis.from_url(f"redis://{server.address}") as other, monkeypatch.context() as patch:
        patch.setattr(Pipeline, "multi", write_and_multi)
        yield


def test_a_list_of_the_original_is_read_and_what_we_write_is_json_of_the_same_shape(
    shared_server: RedisServer, prefix: str
) -> None:
    """The original escapes `&`; the key is the prefix and the fixed name, with nothing between."""

    async def main() -> None:
        await set_raw(shared_server, prefix, rb'["http://a:8545","http://b:8545?_workers=8\u0026x=1"]')
        store = open_store(shared_server.address, prefix)
        await store.open()
        assert await store.nodes() == [A, B]
        await store.add(C)
        await store.remove(A)
        written = await get_raw(shared_server, prefix)
        assert written == b'["http://b:8545?_workers=8&x=1","http://c:8545"]'
        await store.remove(B)
        await store.remove(C)
        assert await get_raw(shared_server, prefix) == b"[]"
        await store.close()

    asyncio.run(main())


def test_no_prefix_means_the_bare_name(shared_server: RedisServer) -> None:
    async def main() -> None:
        store = open_store(shared_server.address, "")
        await store.open()
        await store.add(A)
        assert await get_raw(shared_server, "") == b'["http://a:8545"]'
        await store.close()

    asyncio.run(main())


def test_null_is_an_empty_list(shared_server: RedisServer, prefix: str) -> None:
    async def main() -> None:
        await set_raw(shared_server, prefix, b"null")
        store = open_store(shared_server.address, prefix)
        await store.open()
        assert await store.nodes() == []
        assert await store.remove(A) is False
        assert await store.add(A) is True
        assert await store.nodes() == [A]
        await store.close()

    asyncio.run(main())


def test_a_node_that_stands_twice_in_the_list_counts_once_and_is_removed_whole(
    shared_server: RedisServer, prefix: str
) -> None:
    async def main() -> None:
        await set_raw(shared_server, prefix, b'["http://a:8545","http://c:8545","http://a:8545"]')
        store = open_store(shared_server.address, prefix)
        await store.open()
        assert await store.nodes() == [A, C]
        assert await store.remove(A) is True
        assert await store.nodes() == [C]
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "holds no JSON"),
        (b'["http://a"', "holds no JSON"),
        (b'["\xff"]', "holds no JSON"),
        (b"[" * 100_000, "holds no JSON"),
        (b"{}", "holds JSON that is no list of strings"),
        (b'"http://a"', "holds JSON that is no list of strings"),
        (b'["http://a",null]', "holds JSON that is no list of strings"),
        (b'["http://a",1]', "holds JSON that is no list of strings"),
    ],
)
def test_a_value_that_is_no_node_list_is_an_error_that_names_the_key_and_is_kept(
    shared_server: RedisServer, prefix: str, value: bytes, reason: str
) -> None:
    async def main() -> None:
        store = open_store(shared_server.address, prefix)
        await store.open()
        await set_raw(shared_server, prefix, value)
        for call in (store.nodes(), store.add(A), store.remove(A)):
            with pytest.raises(StoreError) as caught:
                await call
            expected = f"store redis://{shared_server.address}/0: key {key_of(prefix)!r} {reason}"
            assert str(caught.value) == expected
        assert await get_raw(shared_server, prefix) == value
        await store.close()
        with pytest.raises(StoreError, match=reason):
            await store.open()

    asyncio.run(main())


def test_a_key_of_another_type_is_an_error_that_names_the_key(
    shared_server: RedisServer, prefix: str
) -> None:
    async def main() -> None:
        async with Redis.from_url(f"redis://{shared_server.address}") as client:
            await client.sadd(key_of(prefix), A)
        store = open_store(shared_server.address, prefix)
        with pytest.raises(StoreError) as caught:
            await store.open()
        assert str(caught.value) == (
            f"store redis://{shared_server.address}/0: key {key_of(prefix)!r} holds no string: "
            "WRONGTYPE Operation against a key holding the wrong kind of value"
        )

    asyncio.run(main())


def test_a_server_that_refuses_the_write_is_an_error_without_the_command(own_server: RedisServer) -> None:
    """A replica refuses inside the transaction, where the client would quote the whole command."""

    async def main() -> None:
        store = open_store(own_server.address, "")
        await store.open()
        async with Redis.from_url(f"redis://{own_server.address}") as client:
            await client.config_set("min-replicas-to-write", 1)
        with pytest.raises(StoreError) as caught:
            await store.add(A)
        assert str(caught.value) == (
            f"store redis://{own_server.address}/0: NOREPLICAS Not enough good replicas to write."
        )
        assert await store.nodes() == []
        await store.close()

    asyncio.run(main())


def test_a_caller_that_leaves_does_not_disturb_the_store(shared_server: RedisServer, prefix: str) -> None:
    """Cancelled after any number of loop turns, in the middle of a transaction too."""

    async def main() -> None:
        store = open_store(shared_server.address, prefix)
        await store.open()
        for turns in range(40):
            call = asyncio.create_task(store.add(f"http://{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        assert await store.add(A) is True
        assert (await store.nodes())[-1] == A
        await store.close()

    asyncio.run(main())


def test_a_change_of_somebody_else_between_our_read_and_our_write_is_kept(
    shared_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = iter([b'["http://b:8545?_workers=8&x=1"]'])

    async def main() -> None:
        store = open_store(shared_server.address, prefix)
        await store.open()
        with before_each_write(monkeypatch, shared_server, prefix, others):
            assert await store.add(A) is True
        assert await store.nodes() == [B, A]
        await store.close()

    asyncio.run(main())


def test_somebody_else_who_made_the_same_change_first_makes_ours_say_false(
    shared_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = iter([b'["http://a:8545"]'])

    async def main() -> None:
        store = open_store(shared_server.address, prefix)
        await store.open()
        with before_each_write(monkeypatch, shared_server, prefix, others):
            assert await store.add(A) is False
        assert await store.nodes() == [A]
        await store.close()

    asyncio.run(main())


def test_what_the_server_says_is_told_without_the_frame_of_the_client(
    shared_server: RedisServer, prefix: str
) -> None:
    async def main() -> None:
        store = open_store(shared_server.address, prefix)
        await store.open()
        async with Redis.from_url(f"redis://{shared_server.address}") as operator:
            await operator.config_set("maxmemory", "1")
            try:
                with pytest.raises(StoreError) as caught:
                    await store.add(A)
            finally:
                await operator.config_set("maxmemory", "0")
        assert str(caught.value).endswith(": command not allowed when used memory > 'maxmemory'.")
        await store.close()

    asyncio.run(main())


def test_a_list_that_others_change_all_the_time_ends_in_an_error(
    shared_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = itertools.repeat(b'["http://c:8545"]')

    async def main() -> None:
        # The tries are what is to run out here, on a slow machine too, and not the time.
        store = RedisStore(redis_address(shared_server.address), prefix, call_timeout_s=60)
        await store.open()
        writing = before_each_write(monkeypatch, shared_server, prefix, others)
        with writing, pytest.raises(StoreError) as caught:
            await store.add(A)
        assert str(caught.value) == (
            f"store redis://{shared_server.address}/0: "
            f"key {key_of(prefix)!r} was changed by others 100 times in a row"
        )
        assert await store.nodes() == [C]
        await store.close()

    asyncio.run(main())
