"""`prio-load-balancer nodes`: the node list of a running instance, over its own HTTP interface."""

import json
import os
import re
import sys
from argparse import Namespace
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from priolb.cli.options import OptionParser
from priolb.config.load import read_value
from priolb.config.parse import Token, is_base_url
from priolb.config.words import did_you_mean, escaped, shown
from priolb.errors import ConfigError
from priolb.no_redirect import NoRedirect

TIMEOUT_S: Final = 10.0
ADD_TIMEOUT_S: Final = 60.0
"""Who adds a node waits for its health check, and for what its proof may need."""
_DEFAULT_URL: Final = "http://localhost:8080"
_ANSWER_MAX_BYTES: Final = 16 * 1024 * 1024

# A balancer adds it to whatever a node answers, and to nothing else; a node's own is left out.
_OF_A_NODE: Final = "X-PrioLB-TotalDurationUs"

_READS: Final = ("list", "show")
_METHODS: Final = {
    "list": "GET",
    "show": "GET",
    "add": "POST",
    "remove": "DELETE",
    "drain": "PATCH",
    "cordon": "PATCH",
    "uncordon": "PATCH",
    "set": "PATCH",
}
# Adding a node that is there already is no mistake, hence not "added".
_DONE: Final = {
    "add": "registered",
    "remove": "removed",
    "drain": "draining",
    "cordon": "cordoned",
    "uncordon": "uncordoned",
    "set": "changed",
}
_STATES: Final = {"drain": "drained", "cordon": "cordoned", "uncordon": "active"}

# The options of actions that change a node: whose it is, and its name in the order.
_ORDERS: Final = {
    "hard-stop-after": ("drain", "hard_stop_after"),
    "workers": ("set", "workers"),
    "weight": ("set", "weight"),
}
_NUMBER: Final = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")

# What an attested node has to prove may take a thousand characters; `list` shows it whole.
_LONG_USER_PART: Final = re.compile(r"(//[^/?#@]{12})[^/?#@]{8,}@")

_COLUMNS: Final = (
    "uri",
    "state",
    "since",
    "in_flight",
    "slots",
    "weight",
    "latency_ms",
    "success_ratio",
    "answered",
    "failed",
    "reason",
)


class InstanceError(Exception):
    """The instance refused, spoke gibberish, or is not there; the text is for the operator."""


def parser() -> OptionParser:
    """Return what parses the options."""
    options = OptionParser("nodes", "Show or change the nodes of a running instance.")
    options.add_argument("action", help=f"{', '.join(_READS)}, {', '.join(_DONE)}")
    options.add_argument("uri", nargs="?", help="the node that is meant; list and show take none")
    options.add_option("workers", "N", "with set: requests in flight at most, or auto")
    options.add_option("weight", "N", "with set: share of the work")
    options.add_option("hard-stop-after", "SECONDS", "with drain: when to cut off what is in flight")
    add_instance(options)
    return options


def run(options: Namespace) -> int:
    """Do what was asked for and return the exit status: 1 when the instance refuses or is not reachable.

    Raises:
        ConfigError: the action is unknown, its node is missing, or an option holds what it cannot hold.
    """
    action = options.action
    if action not in _METHODS:
        raise ConfigError(f"nodes: unknown action {shown(action)}{did_you_mean(action, list(_METHODS))}")
    if (action in _READS) != (options.uri is None):
        needs = "takes no URI" if action in _READS else "needs the URI of a node"
        raise ConfigError(f"nodes: {action} {needs}")
    order = _order(options)
    base_url, bearer = instance_of(options)
    try:
        if action == "list":
            lines = _uris_at(base_url)
        elif action == "show":
            lines = _table(details_at(base_url, bearer))
        else:
            _uris_at(base_url)  # a change leaves no answer but its status, which others might give as well
            _ask(base_url, _METHODS[action], "/nodes", {"uri": options.uri, **order}, bearer)
            lines = [f"{_DONE[action]} {options.uri}"]
    except InstanceError as error:
        print(f"prio-load-balancer: {error}", file=sys.stderr)
        return 1
    for line in lines:
        print(escaped(line))
    return 0


def add_instance(options: OptionParser, without: str = _DEFAULT_URL) -> None:
    """Add the options that say which instance is meant, `without` that being said."""
    options.add_option("url", "URL", f"where the instance listens, default $PRIOLB_URL or {without}")
    options.add_option("token", "TOKEN", "its ADMIN_TOKEN, default $ADMIN_TOKEN")


def instance_of(options: Namespace) -> tuple[str, str]:
    """Return the address of the instance that is meant, and the token for it.

    Raises:
        ConfigError: one of them is none.
    """
    url = _option(options.url, "--url", "PRIOLB_URL") or ("default", _DEFAULT_URL)
    token = _option(options.token, "--token", "ADMIN_TOKEN")
    return (
        read_value(url[0], _BaseUrl(), url[1], secret="@" in url[1]),
        read_value(token[0], Token(), token[1], secret=True) if token else "",
    )


def details_at(base_url: str, token: str) -> list[dict[str, Any]]:
    """Return what an instance tells of each of its nodes.

    Raises:
        InstanceError: it refuses, is something else, or is not there.
    """
    _uris_at(base_url)
    details = _list_in(base_url, _ask(base_url, "GET", "/nodes?detail=1", None, token))
    if not all(isinstance(detail, dict) for detail in details):
        raise _is_something_else(base_url)
    return details


@dataclass(frozen=True, slots=True)
class _BaseUrl:
    accepts: str = "an address like http://localhost:8080"

    def parse(self, text: str) -> str:
        if not is_base_url(text):
            raise ValueError(f"is not {self.accepts}")
        return text.rstrip("/")


def _option(given: str | None, flag: str, variable: str) -> tuple[str, str] | None:
    """Return an option and where it comes from: flag, then environment; None when neither is set."""
    if given is not None:
        return flag, given
    text = os.environ.get(variable)
    return (variable, text) if text else None


def _order(options: Namespace) -> dict[str, object]:
    """Return the change that the action and its options ask for.

    Raises:
        ConfigError: an option does not go with the action, or `set` has none.
    """
    action = options.action
    order: dict[str, object] = {"state": _STATES[action]} if action in _STATES else {}
    for name, (of_action, member) in _ORDERS.items():
        given = getattr(options, name.replace("-", "_"))
        if given is None:
            continue
        if action != of_action:
            raise ConfigError(f"nodes: --{name} goes only with {of_action}")
        # Whatever is no number goes as it is: the instance knows what it takes.
        order[member] = json.loads(given) if _NUMBER.fullmatch(given) else given
    if action == "set" and not order:
        raise ConfigError("nodes: set needs --workers or --weight")
    return order


def _ask(base_url: str, method: str, target: str, members: dict[str, object] | None, token: str) -> bytes:
    body = json.dumps(members).encode() if members is not None else None
    request = Request(f"{base_url}{target}", data=body, method=method)  # noqa: S310 - _BaseUrl lets http(s) pass only
    if body:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    # A proxy for the outside world has no business between an operator and an instance.
    opener = build_opener(ProxyHandler({}), NoRedirect)
    timeout_s = ADD_TIMEOUT_S if method == "POST" else TIMEOUT_S
    try:
        with opener.open(request, timeout=timeout_s) as response:
            if _OF_A_NODE in response.headers:
                raise _is_something_else(base_url)
            answer: bytes = response.read(_ANSWER_MAX_BYTES)
            return answer
    except HTTPError as error:
        with error:
            if _OF_A_NODE in error.headers:
                raise _is_something_else(base_url) from None
            raise InstanceError(f"{base_url} refused: {_reason(error)}") from None
    except TimeoutError:  # once it is connected; before that, it is the cause of a URLError
        raise InstanceError(f"{base_url} did not answer in time: nothing for {timeout_s:g} s") from None
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        text = (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__
        raise InstanceError(f"cannot reach {base_url}: {escaped(text)}") from None


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


def _uris_at(base_url: str) -> list[str]:
    """Return the list of an instance, which shows it to everybody.

    Asked first of whatever is to see a token, and without it: where the admin API is elsewhere, the answer is
    a node's, and so would the token be.

    Raises:
        InstanceError: it refuses, is something else, or is not there.
    """
    uris = _list_in(base_url, _ask(base_url, "GET", "/nodes", None, token=""))
    if not all(isinstance(uri, str) for uri in uris):
        raise _is_something_else(base_url)
    return uris


def _table(details: list[dict[str, Any]]) -> list[str]:
    """Return the details of all nodes as a table."""
    rows = [[_cell(detail.get(column)) for column in _COLUMNS] for detail in details]
    for row in rows:
        row[0] = _LONG_USER_PART.sub(r"\1...@", row[0])
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_COLUMNS, *rows)
    ]


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else escaped(str(value))


def _list_in(base_url: str, answer: bytes) -> list[Any]:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, list):
        raise _is_something_else(base_url)
    return document


def _is_something_else(base_url: str) -> InstanceError:
    what = "is it a prio-load-balancer, and, where it has one, its ADMIN_LISTEN?"
    return InstanceError(f"{base_url} did not answer with a list of nodes: {what}")
