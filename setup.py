"""Compiles the path of a request with mypyc while a wheel is built; everything else is in pyproject.toml.

The same files run interpreted where there is no C compiler, with PRIOLB_PURE=1, and in an editable install,
whose files are there to be changed. A type error is a fault of ours and ends the build in every case.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

# All that is on the path of a request; the log writes two lines for each, and counts those it has none for.
COMPILED = (
    *("core/**/*.py", "http/*.py", "net/**/*.py"),
    *("telemetry/requests.py", "telemetry/refusals.py", "telemetry/stamp.py", "telemetry/line_buffer.py"),
)


def compiler_fault() -> str:
    """Return what keeps C from being compiled here, empty when nothing does."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    headers = sysconfig.get_path("include")
    try:
        probe = subprocess.run(  # noqa: S603 - the compiler that Python was built with, or the user's own
            [*command, f"-I{headers}", "-fsyntax-only", "-xc", "-"],
            input="#include <Python.h>\n",
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return probe.stderr.partition("\n")[0] if probe.returncode else ""


def extensions() -> list[Extension]:
    """Return what is to be compiled: nothing unless a wheel is built."""
    if "bdist_wheel" not in sys.argv or os.environ.get("PRIOLB_PURE", "0") not in {"", "0"}:
        return []
    fault = compiler_fault()
    if fault:
        sys.stderr.write(f"prio-load-balancer will run interpreted, no C compiler can be used: {fault}\n")
        return []
    from mypyc.build import mypycify  # noqa: PLC0415 - takes a second, which only who compiles shall spend

    modules = [
        str(path)
        for pattern in COMPILED
        for path in sorted(Path("src/priolb").glob(pattern))
        if path.name != "__init__.py"
    ]
    compiled: list[Extension] = mypycify(modules, target_dir="build/mypyc", group_name="priolb")
    for extension in compiled:
        # Nobody outside calls these functions: so those inside call each other directly, or inline them.
        # Those of Python they call by address, not by way of a table: that is 1 % of a request.
        extension.extra_compile_args += ["-fvisibility=hidden", "-fno-plt"]
        if "-Werror" in extension.extra_compile_args:
            # What a compiler warns of in generated code is no reason not to install.
            extension.extra_compile_args.remove("-Werror")
    return compiled


setup(ext_modules=extensions())
