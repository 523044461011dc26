"""The node pool: what it takes up at the start, and how it follows the store and the health of nodes."""

import asyncio

import pytest

from priolb.errors import ConfigError
from support.pool_desk import desk, turns
from support.raw_client import eventually

A, B, C = "http://a", "http://b", "http://c"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared store is read in every turn of the loop."""
    monkeypatch.setattr("priolb.nodes.pool._SYNC_INTERVAL_S", 0)


def test_start_adds_what_was_given_behind_what_is_stored_and_takes_up_all() -> None:
    async def main() -> None:
        async with desk(A, B) as at:
            await at.pool.start([C, B])
            assert at.store.list == at.pool.uris() == [A, B, C]
            assert at.traffic.attached == [A, B, C]
            await eventually(lambda: at.traffic.healthy == {A, B, C})
            assert at.traffic.probes == [(A, 5.0), (B, 5.0), (C, 5.0)]

    asyncio.run(main())


def test_start_does_not_wait_for_health_checks() -> None:
    async def main() -> None:
        async with desk(A) as at:
            at.traffic.hanging[A] = asyncio.Event()
            await at.pool.start([])
            assert (at.traffic.attached, at.traffic.healthy) == ([A], set())
            at.traffic.hanging[A].set()
            await eventually(lambda: at.traffic.healthy == {A})

    asyncio.run(main())


def test_a_node_that_is_down_is_kept_told_of_once_and_joins_when_it_is_up() -> None:
    async def main() -> None:
        async with desk(A, B) as at:
            at.traffic.down.add(A)
            await at.pool.start([])
            await eventually(lambda: at.traffic.probes.count((A, 5.0)) == 5)
            assert at.traffic.healthy == {B}
            assert (
                at.log.lines.count(
                    (
                        "warning",
                        "Node is unhealthy and will be checked again",
                        {"nodeURI": A, "err": f"{A} is down"},
                    )
                )
                == 1
            )
            at.traffic.down.clear()
            await eventually(lambda: at.traffic.healthy == {A, B})
            checks = len(at.traffic.probes)
            await turns()
            assert len(at.traffic.probes) == checks

    asyncio.run(main())


def test_start_changes_nothing_when_one_uri_cannot_be_used() -> None:
    async def main() -> None:
        async with desk(A) as at:
            with pytest.raises(ConfigError, match="ftp://x"):
                await at.pool.start([B, "ftp://x"])
            assert at.store.list == [A]
            assert at.pool.uris() == at.traffic.attached == []

    asyncio.run(main())


def test_a_stored_uri_that_cannot_be_used_stays_in_the_list_and_can_be_removed() -> None:
    async def main() -> None:
        async with desk(A, "ftp://x") as at:
            await at.pool.start([])
            assert at.pool.uris() == [A, "ftp://x"]
            assert at.traffic.attached == [A]
            assert at.log.lines[0] == (
                "warning",
                "Node of the store cannot be used; it is kept in the list",
                {"err": "node URI 'ftp://x': the scheme must be http or https"},
            )
            assert await at.pool.remove("ftp://x") is True
            assert at.pool.uris() == at.store.list == [A]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("uri", "default_slots", "max_slots", "slots", "told"),
    [
        (A, 8, 0, 8, []),
        (f"{A}?_workers=3", 8, 0, 3, []),
        (A, 8, 4, 4, [8]),
        (f"{A}?_workers=50", 8, 20, 20, [50]),
        (f"{A}?_workers=auto", 8, 6, 4, []),
    ],
)
def test_slots_are_the_nodes_own_or_the_default_and_bounded_which_is_told(
    uri: str, default_slots: int, max_slots: int, slots: int, told: list[int]
) -> None:
    async def main() -> None:
        async with desk(uri, default_slots=default_slots, max_slots=max_slots) as at:
            await at.pool.start([])
            assert [node.slots for node in at.traffic.registered] == [slots]
            words = "Node has fewer slots than asked for: ProxyMaxConnsPerHost bounds them"
            assert [line[2]["asked"] for line in at.log.lines if line[1] == words] == told

    asyncio.run(main())


def test_https_nodes_get_tls_and_http_nodes_do_not() -> None:
    async def main() -> None:
        async with desk("https://a", "http://b:1", "https://[::1]:2") as at:
            await at.pool.start([])
            assert at.traffic.hosts == [("a", 443, True), ("b", 1, False), ("::1", 2, True)]

    asyncio.run(main())


def test_changes_of_others_are_followed_in_the_order_of_the_store() -> None:
    async def main() -> None:
        async with desk(A, B, shared=True) as at:
            await at.pool.start([])
            await eventually(lambda: at.traffic.healthy == {A, B})
            kept = at.traffic.registered[1]
            at.store.list = [C, B]
            await eventually(lambda: at.traffic.healthy == {B, C})
            assert at.pool.uris() == [C, B]
            assert kept in at.traffic.registered, "a node that stays is the same, with what it has in flight"

    asyncio.run(main())


def test_a_list_that_has_become_empty_is_told_of() -> None:
    """Be it that somebody has removed the last one, or that Redis has lost all that it had."""

    async def main() -> None:
        async with desk(A, B, shared=True) as at:
            await at.pool.start([])
            at.store.list = []
            await eventually(lambda: at.pool.uris() == [])
            assert at.messages().count("The list in the store has become empty, and no node is left") == 1

    asyncio.run(main())


def test_while_the_store_is_away_the_nodes_stay_and_it_is_told_once() -> None:
    async def main() -> None:
        async with desk(A, shared=True) as at:
            await at.pool.start([])
            await eventually(lambda: at.traffic.healthy == {A})
            at.store.is_away = True
            await eventually(lambda: "Store is away; serving goes on with the nodes known" in at.messages())
            await turns()
            assert (at.pool.uris(), at.traffic.healthy) == ([A], {A})
            at.store.is_away = False
            at.store.list = [A, B]
            await eventually(lambda: at.traffic.healthy == {A, B})
            told = [msg for msg in at.messages() if msg.startswith("Store")]
            assert told == ["Store is away; serving goes on with the nodes known", "Store is back"]

    asyncio.run(main())


def test_a_store_that_fails_in_a_way_nobody_has_thought_of_is_read_again() -> None:
    async def main() -> None:
        async with desk(A, shared=True) as at:
            await at.pool.start([])
            at.store.error, at.store.is_away = RuntimeError("the handler is closed"), True
            away = "Store is away; serving goes on with the nodes known"
            await eventually(lambda: away in at.messages())
            [told] = [fields for _, msg, fields in at.log.lines if msg == away]
            assert told == {"err": "RuntimeError('the handler is closed')"}
            at.store.is_away = False
            at.store.list = [B]
            await eventually(lambda: at.pool.uris() == [B])

    asyncio.run(main())


def test_a_store_of_this_process_alone_is_not_read_again() -> None:
    async def main() -> None:
        async with desk(A, shared=False) as at:
            await at.pool.start([])
            await turns()
            assert at.store.reads == 1

    asyncio.run(main())


def test_after_close_nothing_goes_on() -> None:
    async def main() -> None:
        async with desk(A, shared=True) as at:
            at.traffic.down.add(A)
            await at.pool.start([])
            await eventually(lambda: at.store.reads > 1)
            await at.pool.close()
            before = (at.store.reads, len(at.traffic.probes))
            await turns()
            assert (at.store.reads, len(at.traffic.probes)) == before

    asyncio.run(main())


def test_https_nodes_are_verified_unless_their_uri_says_otherwise() -> None:
    async def main() -> None:
        async with desk("http://a", "https://b", "https://c?_insecure=1", "https://d?_insecure=0") as at:
            await at.pool.start([])
            assert at.traffic.tls == [None, at.tls.verified, at.tls.unverified, at.tls.verified]

    asyncio.run(main())


def test_known_are_the_nodes_of_now_in_the_order_of_the_list_and_who_asks_for_proof() -> None:
    """An entry that is no node is not among them."""
    attested = f"https://SGX_{'00' * 32}@c"

    async def main() -> None:
        async with desk(B, "ftp://nothing", A, attested) as at:
            assert at.pool.known() == []
            await at.pool.start([])
            assert [(node.name, proof is None) for node, proof in at.pool.known()] == [
                (B, True),
                (A, True),
                ("https://c", False),
            ]
            assert await at.pool.remove(B)
            assert [node.name for node, _ in at.pool.known()] == [A, "https://c"]

    asyncio.run(main())
