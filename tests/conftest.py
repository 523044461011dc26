"""What all tests share."""

import sys

from priolb.cli.main import version_line

_RECURSION_LIMIT = sys.getrecursionlimit()


def pytest_collection_finish() -> None:
    """Take back what an import of web3 does: Python may recurse until the stack of the process is used up."""
    sys.setrecursionlimit(_RECURSION_LIMIT)


def pytest_report_header() -> str:
    """Say in which form the program is tested."""
    return f"tested: {version_line()}"
