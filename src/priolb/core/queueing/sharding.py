"""Shuffle sharding: which few of many queues a tenant may use."""

from __future__ import annotations

from hashlib import blake2b


def hand_of(name: bytes, seed: bytes, deck: int, size: int) -> list[int]:
    """Return `size` different numbers below `deck`, always the same for a name.

    Two tenants may have one queue in common, but hardly ever all: of `deck` 512 and `size` 4, a tenant has
    all of its queues in common with those of 16 others in 2 of 10,000 cases at most. Source: the dealer of
    Kubernetes' API Priority and Fairness. From a hash h it takes `r = h % (deck - i); h //= deck - i` for
    each card i, and counts r among those that are left.

    Args:
        name: the tenant's.
        seed: a secret, so that nobody can look for a name that meets another's queues; up to 64 bytes.
        deck: number of queues.
        size: number of them that a tenant may use; deck ** size is at most 2 ** 60.
    """
    number = int.from_bytes(blake2b(name, digest_size=8, key=seed).digest())
    hand: list[int] = []
    for dealt in range(size):
        number, card = divmod(number, deck - dealt)
        for other in sorted(hand):
            if other <= card:
                card += 1
        hand.append(card)
    return hand
