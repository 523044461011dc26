"""Which bytes a text may be made of, as a table that tells quickly."""

from __future__ import annotations


def changing_others(letters: bytes) -> bytes:
    """Return a table for `bytes.translate` that changes every byte but these.

    So `text.translate(table) == text` says that there is no other one. That is one pass over the text, while
    to delete the letters and see what is left has Python fill a table of 256 places first, each time.
    """
    return bytes([byte if byte in letters else byte ^ 1 for byte in range(256)])
