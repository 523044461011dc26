"""Options of the mock node, as they reach what serves."""

import sys
from types import ModuleType

import pytest

from priolb.cli.main import main

Served = list[tuple[object, ...]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Stand in for priolb.testing.mock_node; returns what it was asked to serve."""
    calls: Served = []

    class FakeMockNode(ModuleType):
        def serve(self, *arguments: object) -> int:
            calls.append(arguments)
            return 0

    for name in ("priolb.testing", "priolb.testing.mock_node"):
        monkeypatch.setitem(sys.modules, name, FakeMockNode(name))
    return calls


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], (("localhost", 8095), 0.0, 0.0, 0)),
        (
            ["--listen", ":1", "--latency", "0.02", "--error-rate", "0.5", "--concurrency", "8"],
            (("", 1), 0.02, 0.5, 8),
        ),
        (["-listen=[::1]:2", "-latency=3", "-error-rate=1", "-concurrency=1"], (("::1", 2), 3.0, 1.0, 1)),
    ],
)
def test_options(served: Served, words: list[str], arguments: tuple[object, ...]) -> None:
    assert main(["mock-node", *words]) == 0
    assert served == [arguments]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--listen", "8095"],
            "--listen: '8095' is not host:port (like localhost:8080, :8080 or [::1]:8080)",
        ),
        (["--latency", "-1"], "--latency: '-1' is out of range (0 to 1000000)"),
        (["--latency", "20ms"], "--latency: '20ms' is not a number of seconds (0 to 1000000)"),
        (["--error-rate", "1.01"], "--error-rate: '1.01' is out of range (0 to 1)"),
        (["--error-rate", "50%"], "--error-rate: '50%' is not a share (0 to 1)"),
        (["--error-rate", "nan"], "--error-rate: 'nan' is not a share (0 to 1)"),
        (["--concurrency", "many"], "--concurrency: 'many' is not a whole number (0 to 1000000)"),
    ],
)
def test_wrong_option_is_one_line_and_exit_status_2(
    served: Served, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["mock-node", *words]) == 2
    assert capsys.readouterr().err == f"prio-load-balancer: {message}\n"
    assert served == []
