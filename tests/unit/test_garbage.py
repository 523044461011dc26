"""The garbage collector: what it looks through by itself, and when it is asked to look through the rest."""

import gc
from collections.abc import Iterator

import pytest

from priolb.garbage import FEW_BLOCKS, OldGarbage


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """Leave the collector of the test run as it was."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Memory:
    """So much is in use, and so often something has become old."""

    def __init__(self) -> None:
        self.blocks = 100_000
        self.aged = 0
        self.collections = 0

    def collect(self) -> None:
        self.collections += 1
        self.aged = 0


def new_garbage(memory: Memory) -> OldGarbage:
    garbage = OldGarbage(lambda: memory.blocks, memory.collect, lambda: memory.aged)
    memory.collections = 0
    return garbage


def test_what_is_there_at_the_start_is_looked_through_once_and_then_left_out() -> None:
    memory = Memory()
    OldGarbage(lambda: memory.blocks, memory.collect, lambda: memory.aged)
    assert memory.collections == 1
    assert gc.get_freeze_count() > 0


def test_by_itself_the_collector_hardly_ever_looks_through_old_objects() -> None:
    new_garbage(Memory())
    assert gc.get_threshold() == (10_000, 1_000, 10)


@pytest.mark.parametrize("more", [-1, 0, FEW_BLOCKS])
def test_old_objects_are_looked_through_when_they_are_few(more: int) -> None:
    memory = Memory()
    garbage = new_garbage(memory)
    memory.aged, memory.blocks = 1, memory.blocks + more
    assert garbage.collect_if_little() is True
    assert memory.collections == 1


def test_old_objects_are_left_alone_when_they_are_many() -> None:
    memory = Memory()
    garbage = new_garbage(memory)
    memory.aged, memory.blocks = 100, memory.blocks + FEW_BLOCKS + 1
    assert garbage.collect_if_little() is False
    memory.blocks -= 1
    assert garbage.collect_if_little() is True
    assert memory.collections == 1


def test_when_nothing_has_become_old_nothing_is_looked_through() -> None:
    memory = Memory()
    garbage = new_garbage(memory)
    assert garbage.collect_if_little() is False
    assert memory.collections == 0


class Circle:
    """An object that holds itself."""

    def __init__(self) -> None:
        self.me = self


def test_a_circle_that_has_become_old_is_freed_by_the_real_collector() -> None:
    garbage = OldGarbage()
    circle = Circle()
    gc.collect(0)  # now it is old
    assert gc.get_count()[1] + gc.get_count()[2] > 0
    was_there = sum(type(each) is Circle for each in gc.get_objects())
    del circle
    assert garbage.collect_if_little() is True
    assert (was_there, sum(type(each) is Circle for each in gc.get_objects())) == (1, 0)
