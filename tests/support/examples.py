"""How many examples the property tests try: a few in every run, and many when somebody has the time."""

import os
from typing import Final

# By how much `make properties` tries more examples than `make test` does.
EFFORT: Final = int(os.environ.get("PRIOLB_EFFORT", "1"))


def examples(count: int) -> int:
    """Return how many examples to try where `count` are enough for every run."""
    return count * EFFORT
