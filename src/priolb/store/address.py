"""`REDIS_URI` to typed values, and to a text without secrets.

Parsed here and not by the Redis client: the client ignores a database that is no number, takes any
query parameter as an argument of its own and finds out at the first connection, while a wrong
setting has to end the start with a sentence. The names of the TLS options are the client's, so
that a URI that works elsewhere works here.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from priolb.errors import ConfigError
from priolb.tls import client_context, load_chain

REDIS_PORT = 6379
_PORT_MAX = 65535
_DATABASE_MAX = 2**31 - 1

_BARE_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/@:?#\[\]]*):[0-9]{1,5}")
_SECRET_OPTIONS = ("username", "password")
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_OPTIONS = {
    "redis": ("db",),
    "rediss": ("db", *_TLS_OPTIONS),
    "unix": ("db", *_SECRET_OPTIONS),
}
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Tls:
    """How a `rediss://` server proves itself, and how we do when it asks."""

    ca_path: str | None = None
    cert_path: str | None = None
    key_path: str | None = None
    verify: bool = True
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis server is and how to log in; `tls` is None for a plain connection."""

    host: str = "localhost"
    port: int = REDIS_PORT
    socket_path: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    def describe(self) -> str:
        """The address without user and password."""
        if self.socket_path is not None:
            return f"unix://{self.socket_path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'redis' if self.tls is None else 'rediss'}://{host}:{self.port}/{self.database}"


def masked(uri: str) -> str:
    """The text of a store URI without what may be a secret, be the URI well-formed or not.

    When in doubt it hides: `redis://:pass` (the host forgotten) loses all that follows the
    colon, and an option that is not known is not shown at all.
    """
    scheme, mark, rest = uri.rpartition("://") if uri.count("://") == 1 else ("", "", uri)
    secrets, at, place = rest.rpartition("@")
    if "?" in secrets:
        return f"{scheme}{mark}***"  # no telling where a password ends that holds a bare "?"
    place, question, query = place.partition("?")
    authority, slash, path = place.partition("/")
    host, colon, port = authority.rpartition(":")
    if colon and not port.isdecimal() and not port.endswith("]"):
        return f"{scheme}{mark}{'***@' if at else ''}{host}:***"
    options = "&".join(_masked_option(option) for option in query.split("&")) if query else ""
    return f"{scheme}{mark}{'***@' if at else ''}{authority}{slash}{path}{question}{options}"


def _masked_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    if equals and name in ("db", *_TLS_OPTIONS):
        return option
    return f"{name}=***" if equals and name in _SECRET_OPTIONS else "***"


def sqlite_path(uri: str) -> str:
    """The path of `sqlite:///relative.db` or `sqlite:////absolute.db`.

    Raises:
        ConfigError: another number of slashes, no path, or options after it.
    """
    path = uri.removeprefix("sqlite:///")
    if path == uri:
        raise _refused(uri, "a SQLite file is sqlite:///relative.db or sqlite:////absolute.db")
    if not path or path.endswith("/"):
        raise _refused(uri, "the name of the file is missing")
    if path == ":memory:":
        raise _refused(uri, "a list in memory is called dev")
    if "?" in path or "\0" in path:
        raise _refused(uri, "the path takes no options and holds no '?'")
    return path


def redis_address(uri: str) -> RedisAddress:
    """Parse `host:port`, `redis://`, `rediss://` or `unix://`.

    As in `rediss://user:password@host:6380/0?ssl_ca_certs=/etc/ca.pem` and
    `unix:///run/redis.sock?db=1&password=secret`; user and password are percent-decoded.

    Raises:
        ConfigError: names `REDIS_URI`, the masked value and what is wrong with it.
    """
    if re.search(r"[\s\x00-\x1f\x7f#]", uri):
        raise _refused(uri, "blanks, control characters and '#' have to be percent-encoded")
    try:
        parts = urlsplit(f"redis://{uri}" if _BARE_ADDRESS.fullmatch(uri) else uri)
        port = parts.port
    except ValueError:  # its text may quote a password
        raise _refused(uri, "the host or the port cannot be read") from None
    if parts.scheme not in _OPTIONS:
        raise _refused(
            uri, "it is none of dev, sqlite:///path, host:port, redis://host, rediss://host, unix:///path"
        )
    options = _options(uri, parts)
    if parts.scheme == "unix":
        return _socket_address(uri, parts, options)
    if port == 0:
        raise _refused(uri, f"the port must be 1 to {_PORT_MAX}")
    path = parts.path.removeprefix("/")
    if path and "db" in options:
        raise _refused(uri, "the database is given twice")
    return RedisAddress(
        host=parts.hostname or "localhost",
        port=REDIS_PORT if port is None else port,
        database=_database(uri, path or options.get("db", "0")),
        username=_decoded(parts.username),
        password=_decoded(parts.password),
        tls=_tls(uri, options) if parts.scheme == "rediss" else None,
    )


def check_tls_files(uri: str, tls: Tls) -> None:
    """Do nothing if the files that TLS options of `uri` name can be used.

    The client reads them with each connection, and says of one that is missing that it cannot connect.

    Raises:
        ConfigError: names `REDIS_URI`, the masked value, the option and what is wrong with its file.
    """
    try:
        context = client_context(tls.ca_path or "", "ssl_ca_certs")
        if tls.cert_path is not None:
            load_chain(context, tls.cert_path, tls.key_path or "", "ssl_certfile", "ssl_keyfile")
        elif tls.key_path is not None:
            raise ConfigError("ssl_keyfile: a key without a certificate (ssl_certfile)")
    except ConfigError as error:
        raise _refused(uri, str(error)) from None


def _socket_address(uri: str, parts: SplitResult, options: dict[str, str]) -> RedisAddress:
    user_info, _, host = parts.netloc.rpartition("@")
    if host or len(parts.path) < 2:  # "/" alone is a folder
        raise _refused(uri, "a socket is unix:///absolute/path")
    if user_info and any(name in options for name in _SECRET_OPTIONS):
        raise _refused(uri, "user or password is given twice")
    return RedisAddress(
        socket_path=unquote(parts.path),
        database=_database(uri, options.get("db", "0")),
        username=_decoded(parts.username) or options.get("username"),
        password=_decoded(parts.password) or options.get("password"),
    )


def _options(uri: str, parts: SplitResult) -> dict[str, str]:
    known = _OPTIONS[parts.scheme]
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        pairs = [("", "")]
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= set(known) or not all(options.values()):
        # The options at fault are not repeated: they may be the rest of a password.
        raise _refused(uri, f"an option is unknown, empty or given twice; known: {', '.join(known)}")
    return options


def _tls(uri: str, options: dict[str, str]) -> Tls:
    check_hostname = options.get("ssl_check_hostname", "true").lower()
    if check_hostname not in _SWITCHES:
        raise _refused(uri, "ssl_check_hostname must be true or false")
    cert_reqs = options.get("ssl_cert_reqs", "required")
    if cert_reqs not in ("required", "none"):
        raise _refused(uri, "ssl_cert_reqs must be required or none")
    return Tls(
        ca_path=options.get("ssl_ca_certs"),
        cert_path=options.get("ssl_certfile"),
        key_path=options.get("ssl_keyfile"),
        verify=cert_reqs == "required",
        check_hostname=_SWITCHES[check_hostname],
    )


def _database(uri: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _DATABASE_MAX:
        raise _refused(uri, "the database must be a number from 0")
    return int(text)


def _decoded(text: str | None) -> str | None:
    return unquote(text) if text else None


def _refused(uri: str, reason: str) -> ConfigError:
    return ConfigError(f"REDIS_URI {masked(uri)!r}: {reason}")
