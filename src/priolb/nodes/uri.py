"""Node URIs: what the operator writes, and what it means.

    http[s]://host[:port][/path][?[_workers=N|auto][&_weight=N][&_tier=N][&query for the node]]

The whole string is the node's identity in the API and in the store. Parameters whose names start with an
underscore are meant for us and never reach the node.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from priolb.errors import ConfigError
from priolb.nodes.parameters import URI_PARAMETERS, NodeParameters, parse_parameters, unknown_parameter

MAX_URI_CHARACTERS: Final = 8192

_PRINTABLE: Final = re.compile(r"[!-~]+")
# Label by label, so that there is one way to match and time is linear in the length.
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_ATTESTED: Final = ("SEV_", "SGX_")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NodeURI:
    """A node URI, taken apart.

    Args:
        uri: the whole string.
        is_tls: whether the scheme is https.
        host: name or address, without brackets.
        port: TCP port.
        path: path of the node's own resource, may be empty.
        query: query for the node, without our parameters.
        parameters: what our parameters say.
    """

    __slots__ = ("host", "is_tls", "parameters", "path", "port", "query", "uri")

    def __init__(
        self,
        uri: str,
        is_tls: bool,
        host: str,
        port: int,
        path: str,
        query: str,
        parameters: NodeParameters,
    ) -> None:
        self.uri = uri
        self.is_tls = is_tls
        self.host = host
        self.port = port
        self.path = path
        self.query = query
        self.parameters = parameters

    @property
    def slots(self) -> int | None:
        """Its `_workers`, None when they are not given as a number."""
        return self.parameters.workers

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: the value of a Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == _DEFAULT_PORTS["https" if self.is_tls else "http"]
        return host if is_default else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """How logs name the node: without user part and query, which may hold secrets."""
        return f"{'https' if self.is_tls else 'http'}://{self.authority}{self.path}"


def parse_node_uri(uri: str) -> NodeURI:
    """Take a node URI apart.

    Raises:
        ConfigError: it is no http URL, or a part of it cannot be used; the text names the part.
    """
    if len(uri) > MAX_URI_CHARACTERS:
        raise ConfigError(f"node URI: longer than {MAX_URI_CHARACTERS} characters")
    if not _PRINTABLE.fullmatch(uri):
        raise ConfigError(
            f"node URI {_shown_raw(uri)}: empty, or with spaces, control or non-ASCII characters"
        )
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"node URI: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigError(f"node URI {_shown(parts)}: the scheme must be http or https")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"node URI {_shown(parts)}: {_about_user_part(parts)}")
    if parts.fragment or uri.endswith("#"):
        raise ConfigError(f"node URI {_shown(parts)}: a fragment has no meaning here")
    host = parts.hostname or ""
    if not _is_host(host, bracketed="[" in parts.netloc):
        raise ConfigError(f"node URI {_shown(parts)}: {host!r} is no host name and no address")
    if port == 0:
        raise ConfigError(f"node URI {_shown(parts)}: port 0 cannot be connected to")
    parameters, query = _own_parameters(parts)
    is_tls = parts.scheme == "https"
    return NodeURI(uri, is_tls, host, port or _DEFAULT_PORTS[parts.scheme], parts.path, query, parameters)


def _about_user_part(parts: SplitResult) -> str:
    if (parts.username or "").startswith(_ATTESTED):
        return "attested nodes (SEV_..., SGX_...) are not supported by this version"
    return "a user part is only for attested nodes (SEV_..., SGX_...)"


def _is_host(host: str, bracketed: bool) -> bool:
    if not bracketed:
        return len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None
    try:
        return isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address)
    except ValueError:
        return False


def _own_parameters(parts: SplitResult) -> tuple[NodeParameters, str]:
    """Return what our parameters say, and the query for the node."""
    ours: dict[str, str] = {}
    theirs: list[str] = []
    for parameter in parts.query.split("&") if parts.query else ():
        name, _, value = parameter.partition("=")
        if not name.startswith("_"):
            theirs.append(parameter)
        elif name not in URI_PARAMETERS:
            raise ConfigError(f"node URI {_shown(parts)}: {unknown_parameter(name)}")
        elif name in ours:
            raise ConfigError(f"node URI {_shown(parts)}: {name} is given twice")
        else:
            ours[name] = value
    try:
        return parse_parameters(ours), "&".join(theirs)
    except ConfigError as error:
        raise ConfigError(f"node URI {_shown(parts)}: {error}") from None


def _shown(parts: SplitResult) -> str:
    """Return the URI fit for logs and strangers: no user part, no query."""
    host = parts.netloc.rpartition("@")[2]
    return repr(f"{parts.scheme}://{host}{parts.path}" if parts.scheme else f"{host}{parts.path}")


def _shown_raw(uri: str) -> str:
    """Return what can be shown of a string that is no URI."""
    return repr(re.sub(r"//[^/?#]*@", "//", uri).partition("?")[0])
