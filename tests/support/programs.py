"""Programs of the system that the balancer is tried with."""

import os
import shutil
from typing import NoReturn

import pytest

# Debian keeps servers where not everybody looks.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


def program(name: str) -> str:
    """Return the path of a program; a test that needs one that is not there is skipped, but not in CI."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        give_up(f"{name} is not on PATH")
    return found


def give_up(lack: str) -> NoReturn:
    """End a test for what this machine lacks."""
    if os.environ.get("CI") == "true":
        pytest.fail(lack)
    pytest.skip(lack)
