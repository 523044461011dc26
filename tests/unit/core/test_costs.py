from priolb.core.costs import Costs

COSTS = Costs({"eth_call": 5, "debug_*": 20, "debug_trace*": 50, "GET": 0})


def test_a_method_costs_what_its_name_says() -> None:
    assert [COSTS.of([name], is_all=True) for name in (b"eth_call", b"GET")] == [5, 0]


def test_a_method_that_nothing_fits_costs_one() -> None:
    assert [COSTS.of([name], is_all=True) for name in (b"eth_callBundle", b"debug", b"POST", b"")] == [1] * 4


def test_of_the_starts_that_fit_the_longest_counts() -> None:
    assert COSTS.of([b"debug_traceCall"], is_all=True) == 50
    assert COSTS.of([b"debug_"], is_all=True) == 20


def test_a_name_counts_before_any_start() -> None:
    assert Costs({"eth_*": 9, "eth_call": 2}).of([b"eth_call"], is_all=True) == 2


def test_a_lone_star_is_for_all_others() -> None:
    costs = Costs({"*": 3, "eth_call": 1})
    assert costs.of([b"eth_call", b"net_version", b"POST"], is_all=True) == 7


def test_a_batch_costs_what_its_members_cost() -> None:
    assert COSTS.of([b"eth_call", b"debug_traceCall", b"net_version"], is_all=True) == 56


def test_what_nobody_has_read_costs_as_much_as_the_dearest_method() -> None:
    assert COSTS.of([], is_all=False) == 50
    assert COSTS.of([b"eth_call"], is_all=False) == 55
    assert Costs({"net_version": 0}).of([], is_all=False) == 1


def test_the_least_is_that_of_the_cheapest_method_or_of_one_that_nothing_fits() -> None:
    assert (COSTS.least, Costs({"eth_call": 5}).least) == (0, 1)
