"""`prio-load-balancer health`: whether the instance with these settings works, for what supervises it."""

import os
import ssl
import sys
from argparse import Namespace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final

from priolb.cli.options import OptionParser
from priolb.config.load import load_settings
from priolb.config.parse import Address
from priolb.config.settings import Settings
from priolb.config.words import escaped
from priolb.errors import PriolbError

TIMEOUT_S: Final = 2.0

_PATH: Final = "/healthz"
_ANSWER: Final = b"ok\n"

# Who listens on all addresses listens on these.
_OWN: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound


def parser() -> OptionParser:
    """Return what parses the options."""
    options = OptionParser("health", "Ask the instance that runs with these settings whether it works.")
    options.add_option("config", "FILE", "the configuration file, default $CONFIG_FILE or priolb.toml")
    return options


def run(options: Namespace) -> int:
    """Ask, say in one line what was found, and return the exit status: 0 when it works, else 1."""
    try:
        settings = load_settings(["-config", options.config] if options.config else [], os.environ)
    except PriolbError as error:
        return _unhealthy(" ".join(str(error).splitlines()))
    address = settings.admin_listen or settings.listen
    address = Address(_OWN.get(address.host, address.host), address.port)
    url = f"{'https' if settings.tls_cert else 'http'}://{address}{_PATH}"
    try:
        status, answer = _ask(settings, address)
    except (OSError, HTTPException, UnicodeError) as error:
        text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        return _unhealthy(f"{url}: {escaped(text)}")
    if (status, answer) != (200, _ANSWER):
        return _unhealthy(f"{url}: answered with status {status}, and not as an instance")
    print(f"{url}: works")
    return 0


def _ask(settings: Settings, address: Address) -> tuple[int, bytes]:
    """Return status and body of the answer; of a long body, as much as tells that it is another."""
    connection = HTTPConnection(address.host, address.port, timeout=TIMEOUT_S)
    if settings.tls_cert:
        context = ssl.create_default_context()
        # It is the instance's own, for the names that clients use; and no secret is sent.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection(address.host, address.port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", _PATH, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(len(_ANSWER) + 1)
    finally:
        connection.close()


def _unhealthy(reason: str) -> int:
    print(f"prio-load-balancer: {reason}", file=sys.stderr)
    return 1
