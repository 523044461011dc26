"""From the command line, the environment and the configuration file to `Settings`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from priolb.config.document import Document, read_document
from priolb.config.flags import parse_flags
from priolb.config.parse import Address, Kind
from priolb.config.policy import PolicyReader, too_long_waits
from priolb.config.settings import SETTINGS, Settings
from priolb.config.words import escaped, shown
from priolb.errors import ConfigError, ConfigFileError

T = TypeVar("T")

# Taken without being named, when it is in the working directory.
CONFIG_FILE: Final = "priolb.toml"

# The file does not say where it is itself.
_IN_FILE: Final = {
    setting.env: name for name, setting in SETTINGS.items() if setting.env and name != "config_file"
}


def load_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Return the settings of a run: a flag beats its variable, which beats the file, which beats the default.

    A value that cannot be read is refused even when another one beats it: it would come into
    force, unnoticed, on the day the other one goes.

    Args:
        argv: the words after the name of the program.
        environ: the environment; an empty variable counts as unset, but for REDIS_PREFIX.

    Raises:
        ConfigError: a flag is unknown, or a flag, a variable or the file holds what it cannot hold.
    """
    from_flags = parse_flags(argv)
    given: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        text = environ.get(setting.env) if setting.env else None
        if setting.env and text is not None and (text or setting.empty_is_value):
            given[name] = read_value(setting.env, setting.kind, text, secret=setting.secret)
    for name, text in from_flags:
        setting = SETTINGS[name]
        given[name] = read_value(f"-{setting.flag}", setting.kind, text, secret=setting.secret)
    path = given.pop("config_file", "") or (CONFIG_FILE if os.path.lexists(CONFIG_FILE) else "")
    in_file: dict[str, Any] = {}
    lines: dict[str, int] = {}
    if path:
        document = read_document(path)
        in_file = settings_in(document)
        not_given = [variable for variable, name in _IN_FILE.items() if name in in_file and name not in given]
        lines = {variable: document.place().line_of(variable) for variable in not_given}
    settings = Settings(**{**in_file, **given, "config_file": path, "lines": lines})
    if settings.tls_key and not settings.tls_cert:
        raise ConfigError(f"{settings.source_of('TLS_KEY')}: a key without a certificate (TLS_CERT)")
    if settings.admin_listen is not None and _overlap(settings.admin_listen, settings.listen):
        source = settings.source_of("ADMIN_LISTEN")
        raise ConfigError(
            f"{source}: '{settings.admin_listen}' is taken by the address for clients (LISTEN_ADDR)"
        )
    too_long = list(too_long_waits(settings.lanes, settings.request_timeout_s))
    if too_long:
        raise ConfigFileError(escaped(path), too_long)
    names = [lane.name for lane in settings.lanes]
    if not set(settings.hedge_lanes) <= set(names):
        hedged = ",".join(settings.hedge_lanes)
        source = settings.source_of("HEDGE_LANES")
        raise ConfigError(f"{source}: {shown(hedged)} is not a list of {', '.join(names)}")
    return settings


def _overlap(one: Address, other: Address) -> bool:
    """Return whether two listeners would want the same port of the same address."""
    if not one.port or one.port != other.port:
        return False
    hosts = {one.host, other.host}
    return (
        len(hosts) == 1
        or "" in hosts
        or ("0.0.0.0" in hosts and not any(":" in host for host in hosts))  # noqa: S104 - it is compared
        or ("::" in hosts and not any(_is_ipv4(host) for host in hosts))
    )


def _is_ipv4(host: str) -> bool:
    return host.replace(".", "").isdecimal()


def settings_in(document: Document) -> dict[str, Any]:
    """Return what a configuration file says: values of fields of `Settings`, those that it has.

    Raises:
        ConfigFileError: it holds what it cannot hold; all mistakes are told, each with its line.
    """
    reader = PolicyReader(document, frozenset(_IN_FILE))
    values: dict[str, Any] = {"policy": reader.policy()}
    for variable in document.values.keys() & _IN_FILE.keys():
        name = _IN_FILE[variable]
        setting = SETTINGS[name]
        values[name] = reader.setting(variable, setting.kind, setting.secret)
    reader.raise_mistakes()
    return values


def read_value(source: str, kind: Kind[T], text: str, *, secret: bool = False) -> T:
    """Return the value of a text that somebody gave.

    Args:
        source: the flag or variable that it comes from, as the operator wrote it.
        secret: the text may be a password and is left out of the error.

    Raises:
        ConfigError: the text is nothing that the kind accepts; names source and text.
    """
    try:
        return kind.parse(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {'the value (not shown)' if secret else shown(text)} {error}") from None
