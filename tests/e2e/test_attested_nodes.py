"""Nodes that prove what they run, behind the whole program: requests flow to them, and no byte to others."""

from __future__ import annotations

import math
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from priolb.attest.certificate import parse_certificate
from support.balancer import Balancer
from support.der_build import PrivateKey
from support.factories import Connect, Launch, NewNode
from support.live_nodes import NewAttested, attested_node, command, put_collateral, sev_leaf, sev_uri, sgx_uri
from support.scrape import scrape
from support.scripted_node import Script, ScriptedNode, always
from support.sev_evidence import ATLS, SevNode, b64, ec_key
from support.sgx_evidence import DICE, LEGACY, SgxNode
from support.tls_server import Certify
from support.wire import post, request

PROVEN = "Node has proven what it runs"
REFUSED = "Node has not proven what it runs and gets nothing"


@pytest.fixture
def new_attested(tmp_path: Path) -> Iterator[NewAttested]:
    """Return what starts an attested node, which keeps the server names that it is called by."""
    started: list[ScriptedNode] = []

    def start_one(
        key: PrivateKey, certify: Certify, script: Script | None = None, names: list[str | None] | None = None
    ) -> ScriptedNode:
        folder = tmp_path / f"node-{len(started)}"
        folder.mkdir()
        started.append(attested_node(folder, key, certify, script, [] if names is None else names))
        return started[-1]

    yield start_one
    for each in started:
        each.stop()


@pytest.fixture
def collateral(tmp_path: Path) -> Path:
    """A directory with collateral that is valid now."""
    folder = tmp_path / "collateral"
    folder.mkdir()
    put_collateral(folder)
    return folder


@pytest.fixture
def trusting(launch: Launch, tmp_path: Path, collateral: Path) -> Callable[..., Balancer]:
    """Return what starts a balancer that trusts our authorities."""
    roots = tmp_path / "roots"
    roots.mkdir()
    # Each node is asked all the time; that finds out whatever is to be found out.
    usual = {"HEALTH_CHECK_INTERVAL": "0.05", "SGX_COLLATERAL": str(collateral), "SLOW_START": "0"}

    def start(*flags: str, **settings: str) -> Balancer:
        return launch(*flags, command=command(roots), **{**usual, **settings})

    return start


def proof_of(balancer: Balancer, uri: str) -> dict[str, Any]:
    detail = balancer.detail(uri)["attestation"]
    assert isinstance(detail, dict)
    return detail


def leaf_of(port: int, nonce: bytes) -> bytes:
    """Return the certificate of a SEV node for a nonce, as anybody can get it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=b64(nonce)) as connection,
    ):
        leaf = connection.getpeercert(binary_form=True)
    assert leaf is not None
    return leaf


def sev(new_attested: NewAttested, node: SevNode, script: Script, **options: Any) -> ScriptedNode:
    """Start a SEV node that makes its evidence as `node` is at that moment."""
    return new_attested(node.tls_key, lambda nonce: sev_leaf(node, nonce), script, **options)


def sgx(new_attested: NewAttested, script: Script, **options: Any) -> ScriptedNode:
    """Start a SGX node."""
    node = SgxNode()
    leaf = node.certificate()
    return new_attested(node.tls_key, lambda _nonce: leaf, script, **options)


# Requests flow


def test_requests_flow_to_a_sev_node_each_connection_with_a_nonce_of_its_own(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    evidence, names = SevNode(), list[str | None]()
    node = sev(new_attested, evidence, always(200, b"secret", "Connection: close"), names=names)
    uri = f"{sev_uri(evidence, node.port)}/rpc?key=1&_workers=2&_min_tcb=3.0.8.115"
    balancer = trusting()
    balancer.add_node(uri)
    assert balancer.nodes() == [uri]
    client = connect(balancer)
    assert [client.ask(post(target="/")).body for _ in range(3)] == [b"secret"] * 3
    assert {call.target for call in node.requests} == {"/rpc?key=1"}
    assert {call.field("host") for call in node.requests} == {f"localhost:{node.port}"}
    told = b"".join(call.raw for call in node.requests).lower()
    assert [word for word in (b"sev_", b"authorization", b"_workers", b"_min_tcb") if word in told] == []
    assert len(set(names)) == len(names) >= 4
    assert {len(name or "") for name in names} == {44}
    proof = proof_of(balancer, uri)
    assert (proof["kind"], proof["state"], proof["reason"], proof["refused"]) == ("SEV", "attested", None, {})
    assert proof["accepted"] >= 4
    assert balancer.wait_for(PROVEN)["nodeURI"] == f"https://localhost:{node.port}/rpc"
    assert uri.partition("@")[0][-40:] not in str(balancer.lines), "the user part stays out of the log"


@pytest.mark.parametrize("form", ["legacy", "dice", "both"])
def test_requests_flow_to_a_sgx_node_as_soon_as_its_collateral_has_come(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect, form: str
) -> None:
    evidence, names = SgxNode(), list[str | None]()
    legacy, dice = (LEGACY, False, evidence.quote()), (DICE, False, evidence.dice())
    leaf = evidence.certificate(*{"legacy": [legacy], "dice": [dice], "both": [legacy, dice]}[form])
    node = new_attested(evidence.tls_key, lambda _nonce: leaf, always(200, b"secret"), names)
    uri = sgx_uri(node.port)
    balancer = trusting()
    balancer.add_node(uri)
    client = connect(balancer)
    assert [client.ask(post()).body for _ in range(3)] == [b"secret"] * 3
    assert set(names) == {"localhost"}
    proof = proof_of(balancer, uri)
    assert (proof["kind"], proof["state"]) == ("SGX", "attested")
    assert proof["platform"] == {"fmspc": "00606A000000", "ca": "platform"}
    assert proof["refused"] == {"collateral_missing": 1}
    reasons = [line.get("reason") for line in balancer.lines if line["msg"] in (PROVEN, REFUSED)]
    assert reasons == ["collateral_missing", None]


def test_bodies_of_any_length_pass_to_an_attested_node(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    node = sgx(new_attested, lambda call: call.answer(200, call.body))
    balancer = trusting()
    balancer.add_node(sgx_uri(node.port))
    body = bytes(range(256)) * 16_384
    assert connect(balancer).ask(post(body)).body == body


def test_what_differs_where_it_may_is_told_and_counted_and_passes(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    evidence = SevNode()
    node = sev(new_attested, evidence, always(200, b"secret"))
    other = "00" * 32
    uri = sev_uri(evidence, node.port, **{"7": {"expected": other, "warnOnly": True}})
    balancer = trusting()
    balancer.add_node(uri)
    assert connect(balancer).ask(post()).body == b"secret"
    warning = f"PCR 7 is {evidence.pcrs[7].hex()}, expected {other}"
    told = balancer.wait_for("Node differs from its URI where it may", detail=warning)
    assert told["nodeURI"] == f"https://localhost:{node.port}"
    proof = proof_of(balancer, uri)
    assert (proof["state"], proof["warnings"]) == ("attested", [warning])
    assert proof["warned"] == proof["accepted"] >= 2


def test_metrics_tell_of_proofs_and_hold_nothing_of_what_has_to_be_proven(
    trusting: Callable[..., Balancer], new_attested: NewAttested, new_node: NewNode
) -> None:
    evidence = SevNode()
    differs = sev(new_attested, evidence, always(200))
    replays = new_attested(evidence.tls_key, lambda _nonce: sev_leaf(evidence, bytes(32)), always(200))
    uris = [
        sev_uri(evidence, differs.port, **{"7": {"expected": "00" * 32, "warnOnly": True}}),
        sev_uri(evidence, replays.port),
        new_node().uri,
    ]
    balancer = trusting("-nodes", ",".join(uris))
    names = [f"https://localhost:{differs.port}", f"https://localhost:{replays.port}"]
    balancer.wait_for(PROVEN, nodeURI=names[0])
    balancer.wait_for(REFUSED, nodeURI=names[1])
    series = scrape(balancer)
    assert {key: value for key, value in series.items() if key[0] == "priolb_node_attested"} == {
        ("priolb_node_attested", names[0]): 1,
        ("priolb_node_attested", names[1]): 0,
    }
    verdicts = {
        (name, verdict): series["priolb_node_attestations_total", name, verdict] > 0
        for name in names
        for verdict in ("accepted", "warned", "refused")
    }
    assert {key for key, has_been in verdicts.items() if has_been} == {
        (names[0], "warned"),
        (names[1], "refused"),
    }
    assert {key[1:] for key in series if key[0] == "priolb_node_attestation_refusals_total"} == {
        (names[1], "quote_nonce")
    }
    assert [series["priolb_node_state", name, "unattested"] for name in names] == [0, 1]
    page = balancer.ask("GET", "/metrics").body.decode()
    assert [part for uri in uris[:2] for part in ("SEV_", uri.partition("@")[0][-40:]) if part in page] == []


def test_nodes_of_the_store_prove_themselves_at_the_start_and_requests_wait_for_them(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect, tmp_path: Path
) -> None:
    evidence, store = SevNode(), f"sqlite:///{tmp_path}/nodes.db"
    nodes = [sev(new_attested, evidence, always(200, b"SEV")), sgx(new_attested, always(200, b"SGX"))]
    uris = [sev_uri(evidence, nodes[0].port), sgx_uri(nodes[1].port)]
    first = trusting("-redis", store, "-nodes", ",".join(uris))
    assert connect(first).ask(post()).status == 200
    first.stop()
    for uri, node, body in zip(uris, nodes, (b"SEV", b"SGX"), strict=True):
        other = uris[1 - uris.index(uri)]
        second = trusting("-redis", store)
        assert second.nodes() == uris
        second.change_node(other, state="cordoned")
        assert connect(second).ask(post()).body == body
        assert second.detail(uri)["state"] == "up"
        second.wait_for(PROVEN, nodeURI=f"https://localhost:{node.port}")
        second.stop()


# No byte flows


def test_who_replays_a_document_gets_nothing(
    trusting: Callable[..., Balancer], new_attested: NewAttested
) -> None:
    evidence, seen = SevNode(), bytes(range(32))
    node = new_attested(evidence.tls_key, lambda _nonce: sev_leaf(evidence, seen), always(200, b"secret"))
    reason = trusting().refused_node(sev_uri(evidence, node.port))
    name = f"https://localhost:{node.port}"
    assert reason == f"{name}: not attested: quote_nonce: the quote was not made for this connection\n"
    assert node.received_bytes == 0


def test_who_replays_the_document_of_an_earlier_connection_gets_nothing_more(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    evidence, shown = SevNode(), list[bytes]()
    is_replaying = False

    def certify(nonce: bytes) -> bytes:
        if not is_replaying:
            shown.append(sev_leaf(evidence, nonce))
        return shown[-1]

    node = new_attested(evidence.tls_key, certify, always(200, b"mine", "Connection: close"))
    good = sev(new_attested, evidence, always(200, b"good"))
    balancer = trusting(HEALTH_CHECK_INTERVAL="0")
    balancer.add_node(sev_uri(evidence, node.port))
    assert connect(balancer).ask(post()).body == b"mine"
    balancer.add_node(sev_uri(evidence, good.port))
    is_replaying, received = True, node.received_bytes
    assert {connect(balancer).ask(post()).body for _ in range(4)} == {b"good"}
    balancer.wait_for(REFUSED, nodeURI=f"https://localhost:{node.port}", reason="quote_nonce")
    assert node.received_bytes == received


def test_a_man_in_the_middle_who_passes_the_nonce_on_gets_nothing(
    trusting: Callable[..., Balancer], new_attested: NewAttested
) -> None:
    evidence, own, nonces = SevNode(), ec_key(50), list[str | None]()
    real = sev(new_attested, evidence, always(200, b"secret"), names=nonces)

    def relayed(nonce: bytes) -> bytes:
        if not nonce:
            return sev_leaf(evidence, nonce, key=own, signer=own)
        [document] = parse_certificate(leaf_of(real.port, nonce)).values(ATLS)
        now = time.time()
        return evidence.certificate(document, key=own, signer=own, not_before=now - 60, not_after=now + 60)

    middle = new_attested(own, relayed, always(200, b"mine"))
    reason = trusting().refused_node(sev_uri(evidence, middle.port))
    assert ": not attested: tls_key: " in reason
    assert len(nonces) == 1, "the real node was asked, with the nonce of the balancer"
    assert (middle.received_bytes, real.received_bytes) == (0, 0)


def test_a_sgx_node_with_a_key_that_is_not_the_one_of_its_quote_gets_nothing(
    trusting: Callable[..., Balancer], new_attested: NewAttested
) -> None:
    evidence, thief = SgxNode(), SgxNode()
    thief.tls_key = ec_key(51, 384)
    stolen = thief.certificate((LEGACY, False, evidence.quote()))
    node = new_attested(thief.tls_key, lambda _nonce: stolen, always(200, b"mine"))
    assert ": not attested: tls_key: " in trusting().refused_node(sgx_uri(node.port))
    assert node.received_bytes == 0


def test_a_node_that_turns_bad_between_two_connections_gets_nothing_more(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    """No check finds it out here, but the connection for the request."""
    evidence, good_evidence = SevNode(), SevNode()
    node = sev(new_attested, evidence, always(200, b"first", "Connection: close"))
    good = sev(new_attested, good_evidence, always(200, b"good"))
    uri, name = sev_uri(evidence, node.port), f"https://localhost:{node.port}"
    balancer = trusting(HEALTH_CHECK_INTERVAL="0", RETRIES_MAX="1")
    balancer.add_node(uri)
    assert connect(balancer).ask(post()).body == b"first"
    balancer.add_node(sev_uri(good_evidence, good.port))
    evidence.pcrs[4] = bytes(32)
    received = node.received_bytes
    assert {connect(balancer).ask(post()).body for _ in range(4)} == {b"good"}
    detail = balancer.detail(uri)
    assert (detail["state"], detail["reason"].partition(":")[0]) == ("unattested", "measurements")
    proof = detail["attestation"]
    assert (proof["state"], proof["reason"]) == ("refused", "measurements")
    assert proof["refused"] == {"measurements": 1}
    assert node.received_bytes == received
    told = [line for line in balancer.lines if line["msg"] == REFUSED]
    assert [(line["nodeURI"], line["kind"], line["reason"]) for line in told] == [
        (name, "SEV", "measurements")
    ]
    failed = balancer.wait_for("Request proxying failed", nodeURI=name)
    assert failed["reason"] == "node_unattested"


def test_requests_wait_for_the_only_node_until_it_proves_itself_again(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    evidence = SevNode()
    node = sev(new_attested, evidence, always(200, b"secret"))
    uri = sev_uri(evidence, node.port)
    balancer = trusting(REQUEST_TIMEOUT="60", RETRIES_MAX="1")
    balancer.add_node(uri)
    measured, evidence.pcrs[4] = evidence.pcrs[4], bytes(32)
    balancer.wait_for(REFUSED, reason="measurements")
    client = connect(balancer)
    client.send(post(b"{}", "X-Request-ID: waits"))
    balancer.wait_queued("waits")
    assert (node.requests, balancer.detail(uri)["state"]) == ([], "unattested")
    evidence.pcrs[4] = measured
    assert client.receive().body == b"secret"
    assert balancer.detail(uri)["state"] == "up"


def test_a_check_that_finds_a_node_bad_ends_what_is_idle_and_what_is_being_sent(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    evidence = SevNode()
    node = sev(new_attested, evidence, always(200, b"secret"))
    balancer = trusting(REPLAY_MAX_KB="1")
    balancer.add_node(sev_uri(evidence, node.port))
    assert connect(balancer).ask(post()).body == b"secret"
    idle = node.requests[0].connection
    head = request("PUT", "/", b"", "Content-Length: 1000000")
    sender, before = connect(balancer), node.received_bytes
    sender.send(head + b"x" * 5000)
    node.wait_received(before + 5000)
    evidence.pcrs[4] = bytes(32)
    idle.wait_ended()
    answer = sender.receive()
    assert (answer.status, b"node not attested" in answer.body) == (502, True)
    assert len(node.requests) == 1, "the long one never came to its end"


def test_what_a_node_has_got_whole_is_answered(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect
) -> None:
    evidence = SevNode()
    node = new_attested(evidence.tls_key, lambda nonce: sev_leaf(evidence, nonce))
    balancer = trusting()
    balancer.add_node(sev_uri(evidence, node.port))
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    evidence.pcrs[4] = bytes(32)
    balancer.wait_for(REFUSED, reason="measurements")
    call.answer(200, b"in time")
    assert client.receive().body == b"in time"
    call.wait_left()


def test_a_node_whose_collateral_expires_is_unusable_at_once_and_comes_back(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect, collateral: Path
) -> None:
    """With no connection to it: its one connection is idle, and no check is made."""
    node = sgx(new_attested, always(200, b"secret"))
    uri = sgx_uri(node.port)
    balancer = trusting(HEALTH_CHECK_INTERVAL="0", REQUEST_TIMEOUT="60")
    balancer.add_node(uri)
    assert connect(balancer).ask(post()).body == b"secret"
    put_collateral(collateral, end=math.ceil(time.time()) + 1)
    balancer.wait_for(REFUSED, reason="collateral_expired")
    node.requests[0].connection.wait_ended()
    received = node.received_bytes
    assert balancer.detail(uri)["state"] == "unattested"
    waiting = connect(balancer)
    waiting.send(post(b"{}", "X-Request-ID: waits"))
    balancer.wait_queued("waits")
    assert node.received_bytes == received
    put_collateral(collateral)
    assert waiting.receive().body == b"secret"
    assert balancer.detail(uri)["state"] == "up"


def test_a_platform_that_falls_out_of_date_is_unusable_without_any_connection(
    trusting: Callable[..., Balancer], new_attested: NewAttested, connect: Connect, collateral: Path
) -> None:
    node = sgx(new_attested, always(200, b"secret"))
    uri = sgx_uri(node.port)
    balancer = trusting(HEALTH_CHECK_INTERVAL="0", REQUEST_TIMEOUT="0.2")
    balancer.add_node(uri)
    assert connect(balancer).ask(post()).body == b"secret"
    put_collateral(collateral, status="OutOfDate")
    balancer.wait_for(REFUSED, reason="tcb_status")
    detail = balancer.detail(uri)
    assert detail["reason"] == "tcb_status: Intel says OutOfDate, which the policy does not allow"
    received = node.received_bytes
    assert connect(balancer).ask(post()).status == 504
    assert node.received_bytes == received


def test_attested_and_healthy_are_two_facts(
    trusting: Callable[..., Balancer], new_attested: NewAttested
) -> None:
    ill, other = SevNode(), SevNode()
    down, unproven = sev(new_attested, ill, always()), sev(new_attested, other, always())
    down.health_status = 500
    other.pcrs[4] = bytes(32)
    uris = [sev_uri(SevNode(), each.port) for each in (down, unproven)]
    balancer = trusting("-nodes", ",".join(uris))
    balancer.wait_for("Node is unhealthy and will be checked again", nodeURI=f"https://localhost:{down.port}")
    balancer.wait_for(REFUSED, nodeURI=f"https://localhost:{unproven.port}")
    details = [balancer.detail(uri) for uri in uris]
    assert [detail["state"] for detail in details] == ["down", "unattested"]
    assert [detail["attestation"]["state"] for detail in details] == ["attested", "refused"]
    assert details[1]["last_error"] is None
    assert unproven.received_bytes == 0


def test_a_service_for_collateral_that_hangs_does_not_hold_up_the_end_of_the_program(
    trusting: Callable[..., Balancer], new_attested: NewAttested
) -> None:
    node = sgx(new_attested, always())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        balancer = trusting("-nodes", sgx_uri(node.port), SGX_COLLATERAL=address)
        connection, _ = silent.accept()
        with connection:
            balancer.signal(signal.SIGTERM)
            assert balancer.wait(timeout_s=10.0) == 0
    assert node.received_bytes == 0


# The program as it is delivered


def test_without_our_anchors_our_nodes_prove_nothing(
    launch: Launch, new_attested: NewAttested, collateral: Path
) -> None:
    evidence = SevNode()
    first, second = sev(new_attested, evidence, always()), sgx(new_attested, always())
    flags = ("RA_TLS_ALLOW_OUTDATED_TCB_INSECURE", "RA_TLS_ALLOW_HW_CONFIG_NEEDED")
    balancer = launch(
        SGX_COLLATERAL=str(collateral),
        SEV_ARKS="milan,genoa",
        RA_TLS_ALLOW_SW_HARDENING_NEEDED="1",
        **dict.fromkeys(flags, "1"),
    )
    assert ": not attested: ask_signature: " in balancer.refused_node(sev_uri(evidence, first.port))
    assert ": not attested: collateral_missing: " in balancer.refused_node(sgx_uri(second.port))
    told = balancer.wait_for("SGX collateral cannot be fetched")
    assert told["err"] == "the issuer of the TCB info is not certified by Intel's root"
    assert (first.received_bytes, second.received_bytes) == (0, 0)


def test_a_node_without_evidence_is_refused(launch: Launch, new_attested: NewAttested) -> None:
    evidence = SevNode()
    bare = new_attested(evidence.tls_key, lambda _nonce: sev_leaf(evidence, b"", extensions=[]), always())
    balancer = launch()
    assert ": not attested: document_missing: " in balancer.refused_node(sev_uri(evidence, bare.port))
    assert ": not attested: evidence_missing: " in balancer.refused_node(sgx_uri(bare.port))
    assert bare.received_bytes == 0
