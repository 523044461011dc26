"""Node URIs: what the operator writes, and what it means.

    http[s]://host[:port][/path][?[_workers=N|auto][&_weight=N][&_tier=N][&_insecure=1][&query for the node]]
    https://SEV_measurements@host...[?[_arks=A,B][&_id_keys=HEX,HEX][&_min_tcb=B.T.S.M]]
    https://SGX_mrenclave@host...[?[_allow_tcb=STATE,STATE]]

The whole string is the node's identity in the API and in the store. The user part, and parameters whose
names start with an underscore, are meant for us and never reach the node.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from priolb.attest.expectation import (
    PARAMETERS,
    SEV_PREFIX,
    SGX_PREFIX,
    Expectation,
    parse_expectation,
)
from priolb.attest.reader import MalformedError
from priolb.errors import ConfigError
from priolb.nodes.parameters import URI_PARAMETERS, NodeParameters, parse_parameters, unknown_parameter

MAX_URI_CHARACTERS: Final = 8192

_PORT_MAX: Final = 65535
_SCHEME: Final = re.compile(r"[A-Za-z]*://")
_PRINTABLE: Final = re.compile(r"[!-~]+")
# Label by label, so that there is one way to match and time is linear in the length.
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_ATTESTED: Final = (SEV_PREFIX, SGX_PREFIX)
_USER_PART: Final = re.compile(r"(SEV_|SGX_)[\w%=-]+", re.IGNORECASE)
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
        expectation: what the node has to prove before anything is sent to it, None for an ordinary node.
    """

    __slots__ = ("expectation", "host", "is_tls", "parameters", "path", "port", "query", "uri")

    def __init__(
        self,
        uri: str,
        is_tls: bool,
        host: str,
        port: int,
        path: str,
        query: str,
        parameters: NodeParameters,
        expectation: Expectation | None,
    ) -> None:
        self.uri = uri
        self.is_tls = is_tls
        self.host = host
        self.port = port
        self.path = path
        self.query = query
        self.parameters = parameters
        self.expectation = expectation

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

    Args:
        uri: what the operator wrote.

    Raises:
        ConfigError: it is no http URL, or a part of it cannot be used; the text names the part.
    """
    try:
        return _parse(uri)
    except ConfigError as error:
        # Wherever a slip has put it: a user part belongs neither in the log nor in an answer.
        raise ConfigError(_USER_PART.sub(r"\1...", str(error))) from None


def _parse(uri: str) -> NodeURI:
    if len(uri) > MAX_URI_CHARACTERS:
        raise ConfigError(f"node URI: longer than {MAX_URI_CHARACTERS} characters")
    shown = _shown(uri)
    if not _PRINTABLE.fullmatch(uri):
        raise ConfigError(f"node URI {shown}: empty, or with spaces, control or non-ASCII characters")
    try:
        parts = urlsplit(uri)
    except ValueError:  # its text may quote a password, as that of the next
        raise ConfigError(f"node URI {shown}: brackets are for an IPv6 address, like [::1]") from None
    try:
        port = parts.port
    except ValueError:
        raise ConfigError(f"node URI {shown}: the port is no number from 1 to {_PORT_MAX}") from None
    if "@" not in parts.netloc and parts.netloc.startswith(_ATTESTED):
        # Whatever it is, it was not meant as the name of an ordinary node; and it may be long, and secret.
        raise ConfigError(f"node URI: what follows {parts.netloc[:4]} has no @ with a host behind it")
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigError(f"node URI {shown}: the scheme must be http or https")
    if parts.fragment or uri.endswith("#"):
        raise ConfigError(f"node URI {shown}: a fragment has no meaning here")
    host = parts.hostname or ""
    if not _is_host(host, bracketed="[" in parts.netloc):
        raise ConfigError(f"node URI {shown}: its host is no host name and no address")
    if port == 0:
        raise ConfigError(f"node URI {shown}: port 0 cannot be connected to")
    parameters, policy, query = _own_parameters(parts, shown)
    is_tls = parts.scheme == "https"
    if parameters.is_insecure is not None and not is_tls:
        raise ConfigError(f"node URI {shown}: _insecure is for https nodes")
    expectation = _expectation(parts, policy, shown)
    if expectation is not None and parameters.is_insecure is not None:
        raise ConfigError(f"node URI {shown}: _insecure has no meaning for an attested node")
    port = port or _DEFAULT_PORTS[parts.scheme]
    return NodeURI(uri, is_tls, host, port, parts.path, query, parameters, expectation)


def _expectation(parts: SplitResult, policy: dict[str, str], shown: str) -> Expectation | None:
    """Return what the user part and the parameters of the node's own policy say."""
    if "@" not in parts.netloc:
        if policy:
            raise ConfigError(
                f"node URI {shown}: {min(policy)} is only for attested nodes (SEV_..., SGX_...)"
            )
        return None
    user_part = unquote(parts.username or "", encoding="latin-1")
    if not user_part.startswith(_ATTESTED):
        raise ConfigError(f"node URI {shown}: a user part is only for attested nodes (SEV_..., SGX_...)")
    if parts.scheme != "https":
        raise ConfigError(f"node URI {shown}: an attested node (SEV_..., SGX_...) needs https")
    if parts.password is not None:
        raise ConfigError(f"node URI {shown}: the user part of an attested node has no password")
    try:
        return parse_expectation(user_part, policy)
    except MalformedError as error:
        raise ConfigError(f"node URI {shown}: {error}") from None


def _is_host(host: str, bracketed: bool) -> bool:
    if not bracketed:
        return len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None
    try:
        return isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address)
    except ValueError:
        return False


def _own_parameters(parts: SplitResult, shown: str) -> tuple[NodeParameters, dict[str, str], str]:
    """Return what our parameters say, those of the node's own policy, and the query for the node."""
    ours: dict[str, str] = {}
    theirs: list[str] = []
    for parameter in parts.query.split("&") if parts.query else ():
        name, _, value = parameter.partition("=")
        if not name.startswith("_"):
            theirs.append(parameter)
        elif name not in URI_PARAMETERS and name not in PARAMETERS:
            known = (*URI_PARAMETERS, *PARAMETERS)
            what = "_..." if "@" in parameter else name  # as in `_shown`
            raise ConfigError(f"node URI {shown}: {unknown_parameter(what, known)}")
        elif name in ours:
            raise ConfigError(f"node URI {shown}: {name} is given twice")
        else:
            ours[name] = value
    # A comma may have to be written as %2C: in settings, commas stand between URIs.
    policy = {name: unquote(ours.pop(name)) for name in list(ours) if name in PARAMETERS}
    try:
        return parse_parameters(ours), policy, "&".join(theirs)
    except ConfigError as error:
        raise ConfigError(f"node URI {shown}: {error}") from None


def _shown(uri: str) -> str:
    """Return a URI, or what was to be one, fit for logs and strangers: no query, and no user part.

    When in doubt it hides: wherever a slip has put the @, what is before it may be a user part, and what
    follows a colon and is no port, the beginning of a password.
    """
    start = _SCHEME.match(uri)
    scheme = start[0] if start else ""
    place, _, rest = uri[len(scheme) :].replace("#", "?", 1).partition("?")
    if "@" in rest:
        return repr(f"{scheme}...")
    authority, slash, path = place.rpartition("@")[2].partition("/")
    host, colon, port = authority.rpartition(":")
    if colon and port and not port.isdecimal() and not port.endswith("]"):
        authority = f"{host}:..."
    return repr(f"{scheme}{authority}{slash}{path}")
