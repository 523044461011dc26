"""Work of which much comes at once: a portion of it in each turn of the loop, in order."""

from collections.abc import Callable

import pytest

from priolb.core.timers import AT_ONCE
from priolb.net.portions import Portions
from support.manual_loop import ManualClock, ManualLoop


async def no_dial(protocol_factory: Callable[[], object], host: str, port: int) -> tuple[None, None]:
    raise AssertionError("nobody connects here")


def new_loop() -> ManualLoop:
    return ManualLoop(ManualClock(), no_dial)  # type: ignore[abstract]


def noting(done: list[int], number: int) -> Callable[[], None]:
    return lambda: done.append(number)


def test_as_much_as_is_done_in_a_turn_is_done_at_once() -> None:
    loop = new_loop()
    portions, done = Portions(loop), list[int]()
    assert [portions.do(noting(done, number)) for number in range(AT_ONCE)] == [True] * AT_ONCE
    assert done == list(range(AT_ONCE))


def test_what_is_more_is_done_in_the_next_turns_in_order() -> None:
    loop = new_loop()
    portions, done = Portions(loop), list[int]()
    at_once = [portions.do(noting(done, number)) for number in range(2 * AT_ONCE + 3)]
    assert at_once == [True] * AT_ONCE + [False] * (AT_ONCE + 3)
    lengths = []
    for _ in range(4):
        lengths.append(len(done))
        loop.turn()
    assert lengths == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 3, 2 * AT_ONCE + 3]
    assert done == list(range(2 * AT_ONCE + 3))


def test_what_was_put_off_counts_in_the_turn_in_which_it_is_done() -> None:
    loop = new_loop()
    portions, done = Portions(loop), list[int]()
    for number in range(AT_ONCE + 3):
        portions.do(noting(done, number))
    loop.turn()
    at_once = [portions.do(noting(done, number)) for number in range(AT_ONCE)]
    assert at_once == [True] * (AT_ONCE - 3) + [False] * 3


def test_every_turn_has_its_portion() -> None:
    loop = new_loop()
    portions, done = Portions(loop), list[int]()
    for _ in range(3):
        assert all(portions.do(noting(done, number)) for number in range(AT_ONCE))
        loop.run()
    assert len(done) == 3 * AT_ONCE


def test_nothing_is_done_in_turns_without_work() -> None:
    loop = new_loop()
    portions = Portions(loop)
    portions.do(noting([], 1))
    loop.turn()
    assert not loop._ready


def test_work_may_bring_more_work_which_comes_last() -> None:
    loop = new_loop()
    portions, done = Portions(loop), list[int]()
    for number in range(AT_ONCE):
        portions.do(noting(done, number))
    portions.do(lambda: done.append(int(portions.do(noting(done, -1)))))
    for number in range(AT_ONCE, 2 * AT_ONCE):
        portions.do(noting(done, number))
    loop.turn()
    assert done == [*range(AT_ONCE), 0, *range(AT_ONCE, 2 * AT_ONCE - 1)]  # 0: it was put off
    loop.turn()
    assert done == [*range(AT_ONCE), 0, *range(AT_ONCE, 2 * AT_ONCE), -1]


def test_work_that_fails_leaves_the_rest_to_the_next_turn() -> None:
    loop = new_loop()
    portions, done = Portions(loop), list[int]()
    for number in range(AT_ONCE):
        portions.do(noting(done, number))
    portions.do(lambda: done.append(1 // 0))
    portions.do(noting(done, AT_ONCE))
    loop.turn()
    assert [type(error["exception"]) for error in loop.errors] == [ZeroDivisionError]
    assert len(done) == AT_ONCE
    loop.turn()
    assert done == list(range(AT_ONCE + 1))


@pytest.mark.parametrize("turns", [0, 1])
def test_at_the_end_all_that_was_put_off_is_done_once(turns: int) -> None:
    loop = new_loop()
    portions, done = Portions(loop), list[int]()
    for number in range(5 * AT_ONCE):
        portions.do(noting(done, number))
    for _ in range(turns):
        loop.turn()
    portions.finish()
    loop.run()
    assert done == list(range(5 * AT_ONCE))
