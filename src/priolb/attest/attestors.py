"""All nodes that have to prove what they run: one attestation each, and the collateral that they share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from priolb.attest.attestation import Attestation, Verifier
from priolb.attest.expectation import Expectation, SevExpectation
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sgx.policy import SgxPolicy
from priolb.attest.verdict import Verdict
from priolb.errors import ConfigError

if TYPE_CHECKING:
    from priolb.attest.sgx.library import CollateralLibrary


class Log(Protocol):
    """Where changes are told."""

    def info(self, msg: str, /, **fields: object) -> None: ...
    def warning(self, msg: str, /, **fields: object) -> None: ...


class Attestors:
    """The attestations of all nodes.

    What verifies evidence is imported with the first node that needs it: most balancers have none, and the
    libraries for it come with the extra `tee` only.

    Args:
        sev_policy: what SEV nodes are held to, unless their URI says otherwise.
        sgx_policy: what SGX nodes are held to, unless their URI says otherwise.
        collateral: where collateral of Intel comes from, a URL or a directory; empty for nowhere.
        log: where changed verdicts are told.
        clock: gives Unix seconds.
    """

    def __init__(
        self,
        sev_policy: SevPolicy,
        sgx_policy: SgxPolicy,
        collateral: str,
        log: Log,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sev_policy = sev_policy
        self._sgx_policy = sgx_policy
        self._collateral = collateral
        self._log = log
        self._clock = clock
        self._library: CollateralLibrary | None = None
        self._attestations: list[Attestation] = []

    def require(self, expectation: Expectation) -> None:
        """Do nothing if what verifies such evidence is installed.

        Raises:
            ConfigError: it is not.
        """
        kind = "sev" if isinstance(expectation, SevExpectation) else "sgx"
        try:
            import_module(f"priolb.attest.{kind}.verifier")
        except ImportError as error:
            raise packages_missing(error) from None

    def attest(
        self, name: str, expectation: Expectation, on_change: Callable[[Verdict], None]
    ) -> Attestation:
        """Return the attestation of a node; its `context` is what connections to the node are opened with.

        Has to be called in a running event loop.

        Args:
            name: the node, for the log.
            expectation: what it has to prove.
            on_change: called with each verdict that differs from the one before; the node may be used only
                while the last one is `ok`.

        Raises:
            ConfigError: what verifies evidence is not installed.
        """

        def changed(verdict: Verdict) -> None:
            self._tell(name, verdict)
            on_change(verdict)

        self.require(expectation)
        attestation = Attestation(self._verifier(expectation), changed)
        self._attestations.append(attestation)
        return attestation

    def forget(self, attestation: Attestation) -> None:
        """Look after this attestation no more: its node is gone."""
        self._attestations.remove(attestation)

    async def collateral_arrived(self) -> None:
        """Wait until no collateral is being fetched: a node refused for want of it is then judged again."""
        if self._library is not None:
            await self._library.arrived()

    async def close(self) -> None:
        """End the background work."""
        if self._library is not None:
            await self._library.close()

    def _verifier(self, expectation: Expectation) -> Verifier:
        if isinstance(expectation, SevExpectation):
            from priolb.attest.sev.verifier import SevVerifier  # noqa: PLC0415 - see the class

            return SevVerifier(expectation.measurements, expectation.policy(self._sev_policy), self._clock)
        from priolb.attest.sgx.verifier import SgxVerifier  # noqa: PLC0415 - see the class

        policy = expectation.policy(self._sgx_policy)
        return SgxVerifier(expectation.mrenclave, policy, self._open_library(), self._clock)

    def _open_library(self) -> CollateralLibrary:
        if self._library is None:
            from priolb.attest.sgx.library import CollateralLibrary  # noqa: PLC0415 - see the class
            from priolb.attest.sgx.sources import open_source  # noqa: PLC0415 - see the class

            source = open_source(self._collateral)
            if source is None:
                self._log.warning("SGX_COLLATERAL is not set, so no SGX node can prove itself")
            self._library = CollateralLibrary(
                source,
                self._sgx_policy.root,
                self._clock,
                self._log,
                self._platforms_in_use,
                self._recheck,
            )
            self._library.start()
        return self._library

    def _platforms_in_use(self) -> set[tuple[str, str]]:
        verdicts = (attestation.verdict for attestation in self._attestations)
        return {each.platform for each in verdicts if each is not None and each.platform is not None}

    async def _recheck(self) -> None:
        for attestation in list(self._attestations):
            try:
                attestation.recheck()
            except Exception as error:  # noqa: BLE001 - all other nodes are to be judged all the same
                self._log.warning("A node could not be judged again", kind=attestation.kind, err=repr(error))
            await asyncio.sleep(0)  # many verdicts in one turn would hold up all requests

    def _tell(self, name: str, verdict: Verdict) -> None:
        if verdict.ok:
            self._log.info("Node has proven what it runs", nodeURI=name, kind=verdict.kind)
            for warning in verdict.warnings:
                self._log.warning("Node differs from its URI where it may", nodeURI=name, detail=warning)
        else:
            self._log.warning(
                "Node has not proven what it runs and gets nothing",
                nodeURI=name,
                kind=verdict.kind,
                reason=verdict.reason,
                detail=verdict.detail,
            )


def packages_missing(error: ImportError) -> ConfigError:
    """Return what to tell the operator when the extra `tee` is not installed."""
    return ConfigError(f"attested nodes need more packages: pip install '.[tee]' in the checkout ({error})")
