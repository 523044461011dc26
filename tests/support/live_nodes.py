"""Attested nodes that serve HTTP, the balancer that trusts our authorities, and the URIs between them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import trusting_balancer
from support.der_build import PrivateKey
from support.scripted_node import Script, ScriptedNode
from support.sev_evidence import HOUR_S, SevNode, ark
from support.sgx_evidence import MRENCLAVE, intel
from support.tls_server import Certify, certifying_context

NewAttested = Callable[..., ScriptedNode]


def sev_leaf(node: SevNode, nonce: bytes, **options: Any) -> bytes:
    """Return the certificate of a SEV node for a nonce, valid as of the clock."""
    now = time.time()
    options.setdefault("not_before", now - 2 * HOUR_S)
    options.setdefault("not_after", now + 2 * HOUR_S)
    return node.certificate(node.document(nonce), **options)


def sev_uri(node: SevNode, port: int, **changes: object) -> str:
    """Return the URI of a SEV node that names all of its PCRs; changes: other values by their index."""
    return f"https://{node.user_part(**changes)}@localhost:{port}"


def sgx_uri(port: int, mrenclave: bytes = MRENCLAVE) -> str:
    return f"https://SGX_{mrenclave.hex()}@localhost:{port}"


def put_collateral(folder: Path, **changes: Any) -> None:
    """Put collateral that is valid now into a directory, instead of what is there."""
    now = time.time()
    start, end = changes.setdefault("start", now - 60), changes.setdefault("end", now + 86_400)
    lists = {"pck_crl": intel().ca.crl((), start, end), "root_ca_crl": intel().root.crl((), start, end)}
    unfinished = folder / "it.new"
    unfinished.write_text(intel().collateral(**{**lists, **changes}).to_json())
    unfinished.replace(folder / "it.json")


def command(folder: Path) -> list[str]:
    """Return the command of a balancer that trusts our authorities; `folder` is of this balancer alone."""
    (folder / "ark.der").write_bytes(ark())
    (folder / "intel.der").write_bytes(intel().root.der)
    return [sys.executable, "-P", trusting_balancer.__file__, str(folder)]


def attested_node(
    folder: Path, key: PrivateKey, certify: Certify, script: Script | None, names: list[str | None]
) -> ScriptedNode:
    """Return a running node that makes its certificate anew for each handshake.

    Args:
        folder: for its certificates; of this node alone.
        key: of its TLS.
        certify: gives the certificate for a nonce.
        script: as that of `ScriptedNode`.
        names: gets the server name of each handshake.
    """
    return ScriptedNode(script, tls=certifying_context(folder, key, certify, names))
