"""From the command line and the environment to `Settings`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from priolb.config.flags import parse_flags
from priolb.config.parse import Kind
from priolb.config.settings import SETTINGS, Settings
from priolb.config.words import shown
from priolb.errors import ConfigError

T = TypeVar("T")


def load_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Return the settings of a run: a flag beats its environment variable, which beats the default.

    A variable that cannot be read is refused even when a flag overrides it: it would come into
    force, unnoticed, on the day the flag goes.

    Args:
        argv: the words after the name of the program.
        environ: the environment; an empty variable counts as unset, but for REDIS_PREFIX.

    Raises:
        ConfigError: a flag is unknown, or a flag or variable holds what it cannot hold; both are named.
    """
    from_flags = parse_flags(argv)
    values: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        text = environ.get(setting.env) if setting.env else None
        if setting.env and text is not None and (text or setting.empty_is_value):
            values[name] = read_value(setting.env, setting.kind, text, secret=setting.secret)
    for name, text in from_flags:
        setting = SETTINGS[name]
        values[name] = read_value(f"-{setting.flag}", setting.kind, text, secret=setting.secret)
    settings = Settings(**values)
    if settings.tls_key and not settings.tls_cert:
        raise ConfigError("TLS_KEY: a key without a certificate (TLS_CERT)")
    if settings.admin_listen == settings.listen and settings.listen.port:
        raise ConfigError(f"ADMIN_LISTEN: '{settings.admin_listen}' is the address for clients (LISTEN_ADDR)")
    return settings


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
