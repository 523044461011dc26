"""The function that LANE_FUNCTION names."""

from pathlib import Path

import pytest

from priolb.config.lane_function import lane_function_of
from priolb.errors import ConfigError
from priolb.http.callers import Caller
from priolb.http.lane_function import LaneRequest
from priolb.http.request import Request
from support.heads import request_head

MODULE = """\
class Chooser:
    @staticmethod
    def lane(request): return "a"

async def later(request): return "a"

nothing = 5
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chooser_of_lanes.py").write_text(MODULE)
    (tmp_path / "broken_chooser.py").write_text("raise RuntimeError('no\\nway')")
    (tmp_path / "leaving_chooser.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_it_is_found_by_module_and_name() -> None:
    head = request_head()
    request = Request(head, Caller(None, b"", b"", b"", b"", None), b"")
    assert lane_function_of("chooser_of_lanes:Chooser.lane")(LaneRequest(request)) == "a"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:lane", "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "chooser_of_lanes:lanes",
            "AttributeError: module 'chooser_of_lanes' has no attribute 'lanes'",
        ),
        ("broken_chooser:lane", "RuntimeError: no\\nway"),
        ("leaving_chooser:lane", "SystemExit: 3"),
    ],
)
def test_what_cannot_be_had_is_refused_with_its_cause(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lane_function_of(name)
    assert str(caught.value) == f"LANE_FUNCTION: {name}: {message}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chooser_of_lanes:nothing", "is no function"),
        ("chooser_of_lanes:later", "is asynchronous, and a request cannot wait for it"),
    ],
)
def test_what_cannot_be_called_for_an_answer_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lane_function_of(name)
    assert str(caught.value) == f"LANE_FUNCTION: {name} {message}"
