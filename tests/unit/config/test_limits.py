"""From `[[limit]]` to what holds requests against it."""

import resource
from pathlib import Path

import pytest

from priolb.config.limits import limit_in_words, limiter_of
from priolb.config.settings import Settings
from priolb.config.tables import LimitSpec
from priolb.core.limits.costs import Calls
from priolb.core.limits.limiter import Excess, Grant, Limiter
from priolb.core.queueing.classify import LANE_NAMES
from priolb.errors import ConfigError, ConfigFileError
from support.configuration import settings_of
from support.senders import ASender

HOME = "192.0.2.7"
PAGE = Path(__file__).parents[3] / "docs" / "limits.md"
KEYS = "".join(f'[[key]]\nname = "builder-{number}"\nsha256 = "{str(number) * 64}"\n' for number in (1, 2))
FULL = """\
[[limit]]
name = "per-key"
by = "key"
only = ["builder-1", "builder-2"]
rate = 10
per = 60
burst = 30
cost = { eth_call = 5, "debug_*" = 20, net_version = 0 }
dry_run = true
"""


def limiter(text: str) -> Limiter:
    made = limiter_of(settings_of(text))
    assert made is not None
    return made


def ask(limiter: Limiter, address: str = HOME, lane: str = "low-priority", *methods: bytes) -> Grant | Excess:
    return limiter.admit(ASender(address), LANE_NAMES.index(lane), Calls(methods or (b"POST",)), 100.0)


def passed(limiter: Limiter, *addresses: str) -> list[bool]:
    return [isinstance(ask(limiter, address), Grant) for address in addresses]


def test_without_limits_nothing_is_held_against_them() -> None:
    assert limiter_of(Settings()) is None


def test_every_key_is_read() -> None:
    assert settings_of(KEYS + FULL).policy.limits == (
        LimitSpec(
            name="per-key",
            by="key",
            only=("builder-1", "builder-2"),
            rate=10,
            per_s=60,
            burst=30,
            costs=(("eth_call", 5), ("debug_*", 20), ("net_version", 0)),
            is_dry_run=True,
        ),
    )


def test_a_limit_is_by_address_for_a_second_and_its_burst_is_its_rate() -> None:
    made = limiter('[[limit]]\nname = "api"\nrate = 2')
    assert passed(made, HOME, HOME, HOME, "192.0.2.8") == [True, True, False, True]
    excess = ask(made)
    assert isinstance(excess, Excess) and excess.worst.wait_ns == 500_000_000
    assert excess.worst.rule.policy == b'"api";q=2;w=1'


def test_the_time_and_the_burst_count() -> None:
    made = limiter('[[limit]]\nname = "api"\nrate = 2\nper = 60\nburst = 3')
    assert passed(made, *[HOME] * 4) == [True, True, True, False]
    excess = ask(made)
    assert isinstance(excess, Excess) and excess.worst.wait_ns == 30_000_000_000
    assert excess.worst.rule.policy == b'"api";q=3;w=90'


def test_requests_at_a_time() -> None:
    made = limiter('[[limit]]\nname = "slots"\nconcurrent = 1')
    grant = ask(made)
    assert isinstance(grant, Grant)
    assert passed(made, HOME) == [False]
    grant.end()
    assert passed(made, HOME) == [True]
    assert grant.counts[0].rule.policy == b'"slots";q=1;qu="concurrent-requests"'


def test_prefixes_say_what_one_network_is() -> None:
    made = limiter('[[limit]]\nname = "api"\nrate = 1\nprefix_v4 = 24\nprefix_v6 = 48')
    addresses = (HOME, "192.0.2.8", "2001:db8::1", "2001:db8:0:7::1", "2001:db8:7::1")
    assert passed(made, *addresses) == [True, False, True, False, True]


def test_without_prefixes_a_network_is_an_address_and_64_bits_of_ipv6() -> None:
    made = limiter('[[limit]]\nname = "api"\nrate = 1')
    addresses = (HOME, "192.0.2.8", "2001:db8::1", "2001:db8:0:7::1", "2001:db8::2")
    assert passed(made, *addresses) == [True, True, True, True, False]


def test_a_limit_of_some_lanes_costs_and_dry_run() -> None:
    made = limiter(
        '[[limit]]\nname = "slow"\nby = "lane"\nonly = "low-priority"\nrate = 9\ncost = { eth_call = 9 }\n'
        '[[limit]]\nname = "dry"\nrate = 1\ndry_run = true'
    )
    assert isinstance(ask(made, HOME, "low-priority", b"eth_call"), Grant)
    assert isinstance(ask(made, HOME, "low-priority", b"POST"), Excess)
    assert isinstance(ask(made, HOME, "fast-track", b"eth_call"), Grant)
    assert [rule.limit.refused for rule in made.rules] == [1, 2]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", ["f:2: [[limit]] name: 'a' needs rate or concurrent"]),
        ("rate = 0", ["f:3: [[limit]] rate: '0' is out of range (1 to 1000000000)"]),
        ("rate = -5", ["f:3: [[limit]] rate: '-5' is out of range (1 to 1000000000)"]),
        ("concurrent = 0", ["f:3: [[limit]] concurrent: '0' is out of range (1 to 1000000000)"]),
        (
            "rate = 1\nconcurrent = 2",
            ["f:4: [[limit]] concurrent: is for a limit without rate: take one limit for each"],
        ),
        (
            "concurrent = 2\nper = 1\nburst = 3\ncost = { a = 1 }",
            [
                f"f:{line}: [[limit]] {key}: is for a limit with rate"
                for line, key in ((4, "per"), (5, "burst"), (6, "cost"))
            ],
        ),
        ("rate = 1\nby = 'ip'", ["f:4: [[limit]] by: 'ip' is not one of network, anonymous, key, lane"]),
        ("rate = 1\nonly = 'a'", ["f:4: [[limit]] only: is for by = key or lane"]),
        (
            "rate = 1\nby = 'lane'\nonly = ['fast-trak', 'x']\nprefix_v6 = 48",
            [
                "f:5: [[limit]] only: there is no lane 'fast-trak'; did you mean fast-track?",
                "f:5: [[limit]] only: there is no lane 'x'",
                "f:6: [[limit]] prefix_v6: is for by = network or anonymous",
            ],
        ),
        ("rate = 1\nprefix_v4 = 33", ["f:4: [[limit]] prefix_v4: '33' is out of range (0 to 32)"]),
        (
            "rate = 1\nper = 86400\nburst = 1000",
            ["f:5: [[limit]] burst: takes more than 31622400 seconds at this rate"],
        ),
        (
            "rate = 3\ncost = { eth_call = 3, eth_getLogs = 4 }",
            ["f:4: [[limit]] cost: eth_getLogs = 4 is more than the burst of 3 ever lets pass"],
        ),
        (
            "rate = 3\ncost = { eth_call = -1 }",
            [
                (
                    "f:4: [[limit]] cost: a table is not a table of costs by method "
                    "(like { eth_call = 5, \"debug_*\" = 20 }): see 'eth_call'"
                )
            ],
        ),
        ("rate = 1\nby = 'key'", ["f:4: [[limit]] by: there is no [[key]]"]),
        ("rate = 1\nbrust = 2", ["f:4: [[limit]] brust: is not known; did you mean burst?"]),
    ],
)
def test_every_mistake_is_told_with_its_line(keys: str, expected: list[str]) -> None:
    with pytest.raises(ConfigFileError) as caught:
        settings_of(f"[[limit]]\nname = 'a'\n{keys}")
    assert caught.value.mistakes == expected


def test_two_limits_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ConfigFileError) as caught:
        settings_of("[[limit]]\nname = 'a'\nrate = 1\n[[limit]]\nname = 'a'\nrate = 2")
    assert caught.value.mistakes == ["f:5: [[limit]] name: is the same as in line 2"]


def test_an_unknown_key_is_a_mistake() -> None:
    with pytest.raises(ConfigFileError) as caught:
        settings_of(f"{KEYS}[[limit]]\nname = 'a'\nrate = 1\nby = 'key'\nonly = ['builder-1', 'builder-3']")
    assert caught.value.mistakes == [
        "f:11: [[limit]] only: there is no key 'builder-3'; did you mean builder-2?"
    ]


def test_the_lanes_are_those_of_the_file() -> None:
    lanes = "".join(f"[[lane]]\nname = '{name}'\n" for name in "abc")
    limit = "[[limit]]\nname = 'l'\nrate = 1\nby = 'lane'\nonly = 'b'"
    assert settings_of(lanes + limit).policy.limits[0].only == ("b",)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("rate = 9", "each client network (/32, IPv6 /64) may have 9 requests per second, 9 at once"),
        (
            "rate = 1\nper = 60\nburst = 5\nby = 'anonymous'\nprefix_v6 = 48\ncost = { a = 2, b = 0 }",
            (
                "each client network (/32, IPv6 /48) without an API key may have 1 request per 60 seconds, "
                "5 at once; a counts for 2, b counts for 0"
            ),
        ),
        (
            "concurrent = 4\nby = 'lane'\ndry_run = true",
            "each lane may have 4 requests at a time; dry run, refuses nobody",
        ),
        (
            "rate = 2\nby = 'lane'\nonly = ['fast-track', 'low-priority']",
            "each of the lanes fast-track, low-priority may have 2 requests per second, 2 at once",
        ),
        (
            "concurrent = 1\nby = 'lane'\nonly = 'fast-track'",
            "lane fast-track may have 1 request at a time",
        ),
    ],
)
def test_a_limit_in_words(keys: str, words: str) -> None:
    [limit] = settings_of(f"[[limit]]\nname = 'a'\n{keys}").policy.limits
    assert limit_in_words(limit) == words


def test_the_example_of_the_page_is_a_file_that_can_be_used() -> None:
    example = PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    names = [limit.name for limit in settings_of(example).policy.limits]
    assert names == ["per-address", "at-a-time", "strangers", "slow-lane"]


def test_limits_for_whose_callers_there_is_no_memory_are_refused_by_name() -> None:
    """64 limits could need 2.1 GB, and this process may have 0.5 GB more than it has."""
    text = "".join(f'[[limit]]\nname = "limit-{number}"\nrate = 1\n' for number in range(64))
    settings = settings_of(text)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 29), hard))
    try:
        with pytest.raises(ConfigError, match=r"\] limit-\d+: no memory for its callers: Cannot allocate"):
            limiter_of(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
