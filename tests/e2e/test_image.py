"""What the container image asks of the program to see whether it is well."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.certificates import Authority
from support.factories import Launch
from support.wire import PATIENCE_S

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def is_well(**settings: str) -> bool:
    """Return what the health check of the image finds with these settings, run as it stands there."""
    words = (
        DOCKERFILE.read_text().partition("HEALTHCHECK")[2].partition(" CMD ")[2].partition("\nENTRYPOINT")[0]
    )
    _, *words_of_python = json.loads(words.replace("\\\n", ""))
    found = subprocess.run(
        [sys.executable, *words_of_python], env=settings, capture_output=True, timeout=PATIENCE_S, check=False
    )
    return found.returncode == 0


@pytest.mark.parametrize("has_certificate", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("is_apart", [False, True], ids=["one listener", "two"])
def test_the_image_is_well_when_the_program_is(
    launch: Launch, tmp_path: Path, has_certificate: bool, is_apart: bool
) -> None:
    settings = {"ADMIN_LISTEN": "127.0.0.1:0"} if is_apart else {}
    if has_certificate:
        settings["TLS_CERT"], settings["TLS_KEY"] = Authority(tmp_path).issue("elsewhere.example", "own")
    balancer = launch(**settings)
    name = "ADMIN_LISTEN" if is_apart else "LISTEN_ADDR"
    asked = {**settings, "LISTEN_ADDR": "127.0.0.1:1", name: f":{balancer.admin_port}"}
    assert is_well(**asked)
    balancer.stop()
    assert not is_well(**asked)
