"""Options of the subcommands: argparse, with the manners of the rest of the command line.

Mistakes are a ConfigError of one line instead of a usage text; long options may have one dash; nothing
may be abbreviated; an unknown option is answered with the nearest name, and never with what follows
it, which may be a token.
"""

import argparse
import re
from collections.abc import Sequence
from typing import Final, NoReturn

from priolb.config.words import did_you_mean, escaped, shown
from priolb.errors import ConfigError

_LONG_WITH_ONE_DASH: Final = re.compile(r"-[A-Za-z]{2}")


class OptionParser(argparse.ArgumentParser):
    """Parses the words after a subcommand.

    Args:
        command: name of the subcommand.
        purpose: what it does, for its --help.
    """

    def __init__(self, command: str, purpose: str) -> None:
        super().__init__(prog=f"prio-load-balancer {command}", description=purpose, allow_abbrev=False)
        self._command = command
        self._names: list[str] = []

    def add_option(self, name: str, metavar: str, meaning: str, default: str | None = None) -> None:
        """Add an option with a value, which stays text; `name` has no dashes."""
        self._names.append(name)
        self.add_argument(f"--{name}", metavar=metavar, default=default, help=meaning)

    def add_list(self, name: str, metavar: str, meaning: str) -> None:
        """Add an option that may be given several times: its value is a list of texts."""
        self._names.append(name)
        self.add_argument(f"--{name}", metavar=metavar, action="append", default=[], help=meaning)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong."""
        raise ConfigError(f"{self._command}: {message}")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the values of all options and words.

        Raises:
            ConfigError: a word is missing or too many, or an option is unknown.
        """
        two_dashes = [f"-{word}" if _LONG_WITH_ONE_DASH.match(word) else word for word in words]
        options, left_over = self.parse_known_args(two_dashes)
        for word in left_over:
            if word.startswith("-"):
                name = word.lstrip("-").partition("=")[0]
                nearest = did_you_mean(name, [*self._names, "help"], prefix="--")
                raise ConfigError(f"{self._command}: unknown flag --{escaped(name)}{nearest}")
        if left_over:
            raise ConfigError(f"{self._command}: unexpected argument {shown(left_over[0])}")
        return options
