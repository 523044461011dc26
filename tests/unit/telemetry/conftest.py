"""What tests of the log share."""

from collections.abc import Iterator

import pytest

from support.pipe_log import Log, OpenLog


@pytest.fixture
def open_log() -> Iterator[OpenLog]:
    """Return what opens a log; logs that a test did not read are ended with it."""
    logs: list[Log] = []

    def open_one(json: bool = True, service: str = "") -> Log:
        logs.append(Log(json, service))
        return logs[-1]

    yield open_one
    for log in logs:
        log.logger.close()
