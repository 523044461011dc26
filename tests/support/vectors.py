"""Real evidence of real machines, which is no part of this repository.

It is looked for where `PRIOLB_TEE_VECTORS` says, else beside the checkout. Tests that need it are skipped
without it.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "vectors"
FOLDER = Path(os.environ.get("PRIOLB_TEE_VECTORS") or _BESIDE)

needed = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no real evidence at {FOLDER}; PRIOLB_TEE_VECTORS says where it is"
)


def raw(path: str) -> bytes:
    """Return a file."""
    return (FOLDER / path).read_bytes()


def text(path: str) -> str:
    """Return a file of text."""
    return raw(path).decode()


def document(path: str) -> dict[str, Any]:
    """Return a file of JSON."""
    parsed: dict[str, Any] = json.loads(raw(path))
    return parsed


def base64url(value: str) -> bytes:
    """Decode base64url, padded or not."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
