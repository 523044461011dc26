"""The node pool: nodes that an operator adds and removes."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from priolb.errors import ConfigError, NodeError, StoreError
from priolb.nodes.uri import parse_node_uri
from support.pool_desk import desk, turns
from support.raw_client import eventually

A, B, C = "http://a", "http://b", "http://c"


def run(main: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(main())


def test_add_checks_then_stores_then_takes_part_and_serves_at_once() -> None:
    async def main() -> None:
        async with desk() as at:
            check = at.traffic.hanging[A] = asyncio.Event()
            adding = asyncio.create_task(at.pool.add(A))
            await eventually(lambda: at.traffic.probes == [(A, 5.0)])
            assert (at.store.list, at.pool.uris(), at.traffic.attached) == ([], [], [])
            check.set()
            await adding
            assert at.store.list == at.pool.uris() == at.traffic.attached == [A]
            assert at.traffic.healthy == {A}
            assert at.log.lines == [("info", "Node added", {"nodeURI": A, "slots": 8})]

    run(main)


def test_add_of_what_is_there_does_nothing() -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add(A)
            await at.pool.add(A)
            assert (at.store.list, len(at.traffic.probes), len(at.traffic.linked)) == ([A], 1, 1)

    run(main)


def test_of_two_adds_of_the_same_uri_at_once_one_node_comes() -> None:
    async def main() -> None:
        async with desk() as at:
            check = at.traffic.hanging[A] = asyncio.Event()
            adding = [asyncio.create_task(at.pool.add(A)) for _ in range(2)]
            await eventually(lambda: len(at.traffic.probes) == 2)
            check.set()
            await asyncio.gather(*adding)
            assert at.store.list == at.pool.uris() == at.traffic.attached == [A]
            assert len(at.traffic.linked) == 1, "the other one was let go"

    run(main)


@pytest.mark.parametrize("fault", ["uri", "check", "store", "cancel"])
def test_an_add_that_fails_leaves_nothing_behind(fault: str) -> None:
    async def main() -> None:
        async with desk() as at:
            if fault == "uri":
                with pytest.raises(ConfigError):
                    await at.pool.add("a")
            elif fault == "check":
                at.traffic.down.add(A)
                with pytest.raises(NodeError, match="http://a is down"):
                    await at.pool.add(A)
            elif fault == "store":
                at.store.is_away = True
                with pytest.raises(StoreError):
                    await at.pool.add(A)
            else:
                at.traffic.hanging[A] = asyncio.Event()
                adding = asyncio.create_task(at.pool.add(A))
                await eventually(lambda: len(at.traffic.probes) == 1)
                adding.cancel()
                await asyncio.wait([adding])
                assert adding.cancelled()
            assert (at.store.list, at.pool.uris(), at.traffic.linked, at.log.lines) == ([], [], [], [])

    run(main)


def test_remove_takes_a_node_out_of_store_list_and_traffic() -> None:
    async def main() -> None:
        async with desk(A, B) as at:
            await at.pool.start([])
            assert await at.pool.remove(A) is True
            assert at.store.list == at.pool.uris() == at.traffic.attached == [B]
            assert await at.pool.remove(A) is False
            assert at.messages().count("Node removed") == 1

    run(main)


def test_a_node_that_is_removed_is_checked_no_more() -> None:
    async def main() -> None:
        async with desk(A) as at:
            at.traffic.down.add(A)
            await at.pool.start([])
            await eventually(lambda: len(at.traffic.probes) == 3)
            await at.pool.remove(A)
            checks = len(at.traffic.probes)
            await turns()
            assert len(at.traffic.probes) == checks

    run(main)


def test_a_remove_that_the_store_does_not_take_changes_nothing() -> None:
    async def main() -> None:
        async with desk(A) as at:
            await at.pool.start([])
            at.store.is_away = True
            with pytest.raises(StoreError):
                await at.pool.remove(A)
            assert at.pool.uris() == at.traffic.attached == [A]

    run(main)


def test_a_node_that_another_instance_stored_first_is_added_here_too() -> None:
    async def main() -> None:
        async with desk() as at:
            at.store.list = [A]
            await at.pool.add(A)
            assert at.pool.uris() == at.traffic.attached == [A]

    run(main)


def test_logs_name_a_node_without_what_may_be_secret() -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add("http://a/rpc?key=hidden&_workers=2")
            await at.pool.remove("http://a/rpc?key=hidden&_workers=2")
            name = parse_node_uri("http://a/rpc?key=hidden").name
            assert [fields["nodeURI"] for _, _, fields in at.log.lines] == [name, name]
            assert "hidden" not in str(at.log.lines)

    run(main)
