"""A service for collateral, as Intel's PCCS."""

from __future__ import annotations

import http.server
import threading
from typing import Self
from urllib.parse import quote, urlsplit

from priolb.attest.sgx.collateral import Collateral

Answer = tuple[int, bytes, dict[str, str]]


class Pccs(http.server.ThreadingHTTPServer):
    """Serves collateral of one platform.

    Args:
        collateral: may be replaced while it runs.
    """

    daemon_threads = True

    def __init__(self, collateral: Collateral) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.collateral = collateral
        self.tcb_header = "TCB-Info-Issuer-Chain"
        self.lists_in_hex = True
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def answer(self, path: str) -> Answer:
        """Return status, body and headers for a request."""
        name = urlsplit(path).path.rpartition("/")[2]
        if name in self.answers:
            return self.answers[name]
        held = self.collateral
        if name == "tcb":
            body = f'{{"tcbInfo":{held.tcb_info},"signature":"{held.tcb_info_signature.hex()}"}}'
            return 200, body.encode(), {self.tcb_header: quote(held.tcb_info_issuer_chain)}
        if name == "identity":
            signature = held.qe_identity_signature.hex()
            body = f'{{"enclaveIdentity": {held.qe_identity} , "signature":"{signature}"}}'
            return (
                200,
                body.encode(),
                {"SGX-Enclave-Identity-Issuer-Chain": quote(held.qe_identity_issuer_chain)},
            )
        if name == "pckcrl":
            return 200, held.pck_crl, {"SGX-PCK-CRL-Issuer-Chain": quote(held.pck_crl_issuer_chain)}
        if name == "rootcacrl":
            crl = held.root_ca_crl
            return 200, crl.hex().encode() + b"\n" if self.lists_in_hex else crl, {}
        return 404, b"", {}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Pccs

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, body, headers = self.server.answer(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
