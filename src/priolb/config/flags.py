"""Flags as the original's users write them: Go's rules, one dash or two.

    -flag value    -flag=value    --flag value    --flag=value
    -switch        -switch=false                     (a switch never takes the word after it)

Of a flag given twice the last one counts. There are no abbreviations and no positional words.
"""

from collections.abc import Sequence
from typing import Final

from priolb.config.parse import Switch
from priolb.config.settings import SETTINGS
from priolb.config.words import did_you_mean, escaped, shown
from priolb.errors import ConfigError

FLAGS: Final = {setting.flag: name for name, setting in SETTINGS.items() if setting.flag}
"""The field of `Settings` that each flag sets."""

# Flags that end the program after a line or a page; whoever calls `parse_flags` has dealt with them.
HELP_FLAGS: Final = frozenset({"-h", "--h", "-help", "--help"})
VERSION_FLAGS: Final = frozenset({"-version", "--version"})


def parse_flags(argv: Sequence[str]) -> list[tuple[str, str]]:
    """Return what the flags say: pairs of a field of `Settings` and the text given for it.

    Raises:
        ConfigError: a flag is unknown or lacks its value, or a word is no flag.
    """
    pairs: list[tuple[str, str]] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--" and not words:
            break
        if not word.startswith("-") or word in ("-", "--"):
            raise ConfigError(f"unexpected argument {shown(words[0] if word == '--' else word)}")
        flag, equals, value = _split(word)
        if flag not in FLAGS:
            raise ConfigError(_unknown(flag))
        name = FLAGS[flag]
        setting = SETTINGS[name]
        if isinstance(setting.kind, Switch):
            value = value if equals else "true"
        elif not equals:
            # A flag is never meant as the value of another; Go would take it.
            if not words or (words[0].startswith("-") and _split(words[0])[0] in FLAGS):
                raise ConfigError(f"-{flag} needs a value ({setting.unit})")
            value = words.pop(0)
        pairs.append((name, value))
    return pairs


def _split(word: str) -> tuple[str, str, str]:
    return word.removeprefix("-").removeprefix("-").partition("=")


def _unknown(flag: str) -> str:
    """Return the error for an unknown flag; what follows its name may be a secret and is left out."""
    variable = flag.upper().replace("-", "_")
    if any(setting.env == variable for setting in SETTINGS.values()):
        return f"unknown flag -{flag}; set {variable} in the environment instead"
    return f"unknown flag -{escaped(flag)}{did_you_mean(flag, [*FLAGS, 'help', 'version'], prefix='-')}"
