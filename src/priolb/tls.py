"""TLS on both sides: the certificate that clients are shown, and what nodes have to show."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Final, Protocol

from priolb.errors import ConfigError

_LOOK_INTERVAL_S: Final = 1.0
_PEM_MAX_BYTES: Final = 1_000_000

# The variable that names the file to which `ssl` writes the keys of connections, for those who record them.
_KEY_LOG: Final = "SSLKEYLOGFILE"

# What OpenSSL says of a certificate and a key of two pairs: of the same kind, or of different ones.
_TWO_PAIRS: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})


class Log(Protocol):
    """Where it is told that a certificate was taken up, or was not."""

    def info(self, msg: str, /, **fields: object) -> None: ...
    def warning(self, msg: str, /, **fields: object) -> None: ...


class Certificate:
    """A certificate with its key, in files that may be replaced while it is in use.

    Args:
        cert_file: PEM file of the certificate and what leads from it to a root.
        key_file: PEM file of its key, without a password; empty when it is in the first file.

    `context` serves connections with the certificate that was read last. Another one has another context: in
    the same one it would stand beside the first if its key is of another kind.

    Raises:
        ConfigError: the files cannot be read, or do not belong together.
    """

    def __init__(self, cert_file: str, key_file: str) -> None:
        self._cert_file = cert_file
        self._key_file = key_file
        self._seen = self._tried = self._state_of_files()
        self.context: ssl.SSLContext = self._read()

    async def follow(self, log: Log) -> None:
        """Read the files again whenever they change, as long as this runs; what is broken is not taken up."""
        told: object = None
        while True:
            await asyncio.sleep(_LOOK_INTERVAL_S)
            try:
                if self.refresh():
                    told = None
                    log.info("Certificate was taken up anew", file=self._cert_file)
            except ConfigError as error:
                what = (str(error), self._tried)
                if what != told:
                    told = what
                    log.warning("Certificate has changed and cannot be used; the old one stays", err=what[0])

    def refresh(self) -> bool:
        """Read the files again if they have changed; True when there is another certificate now.

        Raises:
            ConfigError: they cannot be used; the certificate stays, and the next call reads them again, as it
                may be for a reason that changes nothing of the files: who may read them, or no file left.
        """
        state = self._state_of_files()
        if state == self._seen:
            return False
        self._tried = state
        self.context = self._read()
        self._seen = state
        return True

    def _read(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        except OSError as error:
            raise ConfigError(f"{_KEY_LOG} {error.filename!r}: {error.strerror or error}") from None
        context.set_alpn_protocols(["http/1.1"])
        load_chain(context, self._cert_file, self._key_file, "TLS_CERT", "TLS_KEY")
        return context

    def _state_of_files(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(_state_of(Path(file)) for file in (self._cert_file, self._key_file or self._cert_file))


class NodeTLS:
    """How connections to https nodes are secured.

    Args:
        ca_file: PEM file of the roots that nodes are verified against; empty for those of the system.
        cert_file: PEM file of a certificate to show to nodes that ask for one; empty for none.
        key_file: PEM file of its key; empty when it is in `cert_file`.

    `verified` is for nodes that must prove who they are, `unverified` for those that need not.

    Raises:
        ConfigError: a file cannot be used.
    """

    def __init__(self, ca_file: str, cert_file: str, key_file: str) -> None:
        if key_file and not cert_file:
            raise ConfigError("NODE_TLS_KEY: a key without a certificate (NODE_TLS_CERT)")
        self.verified: ssl.SSLContext = _node_context(ca_file, cert_file, key_file)
        self.unverified: ssl.SSLContext = _node_context(ca_file, cert_file, key_file)
        self.unverified.check_hostname = False
        self.unverified.verify_mode = ssl.CERT_NONE


def client_context(ca_file: str, name: str) -> ssl.SSLContext:
    """Return a context for connections whose other end has to prove who it is.

    Args:
        ca_file: PEM file of the roots that it is verified against; empty for those of the system.
        name: of the setting or option that names the file.

    Raises:
        ConfigError: the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise ConfigError(f"{name} {ca_file!r}: {error.reason or error}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        log_file = getattr(error, "filename", None)  # of a file of roots, `ssl` does not tell the name
        what = f"{name} {ca_file!r}" if log_file is None else f"{_KEY_LOG} {log_file!r}"
        raise ConfigError(f"{what}: {getattr(error, 'strerror', None) or error}") from None


def load_chain(context: ssl.SSLContext, cert_file: str, key_file: str, cert_name: str, key_name: str) -> None:
    """Load a certificate and its key into a context.

    Args:
        context: where they go.
        cert_file: PEM file of the certificate and what leads from it to a root.
        key_file: PEM file of its key, without a password; empty when it is in the first file.
        cert_name: of the setting or option that names the first file.
        key_name: of that which names the second one.

    Raises:
        ConfigError: the files cannot be read, or do not belong together.
    """
    try:
        context.load_cert_chain(cert_file, key_file or None, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(_why(error, cert_file, key_file, cert_name, key_name)) from None


def _why(error: Exception, cert_file: str, key_file: str, cert_name: str, key_name: str) -> str:
    """Return why a certificate and its key could not be loaded, with the setting that is to be changed."""
    cert, key = f"{cert_name} {cert_file!r}", f"{key_name} {key_file!r}"
    contents = []
    for name, file in ((cert, cert_file), (key, key_file)):
        try:
            with Path(file or cert_file).open("rb") as opened:
                contents.append(opened.read(_PEM_MAX_BYTES))
        except (OSError, ValueError) as fault:  # ValueError: a name with a zero byte
            return f"{name}: {getattr(fault, 'strerror', None) or fault}"
    if not key_file and b"PRIVATE KEY-----" not in contents[0]:
        return f"{cert}: holds no private key, and {key_name} names none"
    files = f"{cert} and {key}" if key_file else cert
    if isinstance(error, ssl.SSLError):
        if error.reason in _TWO_PAIRS:
            return f"{files}: certificate and key do not belong together"
        return f"{files}: {error.reason or 'nothing in PEM form'}"
    return f"{files}: {getattr(error, 'strerror', None) or error}"


def _node_context(ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext:
    context = client_context(ca_file, "NODE_TLS_CA")
    context.set_alpn_protocols(["http/1.1"])
    if cert_file:
        load_chain(context, cert_file, key_file, "NODE_TLS_CERT", "NODE_TLS_KEY")
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")  # rather than ask a terminal that nobody looks at


def _state_of(file: Path) -> tuple[int, int, int]:
    """Return what changes when a file does; zeros when it is not there."""
    try:
        status = file.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_ino, status.st_size)
