from priolb.http.rate_limit_fields import limit_fields, policy_item, service_item, whole_seconds

S = 1_000_000_000


def test_a_policy_of_a_rate_has_its_quota_and_window() -> None:
    assert policy_item("per-address", 100, 60) == b'"per-address";q=100;w=60'


def test_a_policy_of_requests_at_a_time_has_their_unit() -> None:
    assert policy_item("slots", 4, 0) == b'"slots";q=4;qu="concurrent-requests"'


def test_an_item_says_what_is_left_and_when_that_is_more() -> None:
    assert service_item("per-address", 12, 2 * S) == b'"per-address";r=12;t=2'
    assert service_item("slots", 0, 0) == b'"slots";r=0'


def test_seconds_are_rounded_up() -> None:
    assert [whole_seconds(time_ns) for time_ns in (0, 1, S, S + 1)] == [0, 1, 1, 2]


def test_items_are_the_members_of_two_fields() -> None:
    assert limit_fields([b'"a";q=1;w=1', b'"b";q=2;w=2'], [b'"a";r=0;t=1', b'"b";r=1;t=1']) == (
        b'RateLimit-Policy: "a";q=1;w=1, "b";q=2;w=2\r\nRateLimit: "a";r=0;t=1, "b";r=1;t=1\r\n'
    )
    assert limit_fields([], []) == b""
