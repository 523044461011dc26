"""The node pool: nodes that an operator adds and removes."""

import asyncio
import sys
from pathlib import Path

import pytest

from priolb.attest.attestors import Attestors
from priolb.attest.sev.policy import SevPolicy
from priolb.errors import ConfigError, NodeError, StoreError
from priolb.nodes import pool
from priolb.nodes.uri import parse_node_uri
from priolb.store.base import CALL_TIMEOUT_S
from support.memory_log import MemoryLog
from support.pool_desk import Desk, desk, turns
from support.raw_client import eventually
from support.sgx_evidence import MRENCLAVE, NOW, Intel, SgxNode, intel

A, B, C = "http://a", "http://b", "http://c"


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

    asyncio.run(main())


def test_add_of_what_is_there_does_nothing() -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add(A)
            await at.pool.add(A)
            assert (at.store.list, len(at.traffic.probes), len(at.traffic.registered)) == ([A], 1, 1)

    asyncio.run(main())


def test_add_of_what_another_instance_has_removed_meanwhile_stores_it_again() -> None:
    """It was confirmed, and gone with the next look at the store."""

    async def main() -> None:
        async with desk() as at:
            await at.pool.add(A)
            at.store.list = []
            await at.pool.add(A)
            assert at.store.list == at.pool.uris() == at.traffic.attached == [A]

    asyncio.run(main())


def test_add_of_what_is_there_is_not_confirmed_while_the_store_is_away() -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add(A)
            at.store.is_away = True
            with pytest.raises(StoreError):
                await at.pool.add(A)

    asyncio.run(main())


def test_of_two_adds_of_the_same_uri_at_once_one_node_comes() -> None:
    async def main() -> None:
        async with desk() as at:
            check = at.traffic.hanging[A] = asyncio.Event()
            adding = [asyncio.create_task(at.pool.add(A)) for _ in range(2)]
            await eventually(lambda: len(at.traffic.probes) == 2)
            check.set()
            await asyncio.gather(*adding)
            assert at.store.list == at.pool.uris() == at.traffic.attached == [A]
            assert len(at.traffic.registered) == 1, "the other one was let go"

    asyncio.run(main())


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
            assert (at.store.list, at.pool.uris(), at.traffic.registered, at.log.lines) == ([], [], [], [])

    asyncio.run(main())


def test_remove_takes_a_node_out_of_store_list_and_traffic() -> None:
    async def main() -> None:
        async with desk(A, B) as at:
            await at.pool.start([])
            assert await at.pool.remove(A) is True
            assert at.store.list == at.pool.uris() == at.traffic.attached == [B]
            assert await at.pool.remove(A) is False
            assert at.messages().count("Node removed") == 1

    asyncio.run(main())


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

    asyncio.run(main())


def test_a_remove_that_the_store_does_not_take_changes_nothing() -> None:
    async def main() -> None:
        async with desk(A) as at:
            await at.pool.start([])
            at.store.is_away = True
            with pytest.raises(StoreError):
                await at.pool.remove(A)
            assert at.pool.uris() == at.traffic.attached == [A]

    asyncio.run(main())


def test_changes_wait_only_so_long_for_the_one_that_hangs_in_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each waits for all before it, and its client has left when its turn comes."""
    assert pool._TURN_TIMEOUT_S == CALL_TIMEOUT_S

    async def main() -> None:
        async with desk(A) as at:
            await at.pool.start([])
            monkeypatch.setattr(pool, "_TURN_TIMEOUT_S", 0.0)
            store = at.store.hanging = asyncio.Event()
            first = asyncio.create_task(at.pool.remove(A))
            await turns()
            busy = "the list of nodes is busy with other changes: no turn within 0 s"
            for change in (at.pool.remove(A), at.pool.add(A), at.pool.add(B)):
                with pytest.raises(StoreError) as caught:
                    await change
                assert str(caught.value) == busy
            store.set()
            assert await first is True
            await at.pool.add(B)
            assert at.store.list == at.pool.uris() == at.traffic.attached == [B]

    asyncio.run(main())


def test_a_node_that_another_instance_stored_first_is_added_here_too() -> None:
    async def main() -> None:
        async with desk() as at:
            at.store.list = [A]
            await at.pool.add(A)
            assert at.pool.uris() == at.traffic.attached == [A]

    asyncio.run(main())


def test_logs_name_a_node_without_what_may_be_secret() -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add("http://a/rpc?key=hidden&_workers=2")
            await at.pool.remove("http://a/rpc?key=hidden&_workers=2")
            name = parse_node_uri("http://a/rpc?key=hidden").name
            assert [fields["nodeURI"] for _, _, fields in at.log.lines] == [name, name]
            assert "hidden" not in str(at.log.lines)

    asyncio.run(main())


# Changes while a node works


def slots_of(at: Desk, name: str) -> tuple[int, int, float]:
    node = at.traffic.node(name)
    return node.workers, node.slots, node.weight


def test_workers_and_weight_of_a_node_change_while_it_works() -> None:
    async def main() -> None:
        async with desk(max_slots=100) as at:
            await at.pool.add(A)
            assert at.pool.change(A, {"workers": 3, "weight": 5}) is True
            assert slots_of(at, A) == (3, 3, 5)
            assert at.pool.change(A, {"workers": "auto"}) is True
            assert slots_of(at, A) == (64, 4, 5)
            assert at.pool.change(A, {"workers": 100}) is True
            assert slots_of(at, A) == (100, 100, 5)
            assert at.pool.uris() == at.store.list == [A], "the list stays as it is"
            assert at.log.lines[1] == ("info", "Node changed", {"nodeURI": A, "slots": 3, "weight": 5})

    asyncio.run(main())


def test_a_node_is_cordoned_drained_and_active_again() -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add(A)
            node = at.traffic.node(A)
            states = []
            for order in ({"state": "cordoned"}, {"state": "drained"}, {"state": "active"}):
                assert at.pool.change(A, order) is True
                states.append((node.status.value, node.usable))
            assert states == [("cordoned", False), ("drained", False), ("up", True)]
            assert at.messages() == [
                "Node added",
                "Node is cordoned",
                "Node is drained",
                "Node is healthy",
            ]

    asyncio.run(main())


@pytest.mark.parametrize(("order", "seconds"), [({}, 30.0), ({"hard_stop_after": 2.5}, 2.5)])
def test_a_drain_ends_after_its_time_or_the_usual_one(order: dict[str, object], seconds: float) -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add(A)
            node = at.traffic.node(A)
            at.traffic.fleet.free.reserve(node)
            at.pool.change(A, {"state": "drained", **order})
            assert node.hard_stop_at == at.traffic.now + seconds

    asyncio.run(main())


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"workers": 101}, "workers must not be more than 100 (ProxyMaxConnsPerHost)"),
        ({"workers": 101, "state": "drained", "weight": 2}, "workers must not be more than 100"),
        ({"weight": 2, "workrs": 1}, "unknown parameter workrs; did you mean workers?"),
        ({"weight": 2, "state": "gone"}, "state must be active, cordoned or drained"),
        ({}, "nothing to change"),
    ],
)
def test_an_order_that_cannot_be_carried_out_changes_nothing(order: dict[str, object], message: str) -> None:
    async def main() -> None:
        async with desk(max_slots=100) as at:
            await at.pool.add(A)
            lines = list(at.log.lines)
            with pytest.raises(ConfigError) as caught:
                at.pool.change(A, order)
            assert str(caught.value).startswith(message)
            assert (slots_of(at, A), at.traffic.node(A).enabled) == ((8, 8, 1), True)
            assert at.log.lines == lines

    asyncio.run(main())


def test_only_nodes_of_the_list_that_can_be_used_are_changed() -> None:
    async def main() -> None:
        async with desk("ftp://x") as at:
            await at.pool.start([])
            assert at.pool.change(A, {"weight": 2}) is False
            with pytest.raises(ConfigError, match="the scheme must be http or https"):
                at.pool.change("ftp://x", {"weight": 2})

    asyncio.run(main())


def test_details_are_those_of_all_entries_in_the_order_of_the_list() -> None:
    async def main() -> None:
        async with desk(B, "ftp://x") as at:
            at.traffic.down.add(B)
            await at.pool.start([])
            await at.pool.add(A)
            await eventually(lambda: next(at.pool.details())["state"] == "down")
            shown = [(detail["uri"], detail["state"], detail["reason"]) for detail in at.pool.details()]
            assert shown == [
                (B, "down", f"{B} is down"),
                ("ftp://x", "unusable", "node URI 'ftp://x': the scheme must be http or https"),
                (A, "up", "added"),
            ]

    asyncio.run(main())


def test_parameters_of_a_uri_are_those_of_its_node() -> None:
    async def main() -> None:
        async with desk(is_adaptive=True) as at:
            await at.pool.add(f"{A}?_weight=3&_tier=2")
            await at.pool.add(f"{B}?_workers=5")
            one, other = at.traffic.node(A), at.traffic.node(B)
            assert (one.weight, one.tier, one.slots, one.adaptive is not None) == (3, 2, 4, True)
            assert (other.weight, other.tier, other.slots, other.adaptive) == (1, 0, 5, None)

    asyncio.run(main())


def test_a_node_that_a_request_finds_down_is_checked_at_once() -> None:
    async def main() -> None:
        async with desk() as at:
            await at.pool.add(A)
            await turns()
            assert len(at.traffic.probes) == 1
            node = at.traffic.node(A)
            at.traffic.fleet.set_healthy(node, False, "refused", at.traffic.now)
            at.traffic.settle()
            await eventually(lambda: node.healthy)
            assert len(at.traffic.probes) == 2

    asyncio.run(main())


# Nodes that have to prove what they run

SGX = f"https://SGX_{MRENCLAVE.hex()}@a"
SGX_NAME = "https://a"


def under_our_root(folder: Path) -> Attestors:
    """Return attestors that trust our authority, and take its collateral from a folder."""
    return Attestors(SevPolicy(), intel().policy, str(folder), MemoryLog(), clock=lambda: NOW)


def test_a_node_that_proves_itself_is_added_and_serves_at_once(tmp_path: Path) -> None:
    intel().put_collateral(tmp_path)

    async def main() -> None:
        async with desk(attestors=under_our_root(tmp_path)) as at:
            at.traffic.leaves[SGX_NAME] = SgxNode().certificate()
            await at.pool.add(SGX)
            assert at.store.list == at.pool.uris() == [SGX]
            node = at.traffic.node(SGX_NAME)
            assert (node.usable, node.status.value) == (True, "up")
            assert at.log.lines == [("info", "Node added", {"nodeURI": SGX_NAME, "slots": 8})]
            assert await at.pool.remove(SGX) is True
            assert at.attestors._attestations == []

    asyncio.run(main())


def test_a_node_that_does_not_prove_itself_is_not_added_and_leaves_nothing_behind(tmp_path: Path) -> None:
    intel().put_collateral(tmp_path, status="OutOfDate")

    async def main() -> None:
        async with desk(attestors=under_our_root(tmp_path)) as at:
            at.traffic.leaves[SGX_NAME] = SgxNode().certificate()
            with pytest.raises(NodeError, match="not attested: tcb_status: Intel says OutOfDate"):
                await at.pool.add(SGX)
            assert (at.store.list, at.pool.uris(), at.traffic.registered) == ([], [], [])
            assert at.attestors._attestations == []

    asyncio.run(main())


def test_a_stored_node_is_unattested_until_it_proves_itself_and_its_health_is_asked_then(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with desk(SGX, attestors=under_our_root(tmp_path)) as at:
            at.traffic.leaves[SGX_NAME] = SgxNode(Intel(60)).certificate()
            await at.pool.start([])
            node = at.traffic.node(SGX_NAME)
            assert (node.status.value, node.usable) == ("unattested", False)
            await eventually(lambda: len(at.traffic.probes) >= 3)
            await at.attestors.collateral_arrived()
            assert (node.status.value, node.reason.partition(":")[0]) == ("unattested", "collateral_missing")
            assert node.record.last_error == "", "nobody asked how it is"
            intel().put_collateral(tmp_path)
            at.traffic.leaves[SGX_NAME] = SgxNode().certificate()
            library = at.attestors._library
            assert library is not None
            await library.look()
            await eventually(lambda: node.status.value == "up")
            assert at.messages() == ["Node has not been checked yet", "Node is healthy"]

    asyncio.run(main())


def test_one_that_stops_proving_itself_is_told_by_its_verdict_and_asked_at_once_when_it_does_again(
    tmp_path: Path,
) -> None:
    intel().put_collateral(tmp_path)

    async def main() -> None:
        async with desk(attestors=under_our_root(tmp_path)) as at:
            at.traffic.leaves[SGX_NAME] = SgxNode().certificate()
            await at.pool.add(SGX)
            await turns()
            node, probes = at.traffic.node(SGX_NAME), len(at.traffic.probes)
            at.traffic.attested(node, "tcb_status: OutOfDate")
            assert (node.usable, node.healthy, node.reason) == (False, True, "tcb_status: OutOfDate")
            await turns()
            assert len(at.traffic.probes) == probes
            at.traffic.attested(node, "")
            assert node.usable is True
            await eventually(lambda: len(at.traffic.probes) == probes + 1)
            assert at.messages() == ["Node added", "Node is healthy"]

    asyncio.run(main())


def test_a_node_that_cannot_even_be_asked_for_its_proof_is_told_once_for_each_cause(tmp_path: Path) -> None:
    message = "Node cannot be asked to prove what it runs and gets nothing"

    async def main() -> None:
        async with desk(SGX, attestors=under_our_root(tmp_path)) as at:
            at.traffic.down.add(SGX_NAME)
            await at.pool.start([])
            node = at.traffic.node(SGX_NAME)
            await eventually(lambda: len(at.traffic.probes) >= 3)
            assert (node.status.value, node.reason) == ("unattested", f"{SGX_NAME} is down")
            assert at.messages() == [message]
            assert at.log.lines[-1][2] == {"nodeURI": SGX_NAME, "err": f"{SGX_NAME} is down"}
            at.traffic.late.add(SGX_NAME)
            await eventually(lambda: at.messages() == [message, message])
            assert node.reason == f"{SGX_NAME} is late"
            at.traffic.leaves[SGX_NAME] = SgxNode(Intel(60)).certificate()
            await eventually(lambda: node.reason.startswith("collateral_missing: "))
            del at.traffic.leaves[SGX_NAME]
            probes = len(at.traffic.probes)
            await eventually(lambda: len(at.traffic.probes) >= probes + 2)
            assert at.messages() == [message, message]
            assert node.reason.startswith("collateral_missing: "), "the last that it has shown is what counts"

    asyncio.run(main())


def test_details_tell_of_proofs() -> None:
    async def main() -> None:
        async with desk(A, SGX) as at:
            await at.pool.start([])
            first, second = at.pool.details()
            assert first["attestation"] is None
            proof = second["attestation"]
            assert isinstance(proof, dict)
            assert (second["state"], proof["kind"], proof["state"]) == ("unattested", "SGX", "pending")

    asyncio.run(main())


def test_flags_that_need_packages_which_are_not_there_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "priolb.attest.sgx.verifier", None)

    async def main() -> None:
        async with desk(SGX) as at:
            with pytest.raises(ConfigError, match="pip install"):
                await at.pool.start([A, SGX])
            assert at.store.list == [SGX]
            await at.pool.start([])
            [detail] = at.pool.details()
            assert detail["state"] == "unusable"

    asyncio.run(main())
