"""Collateral from a service over HTTP and from a directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from priolb.attest.anchors import INTEL_SGX_ROOT_CRL_URL
from priolb.attest.reader import MalformedError
from priolb.attest.sgx import sources as module
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.sources import DirectorySource, PccsSource, open_source
from support.pccs import Pccs
from support.sgx_evidence import DAY_S, NOW, PLATFORM, intel


@pytest.fixture
def pccs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pccs]:
    for variable in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with Pccs(intel().collateral()) as service:
        yield service


def fetched(source: PccsSource | DirectorySource, platform: Platform = PLATFORM) -> Collateral:
    return asyncio.run(source.fetch(platform))


def test_a_place_is_a_url_a_directory_or_nothing(tmp_path: Path) -> None:
    assert open_source("") is None
    assert isinstance(open_source("https://pccs.example"), PccsSource)
    assert isinstance(open_source("http://pccs.example"), PccsSource)
    assert isinstance(open_source(str(tmp_path)), DirectorySource)


# A service


@pytest.mark.parametrize("suffix", ["", "/", "/sgx/certification/v4", "/sgx/certification/v4/"])
def test_the_parts_are_fetched_from_a_service(pccs: Pccs, suffix: str) -> None:
    assert fetched(PccsSource(pccs.url + suffix)) == pccs.collateral
    assert pccs.asked == [
        "/sgx/certification/v4/tcb?fmspc=00606A000000",
        "/sgx/certification/v4/qe/identity",
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        "/sgx/certification/v4/rootcacrl",
    ]


def test_what_is_signed_is_taken_byte_for_byte(pccs: Pccs) -> None:
    odd = pccs.collateral.tcb_info.replace(",", " ,\n ")
    pccs.collateral = replace(pccs.collateral, tcb_info=odd)
    assert fetched(PccsSource(pccs.url)).tcb_info == odd


def test_both_names_of_a_header_and_both_forms_of_a_list(pccs: Pccs) -> None:
    pccs.tcb_header = "SGX-TCB-Info-Issuer-Chain"
    pccs.lists_in_hex = not pccs.lists_in_hex
    assert fetched(PccsSource(pccs.url)) == pccs.collateral


def test_the_list_of_intels_root_comes_from_where_the_root_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get(url: str, _max_bytes: int) -> tuple[bytes, dict[str, str]]:
        asked.append(url)
        if len(asked) == 4:
            raise OSError("enough")
        return b"", {}

    monkeypatch.setattr(module, "_get", get)
    with pytest.raises(OSError, match=r"^enough$"):
        fetched(PccsSource("https://api.trustedservices.intel.com"))
    assert asked[3] == INTEL_SGX_ROOT_CRL_URL


@pytest.mark.parametrize(
    ("path", "status", "body", "headers", "error", "message"),
    [
        ("tcb", 404, b"", {}, OSError, "answered 404"),
        ("tcb", 302, b"", {"Location": "/sgx/certification/v4/elsewhere"}, OSError, "answered 302"),
        ("tcb", 200, b"{}", {"TCB-Info-Issuer-Chain": "x"}, MalformedError, "tcbInfo is not an object"),
        ("tcb", 200, b"[", {}, MalformedError, "what the service gave is no JSON"),
        ("tcb", 200, b'{"tcbInfo": {}}', {}, MalformedError, "signature is not text"),
        ("tcb", 200, b'{"tcbInfo": {}, "signature": "x"}', {}, MalformedError, "signature is not in hex"),
        (
            "tcb",
            200,
            b'{"\\u0074cbInfo": {}, "signature": "00"}',
            {},
            MalformedError,
            "tcbInfo is not spelt as such",
        ),
        (
            "tcb",
            200,
            b'{"tcbInfo": {}, "signature": "00"}',
            {},
            MalformedError,
            "the service gave no TCB-Info-Issuer-Chain",
        ),
        ("pckcrl", 200, b"abc", {"SGX-PCK-CRL-Issuer-Chain": "x"}, MalformedError, "a signature|no PEM|DER"),
    ],
)
def test_an_answer_that_is_none(
    pccs: Pccs,
    path: str,
    status: int,
    body: bytes,
    headers: dict[str, str],
    error: type[Exception],
    message: str,
) -> None:
    pccs.answers[path] = (status, body, headers)
    with pytest.raises(error, match=message):
        fetched(PccsSource(pccs.url))
    assert "/sgx/certification/v4/elsewhere" not in pccs.asked


def test_an_answer_that_is_too_long(pccs: Pccs, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, paths in (
        ("JSON_MAX_BYTES", ("/tcb", "/identity")),
        ("COLLATERAL_MAX_BYTES", ("/pckcrl", "/rootcacrl")),
    ):
        longest = max(len(pccs.answer(path)[1]) for path in paths)
        monkeypatch.setattr(module, limit, longest)
        assert fetched(PccsSource(pccs.url)) == pccs.collateral
        monkeypatch.setattr(module, limit, longest - 1)
        with pytest.raises(MalformedError, match=rf"gave more than {longest - 1} bytes$"):
            fetched(PccsSource(pccs.url))
        monkeypatch.undo()


def fetched_from(speak: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Collateral:
    """Fetch from a server that says the same whatever it is asked, until it is left."""

    async def main() -> Collateral:
        is_left = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                await speak(writer)
            writer.close()
            is_left.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            try:
                return await PccsSource(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}").fetch(
                    PLATFORM
                )
            finally:
                await is_left.wait()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("begin", "go_on"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 99 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 99),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    ],
)
def test_a_service_that_takes_too_long_is_given_up(
    begin: bytes, go_on: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it sends meanwhile, and wherever in its answer."""
    monkeypatch.setattr(module, "WHOLE_TIMEOUT_S", 0.0)

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while True:
            writer.write(go_on)
            await writer.drain()
            await asyncio.sleep(0)

    with pytest.raises(OSError, match=r"^http://.*/tcb\?.* cannot be read: it took longer than 0 s$"):
        fetched_from(speak)


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(OSError, match=r"^http://127\.0\.0\.1:9/.* cannot be reached: "):
        fetched(PccsSource("http://127.0.0.1:9"))

    with pytest.raises(OSError, match=r"cannot be asked over HTTP: Unicode(Encode)?Error$"):
        fetched(PccsSource("http://a..b"))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"gibberish\r\n\r\n", "cannot be asked over HTTP: BadStatusLine"),
        (b"", "cannot be read: Remote end closed connection without response"),
        (CHUNKED + b"-" + b"f" * 20 + b"\r\n{}", "cannot be asked over HTTP: OverflowError"),
        (CHUNKED + b"x\r\n{}", "cannot be asked over HTTP: IncompleteRead"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", "answered 302"),
    ],
)
def test_a_service_that_speaks_no_http(answer: bytes, message: str) -> None:
    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    with pytest.raises(OSError, match=f"^http://.* {message}$"):
        fetched_from(speak)


def test_of_a_chunk_without_end_no_more_is_read_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JSON_MAX_BYTES", 10)
    sent = 0

    async def speak(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED + b"-1\r\n")
        while sent < 1 << 28:
            writer.write(b" " * 65536)
            await writer.drain()
            sent += 65536

    with pytest.raises(MalformedError, match=r"gave more than 10 bytes$"):
        fetched_from(speak)
    assert sent < 1 << 28


# A directory


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


def test_the_newest_file_for_the_platform_is_found(tmp_path: Path) -> None:
    old = intel().collateral(start=NOW - 3 * DAY_S)
    new = intel().collateral()
    for name, each in (("a", old), ("b", new), ("c", old), ("d", intel().collateral(fmspc=bytes(6)))):
        put(tmp_path, f"{name}.json", each.to_json())
    put(tmp_path, "note.txt", "not read")
    source = DirectorySource(tmp_path)
    assert fetched(source) == new
    assert fetched(source, Platform("000000000000", "platform")).platform.fmspc == "000000000000"


def test_of_two_that_are_equally_new_the_first_by_name_is_taken(tmp_path: Path) -> None:
    first, second = intel().collateral(), intel().collateral()
    assert first.digest != second.digest, "signed anew"
    put(tmp_path, "b.json", second.to_json())
    put(tmp_path, "a.json", first.to_json())
    assert fetched(DirectorySource(tmp_path)) == first


def test_a_directory_without_a_fitting_file(tmp_path: Path) -> None:
    put(tmp_path, "a.json", intel().collateral().to_json())
    with pytest.raises(
        FileNotFoundError, match=r"^no file in .* is for the platform 00606A000000 \(processor CA\)$"
    ):
        fetched(DirectorySource(tmp_path), Platform("00606A000000", "processor"))
    with pytest.raises(FileNotFoundError):
        fetched(DirectorySource(tmp_path / "nowhere"))


def test_what_cannot_be_read_does_not_stand_in_the_way_of_what_is_wanted(tmp_path: Path) -> None:
    put(tmp_path, "a.json", "{")
    os.mkfifo(tmp_path / "b.json")
    (tmp_path / "c.json").mkdir()
    (tmp_path / "d.json").symlink_to("nowhere")
    put(tmp_path, "e.json", intel().collateral().to_json())
    assert fetched(DirectorySource(tmp_path)).platform == intel().collateral().platform
    with pytest.raises(MalformedError, match=r"a\.json: the collateral is no JSON$"):
        fetched(DirectorySource(tmp_path), Platform("00606A000000", "processor"))


def test_a_file_that_is_no_collateral_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "bad.json", "{}")
    with pytest.raises(MalformedError, match=r"bad\.json: pck_crl_issuer_chain is not text$"):
        fetched(DirectorySource(tmp_path))
    monkeypatch.setattr(module, "COLLATERAL_MAX_BYTES", 2)
    with pytest.raises(MalformedError, match=r"bad\.json: "):
        fetched(DirectorySource(tmp_path))
    monkeypatch.setattr(module, "COLLATERAL_MAX_BYTES", 1)
    with pytest.raises(MalformedError, match=r"bad\.json is longer than 1 bytes$"):
        fetched(DirectorySource(tmp_path))
