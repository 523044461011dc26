"""Chance that a test decides."""


class Fixed:
    """Chance that always falls in the same place."""

    def __init__(self, number: float) -> None:
        self._number = number

    def random(self) -> float:
        return self._number
