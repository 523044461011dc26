"""Hands of queues."""

from itertools import combinations

from priolb.core.queueing.sharding import hand_of


def test_a_hand_is_the_same_each_time_and_another_for_another_seed() -> None:
    hand = hand_of(b"alice", b"seed", 512, 4)
    assert hand == hand_of(b"alice", b"seed", 512, 4)
    assert hand != hand_of(b"alice", b"tree", 512, 4)
    assert hand != hand_of(b"bob", b"seed", 512, 4)


def test_cards_are_different_and_of_the_deck() -> None:
    for number in range(500):
        hand = hand_of(b"%d" % number, b"seed", 9, 4)
        assert len(set(hand)) == 4
        assert set(hand) <= set(range(9))


def test_a_hand_may_be_the_whole_deck() -> None:
    assert sorted(hand_of(b"alice", b"seed", 4, 4)) == [0, 1, 2, 3]


def test_all_hands_come_up_equally_often() -> None:
    """3 of 5 cards in order: 60 hands, each about 100 times in 6000; 60 is four standard deviations off."""
    counts: dict[tuple[int, ...], int] = {}
    for number in range(6000):
        hand = tuple(hand_of(b"%d" % number, b"seed", 5, 3))
        counts[hand] = counts.get(hand, 0) + 1
    assert len(counts) == 60
    assert all(60 <= count <= 140 for count in counts.values())


def test_of_300_tenants_no_two_have_the_same_hand() -> None:
    hands = [frozenset(hand_of(b"%d" % number, b"seed", 512, 4)) for number in range(300)]
    assert sum(len(one & other) == 4 for one, other in combinations(hands, 2)) == 0
