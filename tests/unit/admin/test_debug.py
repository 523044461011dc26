"""The debug pages: logs, index, and who may have which."""

import asyncio

import pytest

from priolb.admin.debug import NO_SUCH_PAGE, DebugPages
from priolb.errors import ClientError
from support.memory_log import MemoryLog

PPROF = [b"/debug/pprof/", b"/debug/pprof/stacks", b"/debug/pprof/heap", b"/debug/pprof/profile"]
LOG_TEST = b"/debug/testLogLevels"


def ask(pages: DebugPages, path: bytes, query: bytes = b"") -> tuple[int, str]:
    async def main() -> tuple[int, str]:
        response = await pages.answer(path, query)
        assert response.content_type == b"text/plain; charset=utf-8"
        return response.status, response.body.decode()

    return asyncio.run(main())


async def no_sleep(seconds: float) -> None:
    """Stands for time that passes."""


def test_the_log_test_logs_one_line_of_each_level_and_answers_200() -> None:
    log = MemoryLog()
    assert ask(DebugPages(log, has_log_test=True, has_pprof=False), LOG_TEST) == (200, "ok\n")
    assert log.lines == [
        ("debug", "Test of log level debug", {}),
        ("info", "Test of log level info", {}),
        ("warning", "Test of log level warn", {}),
        ("error", "Test of log level error", {}),
    ]


@pytest.mark.parametrize(
    ("has_log_test", "has_pprof", "on"),
    [(True, False, [LOG_TEST]), (False, True, PPROF), (True, True, [LOG_TEST, *PPROF]), (False, False, [])],
)
def test_a_page_is_there_only_when_it_is_turned_on(
    has_log_test: bool, has_pprof: bool, on: list[bytes]
) -> None:
    pages = DebugPages(MemoryLog(), has_log_test, has_pprof, no_sleep)
    for path in [LOG_TEST, *PPROF]:
        if path in on:
            assert ask(pages, path)[0] == 200
            continue
        with pytest.raises(ClientError) as refusal:
            ask(pages, path)
        assert (refusal.value.status, str(refusal.value)) == (404, NO_SUCH_PAGE)


@pytest.mark.parametrize(
    "path", [b"/debug/", b"/debug/pprof", b"/debug/pprof/cmdline", b"/debug/pprof/heap/"]
)
def test_other_paths_are_404(path: bytes) -> None:
    with pytest.raises(ClientError) as refusal:
        ask(DebugPages(MemoryLog(), has_log_test=True, has_pprof=True), path)
    assert (refusal.value.status, str(refusal.value)) == (404, NO_SUCH_PAGE)


def test_the_index_names_every_page_below_it() -> None:
    pages = DebugPages(MemoryLog(), has_log_test=True, has_pprof=True)
    status, text = ask(pages, b"/debug/pprof/")
    assert status == 200
    assert [line.split("?")[0].split()[0] for line in text.splitlines()] == [
        path.decode() for path in PPROF[1:]
    ]


@pytest.mark.parametrize(
    ("query", "seconds"), [(b"", 5), (b"seconds=1", 1), (b"seconds=9", 9), (b"seconds=60", 60)]
)
def test_a_profile_takes_as_long_as_asked_for(query: bytes, seconds: int) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pages = DebugPages(MemoryLog(), has_log_test=False, has_pprof=True, sleep=sleep)
    assert ask(pages, b"/debug/pprof/profile", query)[0] == 200
    assert slept == [seconds]


@pytest.mark.parametrize(
    "query",
    [
        b"seconds=",
        b"seconds=0",
        b"seconds=61",
        b"seconds=100",
        b"seconds=-1",
        b"seconds=1.5",
        b"seconds=05",
        b"seconds=+5",
        b"seconds=5&seconds=6",
        b"seconds=5 ",
        b"seconds=5\n",
        b"seconds=%35",
        b"seconds=\xd9\xa3",
        b"SECONDS=5",
        b"second=5",
        b"debug=1",
        b"5",
    ],
)
def test_another_query_is_400_and_told_what_it_may_be(query: bytes) -> None:
    with pytest.raises(ClientError) as refusal:
        ask(DebugPages(MemoryLog(), has_log_test=False, has_pprof=True), b"/debug/pprof/profile", query)
    assert refusal.value.status == 400
    assert str(refusal.value) == "seconds must be a whole number from 1 to 60, as in ?seconds=5"
