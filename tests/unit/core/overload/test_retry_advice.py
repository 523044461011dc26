"""After how long those should come back who were refused."""

from priolb.core.overload.retry_advice import RetryAdvice
from support.chance import Fixed
from support.steps import lines_run


def refuse(advice: RetryAdvice, times: int, second: int) -> int:
    for _ in range(times):
        told = advice.refuse(0.0, second + 0.5)
    return told


def test_a_single_refusal_is_told_a_second() -> None:
    assert RetryAdvice(Fixed(0.999)).refuse(0.0, 10.0) == 1


def test_the_advice_doubles_while_refusals_go_on_up_to_32_seconds() -> None:
    advice = RetryAdvice(Fixed(0.999))
    told = [refuse(advice, 100, second) for second in range(10, 10 + 64)]
    # 1 s for a second, 2 s for two, 4 s for four ...
    assert told == [1] + [2] * 2 + [4] * 4 + [8] * 8 + [16] * 16 + [32] * 33


def test_after_a_quiet_week_it_takes_no_longer_than_after_minutes() -> None:
    def lines_after(quiet_s: float) -> int:
        advice = RetryAdvice(Fixed(0.999))
        advice.refuse(0.0, 10.0)
        return lines_run(lambda: advice.refuse(0.0, 10.0 + quiet_s))

    assert lines_after(1e6) == lines_after(100.0)


def test_less_than_3_refusals_a_second_do_not_raise_it() -> None:
    advice = RetryAdvice(Fixed(0.999))
    assert [refuse(advice, 2, second) for second in range(10, 40)] == [1] * 30


def test_it_comes_down_a_second_each_second_once_they_have_ended() -> None:
    advice = RetryAdvice(Fixed(0.999))
    for second in range(10, 14):
        refuse(advice, 3 * advice.retry_after_s, second)
    assert (advice.retry_after_s, refuse(advice, 1, 14)) == (4, 4)
    # In the 18th second only one refusal has come in the last 4 seconds, in the 20th one in the last 3.
    assert [refuse(advice, 1, second) for second in (18, 20)] == [3, 1]


def test_after_a_long_time_it_starts_anew() -> None:
    advice = RetryAdvice(Fixed(0.999))
    for second in range(10, 80):
        refuse(advice, 100, second)
    assert advice.retry_after_s == 32
    assert refuse(advice, 1, 79 + 65) == 1
    assert advice.retry_after_s == 1


def test_it_is_never_shorter_than_the_wait_and_never_longer_than_32_seconds() -> None:
    advice = RetryAdvice(Fixed(0.999))
    assert [advice.refuse(wait_s, 10.0) for wait_s in (0.2, 1.0, 4.1, 31.5, 500.0)] == [1, 1, 5, 32, 32]


def test_those_who_are_refused_together_are_spread_over_the_upper_half() -> None:
    told = [RetryAdvice(Fixed(chance)).refuse(8.0, 10.0) for chance in (0.0, 0.19, 0.2, 0.5, 0.99)]
    assert told == [4, 4, 5, 6, 8]
