"""Which command is meant, what it prints, and the exit status."""

import inspect
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from priolb import __version__
from priolb.cli.main import main
from priolb.config.help import help_text
from priolb.config.parse import Address
from priolb.config.settings import Settings
from priolb.core.scheduler import Scheduler
from priolb.errors import StoreError

# A method of a compiled class is no function of Python's.
HOW = "interpreted" if inspect.isfunction(Scheduler.submit) else "compiled"
VERSION = f"prio-load-balancer {__version__} ({HOW}, Python {platform.python_version()})\n"


class FakeApp(ModuleType):
    """Stands in for priolb.app: keeps the settings and serves nothing."""

    def __init__(self) -> None:
        super().__init__("priolb.app")
        self.served: list[Settings] = []
        self.error: BaseException | None = None

    def run(self, settings: Settings) -> int:
        self.served.append(settings)
        if self.error:
            raise self.error
        return 0


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> FakeApp:
    fake = FakeApp()
    monkeypatch.setitem(sys.modules, "priolb.app", fake)
    for variable in ("LISTEN_ADDR", "RETRIES_MAX", "PRIOLB_URL", "ADMIN_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    return fake


def mistake(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that a wrong command line is answered with."""
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err.removesuffix("\n")


def test_ctrl_c_is_exit_status_130_without_words(app: FakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    app.error = KeyboardInterrupt()
    assert main([]) == 130
    assert capsys.readouterr() == ("", "")


def test_no_words_means_serve(app: FakeApp) -> None:
    assert main([]) == 0
    assert app.served == [Settings()]


def test_flags_and_environment_reach_the_app(app: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIES_MAX", "7")
    monkeypatch.setattr(sys, "argv", ["prio-load-balancer", "-http", ":9000", "-mock-node"])
    assert main() == 0
    assert app.served == [Settings(listen=Address("", 9000), mock_node=True, retries_max=7)]


def test_each_mistake_of_the_configuration_file_is_a_line_of_its_own(
    app: FakeApp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.toml"
    path.write_text("RETRIES_MAX = -1\nretries = 1\n")
    assert main(["-config", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        f"prio-load-balancer: {path}:1: RETRIES_MAX: '-1' is out of range (0 to 1000)",
        f"prio-load-balancer: {path}:2: retries: is not known",
    ]
    assert app.served == []


@pytest.mark.parametrize("words", [["--version"], ["-version"], ["-mock-node", "--version"]])
def test_version(app: FakeApp, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == VERSION
    assert app.served == []


@pytest.mark.parametrize("words", [["--help"], ["-help"], ["-h"], ["-mock-node", "-h"], ["-htp", "--help"]])
def test_help(app: FakeApp, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == help_text()
    assert app.served == []


@pytest.mark.parametrize("help_flag", ["-h", "-help", "--help"])
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("nodes", ["--url", "--token"]),
        ("mock-node", ["--listen", "--latency", "--error-rate", "--concurrency"]),
    ],
)
def test_help_of_a_command_lists_its_options(
    capsys: pytest.CaptureFixture[str], command: str, options: list[str], help_flag: str
) -> None:
    assert main([command, help_flag]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: prio-load-balancer {command} ")
    assert [option for option in options if f"\n  {option} " not in text] == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-htp", ":1"], "unknown flag -htp; did you mean -http?"),
        (["node"], "unknown command 'node'; did you mean nodes?"),
        (["mocknode"], "unknown command 'mocknode'; did you mean mock-node?"),
        (["serve", "-http", ":1"], "unknown command 'serve'"),
        (["x\ny"], "unknown command 'x\\ny'"),
        (["-node-workers", "x"], "-node-workers: 'x' is not a whole number (1 to 10000)"),
        (["nodes"], "nodes: the following arguments are required: action"),
        (["nodes", "lst"], "nodes: unknown action 'lst'; did you mean list?"),
        (["nodes", "list", "http://a"], "nodes: list takes no URI"),
        (["nodes", "add"], "nodes: add needs the URI of a node"),
        (["nodes", "remove"], "nodes: remove needs the URI of a node"),
        (["nodes", "add", "http://a", "http://b"], "nodes: unexpected argument 'http://b'"),
        (["nodes", "list", "--ulr", "x"], "nodes: unknown flag --ulr; did you mean --url?"),
        (["nodes", "list", "--tok", "x"], "nodes: unknown flag --tok; did you mean --token?"),
        (["nodes", "list", "--url"], "nodes: argument --url: expected one argument"),
        (["mock-node", "-listn", ":1"], "mock-node: unknown flag --listn; did you mean --listen?"),
        (["mock-node", "extra"], "mock-node: unexpected argument 'extra'"),
    ],
)
def test_mistake_is_one_line_and_exit_status_2(
    app: FakeApp, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert mistake(argv, capsys) == f"prio-load-balancer: {message}"
    assert app.served == []


def test_mistake_in_a_variable_is_one_line_and_exit_status_2(
    app: FakeApp, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIES_MAX", "abc")
    message = mistake([], capsys)
    assert message == "prio-load-balancer: RETRIES_MAX: 'abc' is not a whole number (0 to 1000)"
    assert app.served == []


def test_store_that_is_away_at_start_is_one_line_and_exit_status_2(
    app: FakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    app.error = StoreError("Redis at localhost:1 cannot be reached:\nConnection refused")
    message = mistake([], capsys)
    assert message == "prio-load-balancer: Redis at localhost:1 cannot be reached: Connection refused"


def test_module_is_the_command() -> None:
    command = [sys.executable, "-m", "priolb", "--version"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, VERSION, "")


def test_exit_status_leaves_the_process() -> None:
    command = [sys.executable, "-m", "priolb", "-htp"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    expected = "prio-load-balancer: unknown flag -htp; did you mean -http?\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)
