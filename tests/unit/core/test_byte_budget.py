"""The budget of bytes held."""

import pytest

from priolb.core.byte_budget import ByteBudget


def test_bytes_are_held_up_to_the_limit_and_not_one_more() -> None:
    budget = ByteBudget(100)
    assert [budget.take(60), budget.take(40), budget.take(1)] == [True, True, False]
    assert budget.held_bytes == 100


def test_what_is_refused_takes_nothing() -> None:
    budget = ByteBudget(100)
    assert budget.take(101) is False
    assert budget.held_bytes == 0
    assert budget.take(100) is True


def test_nothing_can_be_taken_even_from_a_full_budget() -> None:
    budget = ByteBudget(10)
    assert [budget.take(10), budget.take(0)] == [True, True]
    assert budget.held_bytes == 10


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = ByteBudget(10)
    assert budget.take(10) is True
    budget.give_back(4)
    assert budget.held_bytes == 6
    assert [budget.take(5), budget.take(4)] == [False, True]


def test_asking_for_room_takes_nothing() -> None:
    budget = ByteBudget(10)
    assert budget.take(4) is True
    assert [budget.has_room(6), budget.has_room(7), budget.has_room(0)] == [True, False, True]
    assert budget.held_bytes == 4


def test_more_than_was_taken_cannot_be_given_back() -> None:
    budget = ByteBudget(10)
    assert budget.take(3) is True
    with pytest.raises(AssertionError):
        budget.give_back(4)
