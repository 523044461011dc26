"""What the container image asks of the program to see whether it is well."""

import json
from pathlib import Path

import pytest

from support.balancer import run_program
from support.certificates import Authority
from support.factories import Launch

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def is_well(**settings: str) -> bool:
    """Return what the health check of the image finds with these settings, run as it stands there."""
    check = DOCKERFILE.read_text().partition("HEALTHCHECK")[2].partition(" CMD ")[2].partition("\n")[0]
    _, *words = json.loads(check)
    return run_program(*words, **settings).returncode == 0


@pytest.mark.parametrize("is_in_file", [False, True], ids=["environment", "file"])
@pytest.mark.parametrize("has_certificate", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("is_apart", [False, True], ids=["one listener", "two"])
def test_the_image_is_well_when_the_program_is(
    launch: Launch, tmp_path: Path, has_certificate: bool, is_apart: bool, is_in_file: bool
) -> None:
    """What was in the file alone was asked for at the wrong port, or without TLS."""
    settings = {"ADMIN_LISTEN": "127.0.0.1:0"} if is_apart else {}
    if has_certificate:
        settings["TLS_CERT"], settings["TLS_KEY"] = Authority(tmp_path).issue("elsewhere.example", "own")
    balancer = launch(**settings)
    name = "ADMIN_LISTEN" if is_apart else "LISTEN_ADDR"
    asked = {**settings, "LISTEN_ADDR": "127.0.0.1:1", name: f":{balancer.admin_port}"}
    if is_in_file:
        file = tmp_path / "priolb.toml"
        file.write_text("".join(f"{name} = {json.dumps(text)}\n" for name, text in asked.items()))
        asked = {"CONFIG_FILE": str(file)}
    assert is_well(**asked)
    balancer.stop()
    assert not is_well(**asked)
