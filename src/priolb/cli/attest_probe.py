"""`prio-load-balancer attest probe`: connect to a node, and say step by step what it proves."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Final

from priolb.attest.attestation import Attestation
from priolb.attest.expectation import Expectation
from priolb.attest.verdict import Refusal, Verdict
from priolb.config.attestation import attestors_of
from priolb.config.load import load_settings
from priolb.config.settings import Settings
from priolb.config.words import escaped
from priolb.nodes.uri import NodeURI

CONNECT_TIMEOUT_S: Final = 10.0
COLLATERAL_TIMEOUT_S: Final = 60.0

# The PCRs that the original's users enforce, and those that differ between hosts, of which they are warned.
_ENFORCED: Final = (4, 8, 9, 11, 12, 13, 15)
_WARNED: Final = (1, 2, 3, 5, 6, 7, 14)


class _Log:
    """Tells on stderr why collateral cannot be had; all else is in the verdict."""

    def info(self, msg: str, /, **fields: object) -> None:
        """Say nothing."""

    def warning(self, msg: str, /, **fields: object) -> None:
        if "nodeURI" not in fields:
            cause = f": {escaped(str(fields['err']))}" if "err" in fields else ""
            print(f"prio-load-balancer: {msg}{cause}", file=sys.stderr)


def probe(uri: NodeURI) -> int:
    """Connect to a node, print the verdict, and return the exit status: 0 when it has proven itself.

    The policy is that of the environment, as for the balancer.

    Raises:
        ConfigError: a setting cannot be read, or what verifies evidence is not installed.
    """
    settings = load_settings([], os.environ)
    assert uri.expectation is not None
    verdict, failure = asyncio.run(_ask(uri, uri.expectation, settings))
    if verdict is None:
        print(f"prio-load-balancer: {uri.name} cannot be asked: {escaped(failure)}", file=sys.stderr)
        return 1
    for line in _lines(uri, verdict):
        print(escaped(line))
    return 0 if verdict.ok else 1


async def _ask(uri: NodeURI, expectation: Expectation, settings: Settings) -> tuple[Verdict | None, str]:
    """Return the verdict, or None and why there is none."""
    attestors = attestors_of(settings, _Log())
    try:
        attestation = attestors.attest(uri.name, expectation, lambda _verdict: None)
        failure = await _connect(uri, attestation)
        verdict = attestation.verdict
        if verdict is not None and verdict.refusal is Refusal.COLLATERAL_MISSING:
            with contextlib.suppress(TimeoutError):  # what is missing then is in the verdict
                async with asyncio.timeout(COLLATERAL_TIMEOUT_S):
                    await attestors.collateral_arrived()
        return attestation.verdict, failure
    finally:
        await attestors.close()


async def _connect(uri: NodeURI, attestation: Attestation) -> str:
    """Shake hands with the node and part again; return why that failed, if it did."""
    loop = asyncio.get_running_loop()
    try:
        connecting = loop.create_connection(
            asyncio.Protocol, uri.host, uri.port, ssl=attestation.context, server_hostname=uri.host
        )
        transport, _ = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
        transport.abort()
    except TimeoutError:
        return "no handshake in time"
    except (OSError, UnicodeError) as error:  # the second from the codec for names
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ""


def _lines(uri: NodeURI, verdict: Verdict) -> Iterator[str]:
    yield f"node {uri.name}"
    refused_at = verdict.refusal.step if verdict.refusal is not None else None
    is_reached = True
    for step in verdict.steps:
        if step is refused_at:
            yield f"REFUSED  {step.value}: {verdict.reason}: {verdict.detail}"
            is_reached = False
        else:
            yield f"{'ok' if is_reached else '-':<8} {step.value}"
    if is_reached and refused_at is not None:
        yield f"REFUSED  {refused_at.value}: {verdict.reason}: {verdict.detail}"
    for warning in verdict.warnings:
        yield f"warning  {warning}"
    for name, value in verdict.claims.items():
        yield f"claim    {name} = {value}"
    yield from _policy(verdict)
    yield "attested" if verdict.ok else "not attested"


def _policy(verdict: Verdict) -> Iterator[str]:
    """Say what a URI for this very node would need; only for claims that are authentic."""
    claims = verdict.claims
    named = {
        str(index): {"expected": claims[f"pcr_{index}"], "warnOnly": index in _WARNED}
        for index in sorted(_ENFORCED + _WARNED)
        if f"pcr_{index}" in claims
    }
    if named:
        yield f"needs    --measurements FILE with {json.dumps(named)}"
        yield f"needs    SEV_ID_KEYS with {claims['id_key_digest']}"
        yield f"needs    SEV_MIN_TCB of {claims['committed_tcb']} or lower"
    if "mrenclave" in claims:
        yield f"needs    --mrenclave {claims['mrenclave']}"
        yield f"needs    a policy that allows {claims['tcb_status']}"
    if verdict.platform is not None:
        fmspc, ca = verdict.platform
        yield f"needs    collateral: attest collateral fetch DIR --fmspc {fmspc} --ca {ca}"
