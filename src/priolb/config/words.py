"""Words of others in messages of ours: quoted, escaped, cut, and compared with what they may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_CHARS_MAX: Final = 80


def shown(text: str) -> str:
    """Return the text quoted, escaped and cut for use in an error of one line."""
    return repr(text) if len(text) <= _CHARS_MAX else f"{text[:_CHARS_MAX]!r}..."


def escaped(text: str) -> str:
    """Return the text without quotes, and without anything that could move a cursor or end the line."""
    return text if text.isprintable() else repr(text)[1:-1]


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return "; did you mean X?" for the nearest of the known words, or nothing when none is near."""
    nearest = get_close_matches(word, known, n=1)
    return f"; did you mean {prefix}{escaped(nearest[0])}?" if nearest else ""
