"""`prio-load-balancer config`: what the configuration file means, and keys for it."""

import os
import secrets
import sys
from argparse import Namespace
from hashlib import sha256
from typing import Final

from priolb.cli.options import OptionParser
from priolb.config.explanation import lines_of
from priolb.config.lane_function import lane_function_of
from priolb.config.load import load_settings, read_value
from priolb.config.parse import Word
from priolb.config.words import did_you_mean, escaped, shown
from priolb.errors import ConfigError

_ACTIONS: Final = ("check", "key")
_SECRET_BYTES: Final = 32


def parser() -> OptionParser:
    """Return what parses the options."""
    options = OptionParser("config", "Say what the configuration file means, or make an API key for it.")
    options.add_argument("action", help="check [FILE], or key NAME")
    options.add_argument("word", nargs="?", help="the file, default $CONFIG_FILE or priolb.toml; or the name")
    return options


def run(options: Namespace) -> int:
    """Do what was asked for and return the exit status.

    Raises:
        ConfigError: the action is unknown, or the file has mistakes: no program would start with it.
    """
    action, word = options.action, options.word
    if action not in _ACTIONS:
        raise ConfigError(f"config: unknown action {shown(action)}{did_you_mean(action, _ACTIONS)}")
    if action == "key":
        return _make_key(word)
    settings = load_settings(["-config", word] if word else [], os.environ)
    if settings.lane_function:
        lane_function_of(settings.lane_function, settings.source_of("LANE_FUNCTION"))
    from priolb.app import check  # noqa: PLC0415 - only this action pays for event loop and store drivers

    check(settings)
    print(escaped(f"{settings.config_file or 'there is no configuration file'}: no mistakes"))
    for line in lines_of(settings):
        print(escaped(line))
    return 0


def _make_key(name: str | None) -> int:
    if name is None:
        raise ConfigError("config: key needs a name")
    read_value("config: key", Word(), name)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    print(f"The secret, which is stored nowhere; send it as X-API-Key: {secret}", file=sys.stderr)
    print(f'[[key]]\nname = "{name}"\nsha256 = "{sha256(secret.encode()).hexdigest()}"')
    return 0
