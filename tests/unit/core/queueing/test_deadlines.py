"""The heap of deadlines: who counts, and what is thrown away."""

from priolb.core.queueing import deadlines
from priolb.core.queueing.lanes import Fifo
from priolb.core.ticket import Ticket


def in_line(line: Fifo, sequence: int, start_by: float) -> Ticket:
    each = Ticket(0, 0.0, start_by)
    each.sequence = sequence
    line.append(each)
    return each


def test_the_earliest_is_first_and_of_equals_the_oldest() -> None:
    line, entries = Fifo(), list[deadlines.Entry]()
    tickets = [
        in_line(line, number, start_by) for number, start_by in ((3, 9.0), (2, 7.0), (1, 9.0), (4, 7.0))
    ]
    for each in tickets:
        deadlines.add(entries, each, line, 4)
    found = []
    while (first := deadlines.first(entries, line)) is not None:
        line.remove(first)
        found.append(first.sequence)
    assert found == [2, 4, 1, 3]
    assert entries == []


def test_a_ticket_in_another_line_counts_only_where_any_line_does() -> None:
    line, other, entries = Fifo(), Fifo(), list[deadlines.Entry]()
    each = in_line(other, 1, 7.0)
    deadlines.add(entries, each, line, 1)
    assert deadlines.first(entries, None) is each
    assert deadlines.first(entries, line) is None
    assert entries == []  # it has been looked at, and thrown away


def test_what_has_left_is_thrown_away_together_when_it_is_the_most() -> None:
    line, entries = Fifo(), list[deadlines.Entry]()
    stays = in_line(line, 0, 99.0)
    deadlines.add(entries, stays, line, 1)
    for number in range(1, 18):  # 2 * 1 who may wait, and 16
        each = in_line(line, number, 50.0)
        deadlines.add(entries, each, line, 2)
        line.remove(each)
    assert len(entries) == 18
    last = in_line(line, 20, 50.0)
    deadlines.add(entries, last, line, 1)
    assert sorted(entry[1] for entry in entries) == [0, 20]
    assert deadlines.first(entries, line) is last


def test_who_came_back_is_there_once_after_that() -> None:
    line, entries = Fifo(), list[deadlines.Entry]()
    each = in_line(line, 1, 7.0)
    for _ in range(19):
        deadlines.add(entries, each, line, 1)
    assert entries == [(7.0, 1, each)]
