"""Errors of the program, by whose fault they are.

    PriolbError
    |-- ConfigError   the operator's: a setting, a flag or a node URI that cannot be used
    |   `-- ConfigFileError   the configuration file says what cannot be used
    |-- StoreError    the store's: it is away, slow, or holds what is no node list
    |-- ClientError   the client's: a request that is malformed or over a bound
    |-- NodeError     the node's: it cannot be reached, is late, or does not speak HTTP
    |   `-- UnaskedError   nothing was sent to it, so nothing is known of its health: there was no socket left
    |       `-- UnattestedError   it has not proven what it runs
    `-- FramingError  a body that breaks its own framing: the client's or the node's

The text of an error names the thing and is fit to be shown to the operator. What a client is told
about a request that failed is not an exception but a `Reason`, which `http.refusal` turns into an answer.
"""

from collections.abc import Iterable
from enum import Enum


class Reason(Enum):
    """Why a request got an answer of ours; the value is the log field and the metric label."""

    # Members are alone of their kind, as all objects are by default. That of `Enum` is written in Python,
    # and every refusal looks for what its reason means.
    __hash__ = object.__hash__

    BAD_REQUEST = "bad_request"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    RATE_LIMITED = "rate_limited"
    LOOP = "loop"
    QUEUE_FULL = "queue_full"
    WAIT_TOO_LONG = "wait_too_long"
    DISPLACED = "displaced"
    SHED = "shed"
    UPGRADES_FULL = "upgrades_full"
    NO_NODES = "no_nodes"
    DEADLINE = "deadline"
    NODE_TIMEOUT = "node_timeout"
    NODE_DRAINED = "node_drained"
    NODE_UNREACHABLE = "node_unreachable"
    NODE_BAD_ANSWER = "node_bad_answer"
    NODE_UNATTESTED = "node_unattested"
    NO_SOCKET = "no_socket"
    SHUTTING_DOWN = "shutting_down"


class PriolbError(Exception):
    """Base of all errors that this program raises on purpose."""


class ConfigError(PriolbError):
    """A setting, a flag or a node URI that cannot be used."""


class ConfigFileError(ConfigError):
    """A configuration file with mistakes, all of them at once, in the order of their lines.

    Args:
        name: the file.
        mistakes: line and text of each.
    """

    def __init__(self, name: str, mistakes: Iterable[tuple[int, str]]) -> None:
        self.mistakes = [f"{name}:{line}: {text}" for line, text in sorted(mistakes)]
        super().__init__("\n".join(self.mistakes))


class StoreError(PriolbError):
    """The store of the node list is away, slow, or holds something else."""


class ClientError(PriolbError):
    """A request that is malformed or over a bound; `status` is the answer it deserves."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NodeError(PriolbError):
    """A node that cannot be reached, is late, or does not speak HTTP.

    Args:
        message: what is wrong, naming the node.
        is_late: whether it is nothing but late.
    """

    def __init__(self, message: str, is_late: bool = False) -> None:
        super().__init__(message)
        self.is_late = is_late


class UnaskedError(NodeError):
    """A node of which nothing was asked, so that nothing is known of its health: there was no socket left."""


class UnattestedError(UnaskedError):
    """A node that has not proven what it runs."""


class FramingError(PriolbError):
    """A body that breaks its own framing; whoever reads it knows whose body it is."""
