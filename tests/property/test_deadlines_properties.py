"""The heap of deadlines against a list that is sorted."""

from hypothesis import given
from hypothesis import strategies as st

from priolb.core.queueing.deadlines import Deadlines
from priolb.core.ticket import Ticket

# A deadline for one that comes, or which one of those there are leaves.
Step = float | int
STEPS = st.lists(st.one_of(st.sampled_from([1.0, 2.0, 3.0, 5.0, 8.0]), st.integers(0, 1000)), max_size=200)


def key(ticket: Ticket) -> tuple[float, int]:
    return ticket.start_by, ticket.sequence


@given(STEPS)
def test_the_first_is_always_the_first_of_all(steps: list[Step]) -> None:
    deadlines, there = Deadlines(), list[Ticket]()
    for number, step in enumerate(steps):
        if isinstance(step, float):
            ticket = Ticket(0, 0.0, step)
            ticket.sequence = number * 7 % 200  # in no order
            deadlines.add(ticket)
            there.append(ticket)
        elif there:
            deadlines.remove(there.pop(step % len(there)))
        assert deadlines.first() is min(there, key=key, default=None)
        assert len(deadlines) == len(there)
