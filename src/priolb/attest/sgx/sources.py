"""Where collateral comes from: a service for it (PCCS), or a directory. Nobody is asked by default."""

from __future__ import annotations

import json
import re
import time
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from pathlib import Path
from socket import SocketIO, socket
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, Request, build_opener

from priolb.attest.anchors import INTEL_SGX_ROOT_CRL_URL
from priolb.attest.jsontext import member, parse_object
from priolb.attest.reader import MalformedError
from priolb.attest.sgx.collateral import COLLATERAL_MAX_BYTES, Collateral, Platform
from priolb.attest.sgx.library import CollateralSource
from priolb.no_redirect import NoRedirect
from priolb.tasks import in_thread

TIMEOUT_S: Final = 10.0
"""For each part of an answer."""
WHOLE_TIMEOUT_S: Final = 60.0
"""For an answer as a whole."""
_PART_BYTES: Final = 65536

JSON_MAX_BYTES: Final = 256 * 1024
"""Of TCB info and QE identity, which have 7 KB at most. All else stands still while they are parsed."""

FILES_MAX: Final = 1000

_API: Final = "/sgx/certification/v4"
_INTEL: Final = "api.trustedservices.intel.com"


def open_source(place: str) -> CollateralSource | None:
    """Return the source that a setting names: an http(s) URL, a directory, or nothing."""
    if not place:
        return None
    return PccsSource(place) if place.startswith(("http://", "https://")) else DirectorySource(Path(place))


class DirectorySource:
    """A directory of JSON files, one for each platform, as `attest collateral fetch` writes them.

    Args:
        directory: is read anew each time, so files may be replaced.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def fetch(self, platform: Platform) -> Collateral:
        return await in_thread(lambda: self._find(platform), f"SGX collateral {platform}")

    def _find(self, platform: Platform) -> Collateral:
        found: Collateral | None = None
        broken: list[Exception] = []
        for file in sorted(self._directory.glob("*.json"))[:FILES_MAX]:
            if not file.is_file():
                continue  # a pipe, say, which could be waited for without end
            try:
                collateral = _read(file)
            except (OSError, MalformedError) as error:
                broken.append(error)  # which is of no matter where another file has what is wanted
                continue
            is_newer = found is None or collateral.issued_at > found.issued_at
            if collateral.platform == platform and is_newer:
                found = collateral
        if found is None:
            missing = FileNotFoundError(f"no file in {self._directory} is for the platform {platform}")
            raise broken[0] if broken else missing
        return found


class PccsSource:
    """A service with the interface of Intel's (PCS or PCCS API, version 4).

    Args:
        base_url: like https://pccs.example:8081, with or without /sgx/certification/v4.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/").removesuffix(_API) + _API

    async def fetch(self, platform: Platform) -> Collateral:
        return await in_thread(lambda: self._fetch(platform), f"SGX collateral {platform}")

    def _fetch(self, platform: Platform) -> Collateral:
        base = self._base_url
        tcb_info, tcb_headers = _get(f"{base}/tcb?fmspc={platform.fmspc}", JSON_MAX_BYTES)
        qe_identity, qe_headers = _get(f"{base}/qe/identity", JSON_MAX_BYTES)
        pck_crl_url = f"{base}/pckcrl?ca={platform.ca}&encoding=der"
        pck_crl, crl_headers = _get(pck_crl_url, COLLATERAL_MAX_BYTES)
        # Intel itself publishes the list of its root only where the root says.
        is_intel = urlsplit(base).hostname == _INTEL
        root_ca_crl_url = INTEL_SGX_ROOT_CRL_URL if is_intel else f"{base}/rootcacrl"
        root_ca_crl, _ = _get(root_ca_crl_url, COLLATERAL_MAX_BYTES)
        tcb_text, tcb_signature = _signed_member(tcb_info, "tcbInfo")
        qe_text, qe_signature = _signed_member(qe_identity, "enclaveIdentity")
        return Collateral(
            pck_crl_issuer_chain=_chain(crl_headers, "SGX-PCK-CRL-Issuer-Chain"),
            root_ca_crl=_der(root_ca_crl),
            pck_crl=_der(pck_crl),
            tcb_info_issuer_chain=_chain(tcb_headers, "TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"),
            tcb_info=tcb_text,
            tcb_info_signature=tcb_signature,
            qe_identity_issuer_chain=_chain(qe_headers, "SGX-Enclave-Identity-Issuer-Chain"),
            qe_identity=qe_text,
            qe_identity_signature=qe_signature,
        )


def _read(file: Path) -> Collateral:
    with file.open("rb") as opened:
        text = opened.read(COLLATERAL_MAX_BYTES + 1)
    if len(text) > COLLATERAL_MAX_BYTES:
        raise MalformedError(f"{file} is longer than {COLLATERAL_MAX_BYTES} bytes")
    try:
        return Collateral.from_json(text)
    except MalformedError as error:
        raise MalformedError(f"{file}: {error}") from None


class _Hurried(RawIOBase):
    """What a connection brings in time: the timeout of a socket begins anew with each byte."""

    def __init__(self, raw: SocketIO) -> None:
        self._raw = raw
        self._give_up_at = time.monotonic() + WHOLE_TIMEOUT_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._give_up_at:
            raise TimeoutError(f"it took longer than {WHOLE_TIMEOUT_S:g} s")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _HurriedResponse(HTTPResponse):
    """An answer that has to be there in time, head and body."""

    def __init__(self, sock: socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self.fp = BufferedReader(_Hurried(sock.makefile("rb", buffering=0)))


class _Handler(HTTPHandler, HTTPSHandler):
    """Reads such answers, of proxies, too."""

    def do_open(self, http_class: Any, req: Request, **arguments: Any) -> HTTPResponse:
        def connection(host: str, **named: Any) -> HTTPConnection:
            made: HTTPConnection = http_class(host, **named)
            made.response_class = _HurriedResponse
            return made

        return super().do_open(connection, req, **arguments)


def _get(url: str, max_bytes: int) -> tuple[bytes, Message]:
    request = Request(url)  # noqa: S310 - open_source lets http(s) pass only
    try:
        with build_opener(NoRedirect, _Handler).open(request, timeout=TIMEOUT_S) as response:
            headers: Message = response.headers
            body = b""
            # Not `read`, which takes whatever there is in a chunk of -1 bytes.
            while len(body) <= max_bytes and (part := response.read1(_PART_BYTES)):
                body += part
    except HTTPError as error:
        with error:
            raise OSError(f"{url} answered {error.code}") from None
    except URLError as error:
        raise OSError(f"{url} cannot be reached: {error.reason}") from None
    except OSError as error:
        raise OSError(f"{url} cannot be read: {error}") from None
    except (HTTPException, ValueError, OverflowError) as error:  # of names, and of sizes of chunks
        raise OSError(f"{url} cannot be asked over HTTP: {type(error).__name__}") from None
    if len(body) > max_bytes:
        raise MalformedError(f"{url} gave more than {max_bytes} bytes")
    return body, headers


def _chain(headers: Message, *names: str) -> str:
    for name in names:
        value = headers.get(name)
        if value is not None:
            return unquote(value)
    raise MalformedError(f"the service gave no {names[0]}")


def _der(body: bytes) -> bytes:
    """Return the bytes of a list that came in DER or, as PCCS does it in places, in hex."""
    try:
        return bytes.fromhex(body.decode())
    except ValueError:  # UnicodeDecodeError is one
        return body


def _signed_member(body: bytes, name: str) -> tuple[str, bytes]:
    """Return a member of a JSON object as the very text that was signed, and the signature beside it."""
    outer = parse_object(body, "what the service gave")
    member(outer, name, dict)
    digits = member(outer, "signature", str)
    try:
        signature = bytes.fromhex(digits)
    except ValueError:
        raise MalformedError("signature is not in hex") from None
    text = body.decode()
    start = re.search(rf'"{name}"\s*:\s*', text)
    if start is None:
        raise MalformedError(f"{name} is not spelt as such")
    return text[start.end() : json.JSONDecoder().raw_decode(text, start.end())[1]], signature
