"""Chance that follows from the input alone, so that an input fails again whenever it is tried again."""

from itertools import pairwise
from random import Random
from zlib import crc32


def chance_of(data: bytes) -> Random:
    return Random(crc32(data))


def parts_of(data: bytes) -> list[bytes]:
    """Return `data` as it may arrive: in a few parts, or byte by byte."""
    chance = chance_of(data)
    if len(data) <= 400 and chance.random() < 0.2:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted({0, len(data), *(chance.randint(0, len(data)) for _ in range(chance.randint(0, 6)))})
    return [data[start:end] for start, end in pairwise(cuts)]
