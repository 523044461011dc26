"""Which form of the program is built: compiled, interpreted, or none at all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
NO_COMPILER = "prio-load-balancer will run interpreted, no C compiler can be used: "


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with no more of the program than one module to compile and one that stays as it is."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("__init__.py", "errors.py", "core/__init__.py", "core/byte_budget.py"):
        (tmp_path / "src/priolb" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "src/priolb" / name, tmp_path / "src/priolb" / name)
    return tmp_path


def build(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"CC", "PRIOLB_PURE"}}
    return subprocess.run(
        [sys.executable, "setup.py", "--quiet", "bdist_wheel"],
        cwd=checkout,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what we have said among what setuptools says."""
    return [line for line in done.stderr.splitlines() if line.startswith("prio-load-balancer")]


def contents(checkout: Path) -> tuple[str, list[str]]:
    """Return for which platforms the one wheel is, and which files of ours are in it."""
    [wheel] = (checkout / "dist").iterdir()
    files = [name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name]
    return wheel.name.rsplit("-", 1)[1], sorted(name.partition(".")[0] for name in files)


SOURCES = ["priolb/__init__", "priolb/core/__init__", "priolb/core/byte_budget", "priolb/errors"]


def test_the_path_of_a_request_is_compiled_and_nothing_else_is(checkout: Path) -> None:
    done = build(checkout)
    assert (done.returncode, said(done)) == (0, [])
    platform, files = contents(checkout)
    assert platform != "any.whl"
    assert files == sorted([*SOURCES, "priolb/core/byte_budget", "priolb__mypyc"])


def test_on_demand_nothing_is_compiled(checkout: Path) -> None:
    done = build(checkout, PRIOLB_PURE="1")
    assert (done.returncode, said(done)) == (0, [])
    assert contents(checkout) == ("any.whl", SOURCES)


def test_without_a_compiler_the_same_files_are_installed_and_one_line_says_so(checkout: Path) -> None:
    done = build(checkout, CC="/missing/cc")
    assert (done.returncode, said(done)) == (0, [f"{NO_COMPILER}/missing/cc: No such file or directory"])
    assert contents(checkout) == ("any.whl", SOURCES)


def test_a_compiler_that_cannot_compile_for_python_is_named_with_what_it_says(checkout: Path) -> None:
    compiler = checkout / "cc"
    compiler.write_text("#!/bin/sh\necho 'Python.h: no such file' >&2\nexit 1\n")
    compiler.chmod(0o755)
    done = build(checkout, CC=str(compiler))
    assert (done.returncode, said(done)) == (0, [f"{NO_COMPILER}Python.h: no such file"])
    assert contents(checkout) == ("any.whl", SOURCES)


def test_a_type_error_ends_the_build(checkout: Path) -> None:
    with (checkout / "src/priolb/core/byte_budget.py").open("a") as module:
        module.write("\n\nWRONG: int = 'text'\n")
    done = build(checkout)
    assert done.returncode != 0
    assert (
        'Incompatible types in assignment (expression has type "str", variable has type "int")' in done.stdout
    )
    assert not (checkout / "dist").exists()
