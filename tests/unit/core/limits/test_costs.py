from priolb.core.limits.costs import Calls, Costs

COSTS = Costs({"eth_call": 5, "debug_*": 20, "debug_trace*": 50, "GET": 0})


def test_a_method_costs_what_its_name_says() -> None:
    assert [COSTS.of(Calls([name])) for name in (b"eth_call", b"GET")] == [5, 0]


def test_a_method_that_nothing_fits_costs_one() -> None:
    assert [COSTS.of(Calls([name])) for name in (b"eth_callBundle", b"debug", b"POST", b"")] == [1] * 4


def test_of_the_starts_that_fit_the_longest_counts() -> None:
    assert COSTS.of(Calls([b"debug_traceCall"])) == 50
    assert COSTS.of(Calls([b"debug_"])) == 20


def test_a_name_counts_before_any_start() -> None:
    assert Costs({"eth_*": 9, "eth_call": 2}).of(Calls([b"eth_call"])) == 2


def test_a_lone_star_is_for_all_others() -> None:
    costs = Costs({"*": 3, "eth_call": 1})
    assert costs.of(Calls([b"eth_call", b"net_version", b"POST"])) == 7


def test_a_batch_costs_what_its_members_cost() -> None:
    assert COSTS.of(Calls([b"eth_call", b"debug_traceCall", b"net_version"])) == 56


def test_what_nobody_has_read_costs_as_much_as_the_dearest_method() -> None:
    assert COSTS.of(Calls([], is_all=False)) == 50
    assert COSTS.of(Calls([b"eth_call"], is_all=False)) == 55
    assert Costs({"net_version": 0}).of(Calls([], is_all=False)) == 1


def test_the_least_is_that_of_the_cheapest_method_or_of_one_that_nothing_fits() -> None:
    assert (COSTS.least, Costs({"eth_call": 5}).least) == (0, 1)


def test_of_what_is_longer_than_was_read_the_rest_costs_as_much_again() -> None:
    assert COSTS.of(Calls([b"eth_call", b"net_version"], times=3)) == 18
    assert COSTS.of(Calls([], is_all=False, times=2)) == 100
