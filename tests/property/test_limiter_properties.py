"""Several limits at once against naive buckets: a request counts in all that concern it, or in none."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from priolb.core.limits.costs import Calls, Costs
from priolb.core.limits.limiter import BY_ANONYMOUS, BY_KEY, BY_LANE, BY_NETWORK, Grant, Limiter, LimitRule
from priolb.core.limits.rate_limits import ConcurrencyLimit, RateLimit
from support.senders import ASender

S = 1_000_000_000


@dataclass(frozen=True)
class Spec:
    """A limit as its naive model sees it; at a time when there is no rate."""

    by: int
    only: frozenset[bytes]
    units: int
    most: int
    costs: bool
    is_dry: bool


@dataclass(frozen=True)
class Ask:
    """A request, or the end of the n-th oldest under way."""

    pause_s: int
    address: str
    key: bytes
    lane: bytes
    methods: tuple[bytes, ...]
    ends: int | None


LANES = (b"low", b"high")
COSTS = {b"eth_call": 3, b"net_version": 0}

SPECS = st.lists(
    st.builds(
        Spec,
        by=st.sampled_from([BY_NETWORK, BY_ANONYMOUS, BY_KEY, BY_LANE]),
        only=st.sampled_from([frozenset[bytes](), frozenset({b"a", b"low"})]),
        units=st.sampled_from([0, 1, 2, 5]),
        most=st.integers(1, 6),
        costs=st.booleans(),
        is_dry=st.booleans(),
    ),
    max_size=4,
)
ASKS = st.lists(
    st.builds(
        Ask,
        pause_s=st.integers(0, 2),
        address=st.sampled_from(["192.0.2.7", "2001:db8::1", "2001:db8::2"]),
        key=st.sampled_from([b"", b"a", b"b"]),
        lane=st.sampled_from([b"low", b"high"]),
        methods=st.lists(st.sampled_from([b"eth_call", b"net_version", b"x"]), min_size=1, max_size=3).map(
            tuple
        ),
        ends=st.one_of(st.none(), st.integers(0, 3)),
    ),
    max_size=50,
)


class Naive:
    """One limit, with everything kept."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._tokens: dict[bytes, tuple[Fraction, int]] = {}
        self._running: Counter[bytes] = Counter()

    def whose(self, ask: Ask) -> bytes:
        spec = self.spec
        network = {"192.0.2.7": b"v4"}.get(ask.address, b"v6")
        if spec.by == BY_NETWORK:
            return network
        if spec.by == BY_ANONYMOUS:
            return b"" if ask.key else network
        name = ask.key if spec.by == BY_KEY else ask.lane
        return name if name in spec.only or not spec.only else b""

    def cost(self, ask: Ask) -> int:
        if not (self.spec.costs and self.spec.units):
            return 1
        return sum(COSTS.get(method, 1) for method in ask.methods)

    def has_room(self, who: bytes, cost: int, now_s: int) -> bool:
        if not self.spec.units:
            return self._running[who] < self.spec.most
        return self._tokens_of(who, now_s) >= cost

    def count(self, who: bytes, cost: int, now_s: int) -> None:
        if self.spec.units:
            self._tokens[who] = (self._tokens_of(who, now_s) - cost, now_s)
        else:
            self._running[who] += 1

    def end(self, who: bytes) -> None:
        if not self.spec.units:
            self._running[who] -= 1

    def _tokens_of(self, who: bytes, now_s: int) -> Fraction:
        tokens, at_s = self._tokens.get(who, (Fraction(self.spec.most), now_s))
        return min(Fraction(self.spec.most), tokens + (now_s - at_s) * self.spec.units)


def rule_of(spec: Spec) -> LimitRule:
    if spec.units:
        limit: RateLimit | ConcurrencyLimit = RateLimit("l", spec.units, 1, spec.most)
    else:
        limit = ConcurrencyLimit("l", spec.most)
    costs = (
        Costs({name.decode(): cost for name, cost in COSTS.items()}) if spec.costs and spec.units else None
    )
    return LimitRule(limit, spec.by, spec.only, 32, 64, costs, spec.is_dry, b"")


@given(SPECS, ASKS)
def test_a_request_counts_in_all_limits_that_concern_it_or_in_none(
    specs: list[Spec], asks: list[Ask]
) -> None:
    limiter = Limiter([rule_of(spec) for spec in specs], ["low", "high"])
    models = [Naive(spec) for spec in specs]
    running: list[tuple[Grant, list[tuple[Naive, bytes]]]] = []
    now_s = 1
    for ask in asks:
        now_s += ask.pause_s
        sender = ASender(ask.address, ask.key)
        if ask.ends is not None and ask.ends < len(running):
            grant, held = running.pop(ask.ends)
            grant.end()
            for model, who in held:
                model.end(who)
        concerned = [(model, model.whose(ask), model.cost(ask)) for model in models if model.whose(ask)]
        full = [model for model, who, cost in concerned if not model.has_room(who, cost, now_s)]
        least = [
            (model, who, 0 if model.spec.costs and model.spec.units else 1)
            for model, who, _ in concerned
            if model.spec.by != BY_LANE and not model.spec.is_dry
        ]
        is_hopeless = any(not model.has_room(who, cost, now_s) for model, who, cost in least)
        assert (limiter.refuses(sender, float(now_s)) is not None) is is_hopeless
        answer = limiter.admit(sender, LANES.index(ask.lane), Calls(ask.methods), float(now_s))
        assert isinstance(answer, Grant) is all(model.spec.is_dry for model in full)
        if isinstance(answer, Grant):
            held = []
            for model, who, cost in concerned:
                if model not in full:
                    model.count(who, cost, now_s)
                    held.append((model, who))
            running.append((answer, held))
