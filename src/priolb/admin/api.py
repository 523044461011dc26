"""The admin API: the program's own routes.

    GET     /           what this is
    GET     /nodes      the nodes, as a JSON list; with ?detail=1 all that is known of each
    POST    /nodes      add the node of {"uri": "..."}
    PATCH   /nodes      change it: {"uri": "...", "state": "drained"}, see `nodes.parameters`
    DELETE  /nodes      remove it
    GET     /metrics    what is counted and measured, for Prometheus
    GET     /healthz    200 while the process works
    GET     /readyz     200 while it takes requests, 503 once it shuts down
    GET     /debug/...  see `admin.debug`

HEAD is answered wherever GET is. Changes, details, metrics and debug pages are for those whom `admin.access`
lets in.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Final, Protocol

from priolb.admin.access import AdminAccess
from priolb.admin.debug import NO_SUCH_PAGE, DebugPages
from priolb.errors import ClientError, ConfigError, NodeError, StoreError
from priolb.http.messages import LocalRequest, LocalResponse, RequestHead
from priolb.http.refusal import RETRY_AFTER

_READS: Final = (b"GET", b"HEAD")
_CHANGES: Final = (b"POST", b"DELETE", b"PATCH")
_METHODS: Final[dict[bytes, tuple[bytes, ...]]] = {
    b"/": _READS,
    b"/nodes": _READS + _CHANGES,
    b"/metrics": _READS,
    b"/healthz": _READS,
    b"/readyz": _READS,
}
_DEBUG: Final = b"/debug/"

# Of `/`, only reading: POST / is a request for a node.
_OWN_PATHS: Final = frozenset(_METHODS) - {b"/"}

_METRICS_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_JSON_TYPE: Final = b"application/json"
# What is told of so many nodes takes a millisecond or two.
_ITEMS_AT_ONCE: Final = 100
# Of a method and of a path.
_MAX_LOGGED_BYTES: Final = 256
_MAX_SHOWN_NAME: Final = 80


class Nodes(Protocol):
    """The nodes that the API shows and changes; see `nodes.pool`."""

    def uris(self) -> list[str]: ...
    async def add(self, uri: str) -> None: ...
    async def remove(self, uri: str) -> bool: ...
    def details(self) -> Iterator[dict[str, object]]: ...
    def change(self, uri: str, order: dict[str, object]) -> bool: ...


class Log(Protocol):
    """Where calls that failed are told."""

    def error(self, msg: str, /, **fields: object) -> None: ...


class Refusals(Protocol):
    """Counts calls that were refused, and tells of them; see `telemetry.refusals`."""

    def call_refused(self, call: dict[str, str], peer: str, status: int, detail: str, now: float) -> None: ...


def is_own(method: bytes, path: bytes) -> bool:
    """Return whether a request is for the admin API, where that is; asked for all of the data port.

    Debug paths are owned even when their pages are turned off: what is meant for a look inside must not end
    up at a node.
    """
    if path == b"/":
        return method in _READS
    return path in _OWN_PATHS or path.startswith(_DEBUG)


class AdminApi:
    """Answers the requests for the program itself.

    Args:
        nodes: what `/nodes` shows and changes.
        access: who may change nodes and see debug pages.
        is_ready: whether the program takes requests.
        metrics: returns what is counted and measured, in the text format of Prometheus.
        debug: the debug pages that are turned on, None for none.
        log: is told of calls that failed.
        refusals: is told of those that were refused.
        clock: returns monotonic seconds.
    """

    __slots__ = ("_access", "_clock", "_debug", "_is_ready", "_log", "_metrics", "_nodes", "_refusals")

    def __init__(
        self,
        nodes: Nodes,
        access: AdminAccess,
        is_ready: Callable[[], bool],
        metrics: Callable[[], Awaitable[bytes]],
        debug: DebugPages | None,
        log: Log,
        refusals: Refusals,
        clock: Callable[[], float],
    ) -> None:
        self._nodes = nodes
        self._access = access
        self._is_ready = is_ready
        self._metrics = metrics
        self._debug = debug
        self._log = log
        self._refusals = refusals
        self._clock = clock

    def owns(self, method: bytes, path: bytes) -> bool:
        """Return whether a request is for the program itself; see `is_own`."""
        return is_own(method, path)

    async def handle(self, request: LocalRequest) -> LocalResponse:
        """Answer any request, with 404 what is no route; never raises."""
        head, peer = request.head, request.peer
        try:
            return self.refusal(head, peer) or await self._answer(head, request.body)
        except ClientError as error:
            return self._refuse(head, peer, error.status, str(error))
        except (ConfigError, NodeError) as error:
            return self._refuse(head, peer, 400, str(error))
        except StoreError as error:
            return self._refuse(head, peer, 503, str(error), RETRY_AFTER)
        except Exception:  # noqa: BLE001 - whatever it is: it is logged, and the client gets an answer
            exception = traceback.format_exc().rstrip()
            self._log.error("Admin call failed", **_call(head), peer=peer, exception=exception)
            return LocalResponse(500, b"internal error\n")

    def refusal(self, head: RequestHead, peer: str) -> LocalResponse | None:
        """Return the answer that refuses a request for its head alone, None to let it in.

        Args:
            peer: address of the client's end of the connection, empty for a Unix socket.
        """
        is_debug = head.path.startswith(_DEBUG)
        methods = _READS if is_debug else _METHODS.get(head.path)
        if methods is None:
            return self._refuse(head, peer, 404, "not found")
        if is_debug or head.method in methods:
            why = self._why_forbidden(head, peer)
            if why:
                return self._refuse(
                    head, peer, 403, f"forbidden: {why}; send ADMIN_TOKEN as Authorization: Bearer"
                )
        if head.method not in methods:
            fields = b"Allow: %s\r\n" % b", ".join(methods)
            return self._refuse(head, peer, 405, "method not allowed", fields)
        return None

    def _why_forbidden(self, head: RequestHead, peer: str) -> str:
        """Return why a peer may not do what it asks for, empty when it may."""
        authorization = head.known.get(b"authorization")
        # A browser on a trusted machine sends whatever the pages in it ask for, and a page needs no leave to
        # send a simple POST anywhere. But it cannot keep the browser from adding Origin, nor know the token.
        if head.method in _CHANGES and b"origin" in head.known and not self._access.has_token(authorization):
            return "sent by a web page (the request has an Origin field), which ADMIN_ALLOW does not let in"
        if _is_open(head) or self._access.allows(peer, authorization):
            return ""
        return f"{peer or 'a peer without an address'} is not in ADMIN_ALLOW"

    async def _answer(self, head: RequestHead, body: bytes) -> LocalResponse:
        path = head.path
        if path.startswith(_DEBUG):
            if self._debug is None:
                raise ClientError(404, NO_SUCH_PAGE)
            return await self._debug.answer(path, head.query[1:])
        if head.method in _CHANGES:
            return await self._change(head.method, body)
        if _is_detailed(head):
            return await _json_list(self._nodes.details())
        if path == b"/nodes":
            return _json(self._nodes.uris())
        if path == b"/metrics":
            return LocalResponse(200, await self._metrics(), _METRICS_TYPE)
        if path == b"/healthz":
            return LocalResponse(200, b"ok\n")
        if path == b"/readyz":
            return (
                LocalResponse(200, b"ready\n") if self._is_ready() else LocalResponse(503, b"shutting down\n")
            )
        return LocalResponse(200, b"prio-load-balancer\n")

    async def _change(self, method: bytes, body: bytes) -> LocalResponse:
        members = _members_of(body)
        uri = _uri_of(members)
        if method == b"POST":
            _check_that_stores_can_keep(uri)
            await self._nodes.add(uri)
            is_there = True
        elif method == b"PATCH":
            order = {name: value for name, value in members.items() if name != "uri"}
            is_there = self._nodes.change(uri, order)
        else:
            is_there = await self._nodes.remove(uri)
        if not is_there:
            raise ClientError(400, "node not found")
        return LocalResponse(200, b"")

    def _refuse(
        self, head: RequestHead, peer: str, status: int, text: str, fields: bytes = b""
    ) -> LocalResponse:
        self._refusals.call_refused(_call(head), peer, status, text, self._clock())
        return LocalResponse(status, text.encode(errors="backslashreplace") + b"\n", fields=fields)


def _is_open(head: RequestHead) -> bool:
    """Return whether a request is answered to everybody: it changes nothing and shows little."""
    is_inside = head.path == b"/metrics" or head.path.startswith(_DEBUG) or _is_detailed(head)
    return head.method not in _CHANGES and not is_inside


def _is_detailed(head: RequestHead) -> bool:
    return head.path == b"/nodes" and b"detail=1" in head.query[1:].split(b"&")


def _call(head: RequestHead) -> dict[str, str]:
    """Return what logs say of a call."""
    return {
        **({"reqID": head.request_id.decode("utf-8", "replace")} if head.request_id else {}),
        "method": head.method[:_MAX_LOGGED_BYTES].decode("latin-1"),
        "path": head.path[:_MAX_LOGGED_BYTES].decode("latin-1"),
    }


def _json(document: object) -> LocalResponse:
    return LocalResponse(200, _text(document).encode() + b"\n", _JSON_TYPE)


async def _json_list(items: Iterator[dict[str, object]]) -> LocalResponse:
    """Answer with a list that may be long: requests have their turn in between."""
    parts: list[str] = []
    while batch := list(islice(items, _ITEMS_AT_ONCE)):
        parts += map(_text, batch)
        await asyncio.sleep(0)
    return LocalResponse(200, f"[{','.join(parts)}]\n".encode(), _JSON_TYPE)


def _text(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


def _members_of(body: bytes) -> dict[str, object]:
    """Return the members of the JSON object that is the body of a change.

    Raises:
        ClientError: it is none.
    """
    try:
        payload = json.loads(body, object_pairs_hook=_once_each)
    except RecursionError:
        raise ClientError(400, "the body is nested too deep") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ClientError(400, f"the body is not JSON: {error}") from None
    except ValueError:  # which it may have from nothing else
        raise ClientError(400, "the body has a number of too many digits") from None
    if not isinstance(payload, dict):
        raise ClientError(400, 'the body is not a JSON object like {"uri": "http://host:port"}')
    return payload


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the members of a JSON object.

    Raises:
        ClientError: one is there twice, and readers of JSON differ about which of them counts.
    """
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise ClientError(400, f'"{name[:_MAX_SHOWN_NAME]}" is given twice')
        members[name] = value
    return members


def _uri_of(members: dict[str, object]) -> str:
    """Return the node URI of a change; as in the original, further members mean nothing to add and remove.

    Raises:
        ClientError: there is none.
    """
    uri = members.get("uri")
    if not isinstance(uri, str):
        raise ClientError(400, f'"uri" is {"not a string" if "uri" in members else "missing"}')
    return uri


def _check_that_stores_can_keep(uri: str) -> None:
    """Refuse what is no text: JSON can spell half a character. One that is there already can be removed."""
    try:
        uri.encode()
    except UnicodeEncodeError:
        raise ClientError(400, '"uri" is not Unicode text') from None
