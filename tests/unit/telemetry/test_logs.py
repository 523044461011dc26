"""The logger in both forms, and the lines of libraries."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator

import pytest

from priolb.telemetry.logs import LibraryLogHandler, Logger, LogWriter, forward_library_logs
from support.pipe_log import OpenLog

STAMP = "2026-11-22T08:00:00.123Z"


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    """Return a library's logger; what the test changes about logging is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield logging.getLogger("library")
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines(open_log: OpenLog) -> None:
    log = open_log(json=True, service="lb-1")
    log.logger.debug("d")
    log.logger.info("hello world", node="http://a", tries=2, ok=True, why=None)
    log.logger.warning("w", took_s=0.5)
    log.logger.error("e", req_id="a b")
    assert log.lines() == [
        '{"level":"debug","ts":1795334400.123,"msg":"d","service":"lb-1"}',
        (
            '{"level":"info","ts":1795334400.123,"msg":"hello world","service":"lb-1",'
            '"node":"http://a","tries":2,"ok":true,"why":null}'
        ),
        '{"level":"warn","ts":1795334400.123,"msg":"w","service":"lb-1","took_s":0.5}',
        '{"level":"error","ts":1795334400.123,"msg":"e","service":"lb-1","req_id":"a b"}',
    ]


def test_readable_lines(open_log: OpenLog) -> None:
    log = open_log(json=False)
    log.logger.debug("d")
    log.logger.info("hello world", node="http://a", why="two words")
    log.logger.warning("w")
    log.logger.error("e", tries=2)
    assert log.lines() == [
        f"{STAMP} DEBUG d",
        f'{STAMP} INFO  hello world  node=http://a why="two words"',
        f"{STAMP} WARN  w",
        f"{STAMP} ERROR e  tries=2",
    ]


def test_service_is_a_field_of_every_readable_line(open_log: OpenLog) -> None:
    log = open_log(json=False, service="my lb")
    log.logger.info("hello", a=1)
    assert log.lines() == [f'{STAMP} INFO  hello  service="my lb" a=1']


def test_time_of_a_line_follows_the_clock(open_log: OpenLog) -> None:
    log = open_log(json=False)
    log.logger.info("a")
    log.now_ns += 999_999
    log.logger.info("b")
    log.now_ns += 1
    log.logger.info("c")
    log.now_ns += 1_000_000_000
    log.logger.info("d")
    assert log.lines() == [
        "2026-11-22T08:00:00.123Z INFO  a",
        "2026-11-22T08:00:00.124Z INFO  b",
        "2026-11-22T08:00:00.124Z INFO  c",
        "2026-11-22T08:00:01.124Z INFO  d",
    ]


def test_colours_are_for_terminals_only() -> None:
    controller, terminal = os.openpty()
    writer = LogWriter(terminal)
    Logger(writer, json=False, service="", clock_ns=lambda: 0).info("hello")
    writer.close()
    assert os.read(controller, 1000) == b"1970-01-01T00:00:00.000Z \x1b[34mINFO \x1b[0m hello\r\n"
    os.close(controller)
    os.close(terminal)


@pytest.mark.parametrize(
    ("is_json", "notice"),
    [
        (True, '{"level":"warn","ts":1795334400.123,"msg":"NOTICE","lines":1}'),
        (False, f"{STAMP} WARN  NOTICE  lines=1"),
    ],
)
def test_notice_about_dropped_lines_has_the_form_of_the_log(
    open_log: OpenLog, is_json: bool, notice: str
) -> None:
    log = open_log(json=is_json)
    log.logger.requests.add(b"x" * (16 * 1024 * 1024) + b"\n")
    log.logger.info("after", service="x")
    assert log.lines()[0] == notice.replace("NOTICE", "Log lines dropped: they could not be written")


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warn"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "error"),
    ],
)
def test_library_line_keeps_its_level(
    open_log: OpenLog, library: logging.Logger, level: int, name: str
) -> None:
    log = open_log()
    forward_library_logs(log.logger, level=logging.DEBUG)
    library.log(level, "%d nodes", 3)
    assert log.lines() == [f'{{"level":"{name}","ts":1795334400.123,"msg":"3 nodes","logger":"library"}}']


def test_library_lines_below_warning_are_left_out(open_log: OpenLog, library: logging.Logger) -> None:
    log = open_log(json=False)
    forward_library_logs(log.logger)
    library.info("chatter")
    library.warning("trouble")
    assert log.lines() == [f"{STAMP} WARN  trouble  logger=library"]


@pytest.mark.parametrize("is_json", [True, False])
def test_exception_of_a_library_stays_on_one_line(
    open_log: OpenLog, library: logging.Logger, is_json: bool
) -> None:
    log = open_log(json=is_json)
    forward_library_logs(log.logger)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        library.exception("it\nfailed")
    (line,) = log.lines()
    if is_json:
        fields = json.loads(line)
        assert fields["msg"] == "it\nfailed"
        traceback = fields["exception"]
    else:
        assert line.startswith(f"{STAMP} ERROR it\\nfailed  logger=library exception=")
        traceback = json.loads(line.partition("exception=")[2])
    assert traceback.startswith("Traceback (most recent call last):\n  File ")
    assert traceback.endswith("\nValueError: first\nsecond")


def test_library_line_with_wrong_arguments_is_still_told(open_log: OpenLog, library: logging.Logger) -> None:
    log = open_log(json=False)
    forward_library_logs(log.logger)
    library.warning("%d nodes", "three")
    assert log.lines() == [
        f'{STAMP} WARN  %d nodes  logger=library logError="%d format: a real number is required, not str"'
    ]


def test_error_that_asyncio_reports_is_one_line(open_log: OpenLog, library: logging.Logger) -> None:
    log = open_log()
    forward_library_logs(log.logger)

    async def fail_in_a_callback() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        loop.call_soon(int, "no number")
        loop.call_soon(done.set)
        await done.wait()

    asyncio.run(fail_in_a_callback())
    (line,) = log.lines()
    fields = json.loads(line)
    assert (fields["level"], fields["logger"]) == ("error", "asyncio")
    assert fields["exception"].endswith("ValueError: invalid literal for int() with base 10: 'no number'")


def test_forwarding_twice_does_not_double_lines(open_log: OpenLog, library: logging.Logger) -> None:
    log = open_log(json=False)
    forward_library_logs(log.logger)
    forward_library_logs(log.logger)
    library.error("once")
    assert log.lines() == [f"{STAMP} ERROR once  logger=library"]
    assert [type(handler) for handler in logging.getLogger().handlers] == [LibraryLogHandler]
