"""`prio-load-balancer nodes`: the node list of a running instance, over its own HTTP interface."""

import json
import os
import sys
from argparse import Namespace
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from priolb.cli.options import OptionParser
from priolb.config.load import read_value
from priolb.config.parse import Token
from priolb.config.words import did_you_mean, escaped, shown
from priolb.errors import ConfigError

TIMEOUT_S: Final = 10.0
_DEFAULT_URL: Final = "http://localhost:8080"
_ANSWER_MAX_BYTES: Final = 16 * 1024 * 1024

_METHODS: Final = {"list": "GET", "add": "POST", "remove": "DELETE"}
# Adding a node that is there already is no mistake, hence not "added".
_DONE: Final = {"add": "registered", "remove": "removed"}


class _InstanceError(Exception):
    """The instance refused, spoke gibberish, or is not there; the text is for the operator."""


def parser() -> OptionParser:
    """Return what parses the options."""
    options = OptionParser("nodes", "Show or change the nodes of a running instance.")
    options.add_argument("action", help="list, add or remove")
    options.add_argument("uri", nargs="?", help="the node to add or remove")
    options.add_option("url", "URL", f"where the instance listens, default $PRIOLB_URL or {_DEFAULT_URL}")
    options.add_option("token", "TOKEN", "its ADMIN_TOKEN, default $ADMIN_TOKEN")
    return options


def run(options: Namespace) -> int:
    """Do what was asked for and return the exit status: 1 when the instance refuses or is not reachable.

    Raises:
        ConfigError: the action is unknown, its node is missing, or an option holds what it cannot hold.
    """
    action = options.action
    if action not in _METHODS:
        raise ConfigError(f"nodes: unknown action {shown(action)}{did_you_mean(action, list(_METHODS))}")
    if (action == "list") != (options.uri is None):
        needs = "takes no URI" if action == "list" else "needs the URI of a node"
        raise ConfigError(f"nodes: {action} {needs}")
    url = _option(options.url, "--url", "PRIOLB_URL") or ("default", _DEFAULT_URL)
    base_url = read_value(url[0], _BaseUrl(), url[1], secret="@" in url[1])
    token = _option(options.token, "--token", "ADMIN_TOKEN")
    bearer = read_value(token[0], Token(), token[1], secret=True) if token else ""
    try:
        answer = _ask(base_url, _METHODS[action], options.uri, bearer)
        lines = _uris(base_url, answer) if action == "list" else [f"{_DONE[action]} {options.uri}"]
    except _InstanceError as error:
        print(f"prio-load-balancer: {error}", file=sys.stderr)
        return 1
    for line in lines:
        print(escaped(line))
    return 0


@dataclass(frozen=True, slots=True)
class _BaseUrl:
    accepts: str = "an address like http://localhost:8080"

    def parse(self, text: str) -> str:
        if not _is_base_url(text):
            raise ValueError(f"is not {self.accepts}")
        return text.rstrip("/")


class _NoRedirect(HTTPRedirectHandler):
    """Redirects are not followed: urllib would hand the token to wherever they point."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no port, a bracket that is not closed
        return False
    is_clean = text.isascii() and text.isprintable() and " " not in text
    is_base = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and has_host and is_clean and is_base


def _option(given: str | None, flag: str, variable: str) -> tuple[str, str] | None:
    """Return an option and where it comes from: flag, then environment; None when neither is set."""
    if given is not None:
        return flag, given
    text = os.environ.get(variable)
    return (variable, text) if text else None


def _ask(base_url: str, method: str, uri: str | None, token: str) -> bytes:
    body = json.dumps({"uri": uri}).encode() if uri is not None else None
    request = Request(f"{base_url}/nodes", data=body, method=method)  # noqa: S310 - _BaseUrl lets http(s) pass only
    if body:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    # A proxy for the outside world has no business between an operator and an instance.
    opener = build_opener(ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            answer: bytes = response.read(_ANSWER_MAX_BYTES)
            return answer
    except HTTPError as error:
        with error:
            raise _InstanceError(f"{base_url} refused: {_reason(error)}") from None
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        text = (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__
        raise _InstanceError(f"cannot reach {base_url}: {escaped(text)}") from None


def _reason(error: HTTPError) -> str:
    """Return why the instance refused: its own words, in plain text or in a JSON document, and the status."""
    try:
        text = error.read(_ANSWER_MAX_BYTES).decode(errors="replace").strip()
    except (OSError, HTTPException):
        text = ""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        text = str(document.get("detail") or document.get("error") or document.get("title") or text)
    return f"{escaped(text) if text else error.reason} ({error.code})"


def _uris(base_url: str, answer: bytes) -> list[str]:
    try:
        uris = json.loads(answer)
    except (ValueError, RecursionError):
        uris = None
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise _InstanceError(f"{base_url} did not answer with a list of nodes: is it a prio-load-balancer?")
    return uris
