"""A TPM: a real one in software where swtpm and tpm2-tools are installed, else a key that says the same."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from support.sev_evidence import SHA1, SHA256, SHA384, SevNode, ak_public, attest, b64, signature

_READY_TIMEOUT_S = 10.0
_START_TRIES_MAX = 5
_TOOLS = ("swtpm", "tpm2_startup", "tpm2_createprimary", "tpm2_quote", "tpm2_pcrread", "tpm2_readpublic")
_AK_HANDLE = "0x81000003"
_BANKS = {SHA1: ("sha1", 20), SHA256: ("sha256", 32), SHA384: ("sha384", 48)}


class Tpm(Protocol):
    """What a node asks of its TPM."""

    def public(self) -> bytes:
        """Return TPMT_PUBLIC of the attestation key."""

    def quote(self, extra_data: bytes, bank: int) -> dict[str, Any]:
        """Return a quote over all PCRs of a bank, as it stands in the document."""


class KeyTpm:
    """A TPM that is nothing but a key."""

    def __init__(self) -> None:
        self._node = SevNode()

    def public(self) -> bytes:
        return ak_public(self._node.ak)

    def quote(self, extra_data: bytes, bank: int) -> dict[str, Any]:
        pcrs = {index: bytes(_BANKS[bank][1]) for index in range(24)}
        message = attest(extra_data, pcrs, bank=bank)
        return _as_in_document(message, signature(self._node.ak, message), bank, pcrs)


class SwTpm:
    """A real TPM of version 2 in software, with a restricted signing key.

    Args:
        folder: for its state; of this TPM alone.
        port: of its data channel; that of its control channel is the next one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._environment = {**os.environ, "TPM2TOOLS_TCTI": f"swtpm:host=127.0.0.1,port={port}"}
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}"]
        command += ["--server", f"type=tcp,port={port},bindaddr=127.0.0.1"]
        command += ["--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1"]
        command += ["--flags", "not-need-init,startup-clear"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._wait_until_ready(port)
            self._create_key()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def public(self) -> bytes:
        self._run("tpm2_readpublic", "-c", _AK_HANDLE, "-f", "tpmt", "-o", "ak.pub")
        return (self._folder / "ak.pub").read_bytes()

    def extend(self, index: int, value: bytes) -> None:
        """Extend a PCR of the SHA-256 bank."""
        self._run("tpm2_pcrextend", f"{index}:sha256={value.hex()}")

    def quote(self, extra_data: bytes, bank: int) -> dict[str, Any]:
        name, size = _BANKS[bank]
        selection = f"{name}:all"
        self._run("tpm2_pcrread", selection, "-o", "pcrs.bin")
        values = (self._folder / "pcrs.bin").read_bytes()
        pcrs = {index: values[size * index : size * (index + 1)] for index in range(24)}
        self._run(
            *("tpm2_quote", "-c", _AK_HANDLE, "-l", selection, "-q", extra_data.hex()),
            *("-m", "message", "-s", "signature", "-f", "tss", "-g", "sha256"),
        )
        message = (self._folder / "message").read_bytes()
        return _as_in_document(message, (self._folder / "signature").read_bytes(), bank, pcrs)

    def _create_key(self) -> None:
        attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
        self._run(
            *("tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "rsa2048:rsassa-sha256:null"),
            *("-a", attributes, "-c", "ak.ctx"),
        )
        # Loaded anew for each command, the key would fill the few places that a TPM has for objects.
        self._run("tpm2_evictcontrol", "-C", "o", "-c", "ak.ctx", _AK_HANDLE)
        self._run("tpm2_flushcontext", "-t")

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def _wait_until_ready(self, port: int) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while True:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("swtpm does not start")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port + 1), timeout=1):
                return
            time.sleep(0.01)


def is_installed() -> bool:
    """Whether a real TPM in software can be had here."""
    return all(map(shutil.which, _TOOLS))


@contextlib.contextmanager
def software_tpm(folder: Path) -> Iterator[Tpm]:
    """Yield a TPM: a real one in software if there is one."""
    if not is_installed():
        yield KeyTpm()
        return
    tpm = _started(folder)
    try:
        yield tpm
    finally:
        tpm.stop()


def _started(folder: Path) -> SwTpm:
    for tries_left in reversed(range(_START_TRIES_MAX)):
        try:
            return SwTpm(folder, random.randrange(15_000, 30_000, 2))
        except RuntimeError:  # somebody else may have one of the two ports
            if not tries_left:
                raise
    raise AssertionError("unreachable")


def _as_in_document(message: bytes, signed: bytes, bank: int, pcrs: dict[int, bytes]) -> dict[str, Any]:
    return {
        "quote": b64(message),
        "raw_sig": b64(signed),
        "pcrs": {"hash": bank, "pcrs": {str(index): b64(value) for index, value in pcrs.items()}},
    }
