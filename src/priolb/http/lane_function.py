"""A function of the user that chooses the lane of a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from traceback import extract_tb
from typing import Final

from priolb.http.fields import FieldFinder
from priolb.http.request import BY_FUNCTION, Request
from priolb.http.rules import BODY_DECIDES, NO_LANE

_ERROR_MAX_CHARS: Final = 200


class LaneRequest:
    """What a function of the user is told of a request.

    Args:
        request: the request.

    Nothing of it may be changed or kept.
    """

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def method(self) -> str:
        """The method of HTTP, as it was sent."""
        return self._request.head.method.decode("latin-1")

    @property
    def path(self) -> str:
        """The path of the target, as it was sent, without the query."""
        return self._request.head.path.decode("latin-1")

    @property
    def query(self) -> str:
        """The query of the target without the question mark; empty when there was none."""
        return self._request.head.query[1:].decode("latin-1")

    def header(self, name: str) -> str:
        """Return the value of a field, empty when there is none; `name` may be spelled in any case."""
        return self._request.field(FieldFinder(name)).decode("latin-1")

    @property
    def urgency(self) -> int:
        """The urgency by RFC 9218, from 0 for the highest to 7."""
        return self._request.urgency()

    @property
    def body(self) -> bytes:
        """The body, or of a long one the beginning."""
        return self._request.body or b""

    @property
    def rpc_methods(self) -> list[str]:
        """The methods of JSON-RPC that the body calls, as far as its first 64 KB tell."""
        rpc = self._request.rpc()
        return [] if rpc is None else [name.decode() for name in rpc.names]

    @property
    def address(self) -> str:
        """The client's address, that of TRUSTED_PROXIES left aside; empty when there is none."""
        return self._request.caller.address

    @property
    def network(self) -> str:
        """The network of the configuration file that the client is in; empty when it is in none."""
        return self._request.caller.network.decode()

    @property
    def key(self) -> str:
        """The name of the client's API key; empty when it has none that is known."""
        return self._request.caller.key.decode()


Report = Callable[[str, int, bytes], None]
"""Is told of a mistake of the function: what went wrong, how often by now, and the X-Request-ID."""


class LaneFunction:
    """Asks a function of the user for the lane of each request.

    Args:
        function: returns the name of a lane; or None, and the rules decide.
        lanes: the names of the lanes.
        report: is told of mistakes of the function, ever more rarely.

    A function that makes a mistake has said nothing: the rules decide.
    """

    __slots__ = ("_function", "_lanes", "_mistakes", "_report")

    def __init__(
        self,
        function: Callable[[LaneRequest], object],
        lanes: Sequence[str],
        report: Report,
    ) -> None:
        self._function = function
        self._lanes: dict[object, int] = {name: index for index, name in enumerate(lanes)}
        self._report = report
        self._mistakes: int = 0

    def lane_of(self, request: Request) -> int:
        """Return the lane that the function chooses, NO_LANE when it chooses none, or BODY_DECIDES."""
        if request.body is None:
            return BODY_DECIDES
        try:
            name = self._function(LaneRequest(request))
            if name is None:
                return NO_LANE
            if isinstance(name, str) and name in self._lanes:
                request.rule = BY_FUNCTION
                return self._lanes[name]
            self._note(request, f"returned {name!r}, which is no lane")
        except BaseException as error:  # noqa: BLE001 - whatever it is, a request is not to suffer from it
            frames = extract_tb(error.__traceback__)
            where = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
            self._note(request, f"{where}{type(error).__name__}: {_words(error)}")
        return NO_LANE

    def _note(self, request: Request, mistake: str) -> None:
        self._mistakes += 1
        if self._mistakes & (self._mistakes - 1) == 0:  # the 1st, 2nd, 4th, 8th and so on
            self._report(mistake[:_ERROR_MAX_CHARS], self._mistakes, request.head.request_id)


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as another:  # noqa: BLE001 - an error of the user's, in what tells of one
        return f"({type(another).__name__} while it was to be told)"
