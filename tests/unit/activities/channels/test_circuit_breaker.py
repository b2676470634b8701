"""The breaker of a channel: it opens after failures in a row, and one message tries the provider again."""

from datetime import timedelta

from activities.channels.circuit_breaker import CircuitBreaker, CircuitBreakers
from policy.limits import BreakerRule
from policy.verdict import Channel

S = timedelta(seconds=1)

RULE = BreakerRule(failures=3, first=30 * S, longest=100 * S)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def made(failures: int = 0) -> tuple[CircuitBreaker, Clock]:
    clock = Clock()
    breaker = CircuitBreaker(RULE, clock=clock)
    for _ in range(failures):
        breaker.record_failure()
    return breaker, clock


def asked(breaker: CircuitBreaker) -> timedelta | None:
    with breaker.attempt() as wait:
        return wait


def test_fewer_failures_than_the_rule_says_open_nothing() -> None:
    breaker, _ = made(failures=2)

    assert asked(breaker) is None


def test_failures_in_a_row_open_it_and_an_answer_between_them_does_not() -> None:
    opened, _ = made(failures=3)
    answered, _ = made(failures=2)
    answered.record_success()
    answered.record_failure()

    assert asked(opened) == 30 * S
    assert asked(answered) is None


def test_after_the_rest_one_probe_is_let_through_and_the_others_wait() -> None:
    breaker, clock = made(failures=3)
    clock.now += 30
    with breaker.attempt() as probe, breaker.attempt() as other:
        waits = (probe, other)

    assert waits == (None, 30 * S)


def test_a_probe_that_did_not_call_leaves_its_place_to_the_next() -> None:
    breaker, clock = made(failures=3)
    clock.now += 30

    assert (asked(breaker), asked(breaker)) == (None, None)


def test_a_probe_that_fails_doubles_the_rest_up_to_the_longest() -> None:
    breaker, clock = made(failures=3)
    rests = []
    for _ in range(3):
        clock.now += 1_000
        with breaker.attempt() as wait:
            assert wait is None
            breaker.record_failure()
        rests.append(asked(breaker))

    assert rests == [60 * S, 100 * S, 100 * S]


def test_an_answer_closes_it_and_the_next_rest_is_a_first_one() -> None:
    breaker, clock = made(failures=3)
    clock.now += 30
    with breaker.attempt():
        breaker.record_failure()
    breaker.record_success()
    closed = asked(breaker)
    for _ in range(3):
        breaker.record_failure()

    assert (closed, asked(breaker)) == (None, 30 * S)


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_the_rest() -> None:
    breaker, clock = made(failures=3)
    clock.now += 10
    for _ in range(16):
        breaker.record_failure()

    assert asked(breaker) == 20 * S


def test_it_rests_as_long_as_the_provider_asked_for() -> None:
    breaker, _ = made(failures=2)
    breaker.record_failure(retry_after=45 * S)

    assert asked(breaker) == 45 * S


def test_one_channel_does_not_close_another() -> None:
    breakers = CircuitBreakers(BreakerRule(failures=1))
    breakers[Channel.SMS].record_failure()

    assert asked(breakers[Channel.SMS]) is not None
    assert asked(breakers[Channel.EMAIL]) is None
