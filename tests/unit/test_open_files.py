"""Open files: the standard ones, as many more as the system allows, and room for them before threads."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from priolb.open_files import connections_allowed, expect_many_files, open_standard_files

FILES = resource.RLIMIT_NOFILE

TABLE_SIZES = """
import re, resource
from pathlib import Path
from priolb.open_files import expect_many_files, connections_allowed

def table_size():
    return int(re.search(r"FDSize:\\s(\\d+)", Path("/proc/self/status").read_text())[1])

soft, hard = {soft}, {hard}
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
before = table_size()
faults = expect_many_files()
print(faults, resource.getrlimit(resource.RLIMIT_NOFILE), before < hard <= table_size() < 2 * hard)
"""


def in_a_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


OPENED = """
import os, sys
from priolb.open_files import open_standard_files

report = os.dup(1)
for fd in {closed}:
    os.close(fd)
open_standard_files()
names = [os.readlink("/proc/self/fd/%d" % fd) for fd in range(3)]
os.write(2, b"said")
os.write(report, repr([name == "/dev/null" for name in names]).encode())
"""


@pytest.fixture(autouse=True)
def _limits() -> Iterator[None]:
    """Leave the limits of the test run as they were."""
    limits = resource.getrlimit(FILES)
    yield
    resource.setrlimit(FILES, limits)


@pytest.mark.parametrize("soft", [64, 1024, 4096])
def test_the_limit_is_the_hard_one_and_the_table_is_as_large(soft: int) -> None:
    """The table of a process never shrinks, so each try has a process of its own."""
    assert in_a_process(TABLE_SIZES.format(soft=soft, hard=4096)) == "[] (4096, 4096) True"


@pytest.mark.parametrize("closed", [[], [0], [1], [2], [0, 2], [0, 1, 2]])
def test_whichever_standard_file_is_closed_leads_nowhere(closed: list[int]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPENED.format(closed=closed)],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == str([fd in closed for fd in range(3)])
    assert done.stderr == ("" if 2 in closed else "said")


def test_standard_files_that_are_open_stay_as_they_are() -> None:
    before = [Path(f"/proc/self/fd/{fd}").readlink() for fd in range(3)]
    open_standard_files()
    assert [Path(f"/proc/self/fd/{fd}").readlink() for fd in range(3)] == before


def test_no_file_stays_open() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    assert expect_many_files() == []
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_limit_that_cannot_be_raised_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_kind: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed")

    hard = resource.getrlimit(FILES)[1]
    resource.setrlimit(FILES, (512, hard))
    with monkeypatch.context() as patched:
        patched.setattr(resource, "setrlimit", refuse)
        assert expect_many_files() == ["the limit on open files stays at 512: not allowed"]


def test_a_table_that_cannot_grow_is_told() -> None:
    code = (
        "import os, resource; from priolb.open_files import expect_many_files, connections_allowed\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); os.dup2(0, 63); print(expect_many_files())"
    )
    expected = ["the table of open files does not grow: [Errno 24] Too many open files"]
    assert in_a_process(code) == str(expected)


@pytest.mark.parametrize(
    ("soft", "allowed"), [(20_000, (17_500, 625)), (1024, (896, 32)), (200, (100, 25)), (3, (2, 1))]
)
def test_some_files_are_kept_from_clients(soft: int, allowed: tuple[int, int]) -> None:
    resource.setrlimit(FILES, (soft, resource.getrlimit(FILES)[1]))
    assert connections_allowed() == allowed


def test_without_a_limit_there_is_none_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert connections_allowed() == (0, 0)
