"""The sentences of `priolb.store.base`, held against every store."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from priolb.errors import StoreError
from priolb.store import Store, open_store
from support.redis_server import RedisServer

A, B, C = "http://a:8545", "http://b:8545?_workers=2&x=%20", "https://SGX_x@c.example/päth"


@pytest.fixture(params=["memory", "sqlite", "redis"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """What makes stores that, when they are of a shared kind, hold the same list."""
    if request.param == "memory":
        return lambda: open_store("dev", "")
    if request.param == "sqlite":
        return lambda: open_store(f"sqlite:///{tmp_path}/nodes.db", "")
    server: RedisServer = request.getfixturevalue("shared_server")
    prefix: str = request.getfixturevalue("prefix")
    return lambda: open_store(server.address, prefix)


def test_a_new_store_is_empty(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        assert await store.nodes() == []
        await store.close()

    asyncio.run(main())


def test_nodes_come_in_the_order_of_addition(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        assert [await store.add(uri) for uri in (C, A, B)] == [True, True, True]
        assert await store.nodes() == [C, A, B]
        await store.close()

    asyncio.run(main())


def test_adding_a_node_twice_says_false_and_keeps_the_order(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        assert [await store.add(uri) for uri in (A, B, A)] == [True, True, False]
        assert await store.nodes() == [A, B]
        await store.close()

    asyncio.run(main())


def test_removing_says_whether_the_node_was_there(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        await store.add(A)
        await store.add(B)
        assert await store.remove(C) is False
        assert await store.remove(A) is True
        assert await store.remove(A) is False
        assert await store.nodes() == [B]
        assert await store.remove(B) is True
        assert await store.nodes() == []
        await store.close()

    asyncio.run(main())


def test_a_node_added_again_after_its_removal_is_the_last(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        for uri in (A, B, C):
            await store.add(uri)
        await store.remove(C)
        await store.remove(A)
        assert await store.add(A) is True
        assert await store.add(C) is True
        assert await store.nodes() == [B, A, C]
        await store.close()

    asyncio.run(main())


def test_the_whole_uri_is_the_identity_of_a_node(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        variants = [A, f"{A}/", f"{A}?_workers=1", A.upper()]
        assert [await store.add(uri) for uri in variants] == [True, True, True, True]
        assert await store.nodes() == variants
        await store.close()

    asyncio.run(main())


def test_the_list_given_out_is_a_copy(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        await store.add(A)
        (await store.nodes()).append(B)
        assert await store.nodes() == [A]
        await store.close()

    asyncio.run(main())


def test_of_twenty_concurrent_additions_of_one_node_exactly_one_says_true(
    new_store: Callable[[], Store],
) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        results = await asyncio.gather(*(store.add(A) for _ in range(20)))
        assert sorted(results) == [False] * 19 + [True]
        assert await store.nodes() == [A]
        await store.close()

    asyncio.run(main())


def test_twenty_concurrent_additions_are_all_kept(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        uris = [f"http://node-{number}" for number in range(20)]
        assert await asyncio.gather(*(store.add(uri) for uri in uris)) == [True] * 20
        assert sorted(await store.nodes()) == sorted(uris)
        await store.close()

    asyncio.run(main())


def test_a_store_that_is_not_open_refuses_every_call(new_store: Callable[[], Store]) -> None:
    """Before `open` and after `close`; the text names the store."""

    async def refuses(store: Store) -> None:
        for call in (store.nodes(), store.add(A), store.remove(A)):
            with pytest.raises(StoreError) as caught:
                await call
            assert str(caught.value) == f"store {store.describe()}: not open"

    async def main() -> None:
        store = new_store()
        await refuses(store)
        await store.open()
        await store.close()
        await refuses(store)

    asyncio.run(main())


def test_closing_is_harmless_when_not_open(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.close()
        await store.open()
        await store.close()
        await store.close()

    asyncio.run(main())


def test_opening_twice_keeps_the_store_open(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        await store.add(A)
        await store.open()
        assert await store.nodes() == [A]
        await store.close()

    asyncio.run(main())


def test_a_closed_store_can_be_opened_again_and_has_kept_its_list(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        await store.add(A)
        await store.close()
        await store.open()
        assert await store.nodes() == [A]
        await store.close()

    asyncio.run(main())


def test_a_shared_store_shows_the_changes_of_another_one_and_a_private_one_does_not(
    new_store: Callable[[], Store],
) -> None:
    async def main() -> None:
        one, other = new_store(), new_store()
        await one.open()
        await other.open()
        await one.add(A)
        assert await other.nodes() == ([A] if one.shared else [])
        await one.close()
        await other.close()

    asyncio.run(main())


def test_two_stores_that_race_lose_nothing(new_store: Callable[[], Store]) -> None:
    """Fifty additions each, at the same time: all hundred are in the list, each one's in its order."""
    first = [f"http://first-{number}" for number in range(50)]
    second = [f"http://second-{number}" for number in range(50)]

    async def add_all(store: Store, uris: list[str]) -> None:
        for uri in uris:
            assert await store.add(uri) is True

    async def main() -> None:
        one = new_store()
        other = new_store() if one.shared else one
        await one.open()
        await other.open()
        await asyncio.gather(add_all(one, first), add_all(other, second))
        uris = await one.nodes()
        assert [uri for uri in uris if uri in first] == first
        assert [uri for uri in uris if uri in second] == second
        assert len(uris) == 100
        await one.close()
        await other.close()

    asyncio.run(main())


def test_it_works_on_the_event_loop_of_the_program(new_store: Callable[[], Store]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open()
        assert await store.add(A) is True
        assert await store.nodes() == [A]
        await store.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
