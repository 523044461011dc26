"""Fuzzes one target: `python -m fuzz.search NAME`, and then what libFuzzer takes."""

import sys
from random import Random

import atheris

from fuzz.mutation import mutated

# Only what is imported here is looked into.
with atheris.instrument_imports(include=["priolb"]):
    from fuzz.targets import TARGETS


def search(name: str, arguments: list[str]) -> None:
    """Go on until libFuzzer's `arguments` say stop, or an input fails; does not return.

    atheris leads the search into code that no input has reached yet. Half of the changes are ours, as single
    bytes seldom make a message.
    """
    check, seeds = TARGETS[name]

    def change(data: bytes, max_bytes: int, seed: int) -> bytes:
        chance = Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, max_bytes))
        return mutated(bytes(data), chance, seeds)[:max_bytes]

    atheris.Setup([sys.argv[0], *arguments], check, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    search(sys.argv[1], sys.argv[2:])
