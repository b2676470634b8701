"""Budgets of unverified senders: how much, when again, and that many addresses cost no memory."""

import pytest

from api.http import budgets
from api.http.budgets import (
    BURST_S,
    BYTES_PER_EVENT,
    MAX_ADDRESSES,
    REPLAYED_PER_EVENT,
    OverBudget,
    SenderBudgets,
    address_group,
)
from api.http.keys import ApiKey, Role

WRITE = ApiKey.parse("shop:w", Role.WRITE)
OTHER = ApiKey.parse("app:v", Role.WRITE)
SERVER = ApiKey.parse("till:s", Role.SERVER)
ADMIN = ApiKey.parse("a", Role.ADMIN)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock, *, address: float = 10, key: float = 50) -> SenderBudgets:
    return SenderBudgets(address_events_per_s=address, key_events_per_s=key, clock=clock)


def send(
    senders: SenderBudgets, events: int = 1, *, key: ApiKey | None = WRITE, address: str = "1.1.1.1"
) -> None:
    """A request of so many events, of 100 bytes each."""
    budget = senders.for_request(key, address)
    budget.reserve(events * 100)
    budget.settle_body(events * 100)
    budget.charge_events(events)


def refused(senders: SenderBudgets, **more: object) -> OverBudget:
    """The refusal of one event."""
    with pytest.raises(OverBudget) as error:
        send(senders, **more)  # type: ignore[arg-type]
    return error.value


def test_an_address_may_send_a_burst_and_then_its_rate(clock: Clock) -> None:
    senders = opened(clock)
    for _ in range(int(10 * BURST_S)):
        send(senders)
    first = refused(senders)
    clock.now += 0.1
    send(senders)

    assert (first.reason, first.retry_after_s) == ("address_events", 1)
    assert refused(senders).reason == "address_events"


@pytest.mark.parametrize("events", [1000, 250, 201])
def test_retry_after_is_when_the_same_is_taken_and_not_earlier(clock: Clock, events: int) -> None:
    senders = opened(clock)
    send(senders, events)
    wait = refused(senders).retry_after_s
    clock.now += wait - 1
    refused(senders)
    clock.now += 1
    send(senders)

    # A debt of all events beyond the burst, and the next event.
    assert wait == max(1, -(-(events - 10 * BURST_S + 1) // 10))


def test_a_debt_of_one_request_stops_those_that_are_read_already(clock: Clock) -> None:
    senders = opened(clock)
    first, second = senders.for_request(WRITE, "1.1.1.1"), senders.for_request(WRITE, "1.1.1.1")
    first.reserve(100)
    second.reserve(100)
    first.charge_events(1000)

    with pytest.raises(OverBudget):
        second.settle_body(100)


def test_a_body_is_charged_by_its_size_after_gzip(clock: Clock) -> None:
    senders = opened(clock)
    burst = int(10 * BURST_S * BYTES_PER_EVENT)
    budget = senders.for_request(WRITE, "1.1.1.1")
    budget.reserve(1000)
    budget.settle_body(burst)
    with pytest.raises(OverBudget) as error:
        senders.for_request(WRITE, "1.1.1.1").reserve(BYTES_PER_EVENT * 30)

    assert (error.value.reason, error.value.retry_after_s) == ("address_bytes", 3)


def test_a_body_of_unknown_size_gives_back_what_it_does_not_use(clock: Clock) -> None:
    senders = opened(clock)
    for _ in range(100):
        budget = senders.for_request(WRITE, "1.1.1.1")
        budget.reserve(400_000)
        budget.settle_body(100)

    assert refused_bytes(senders, 10 * int(BURST_S) * BYTES_PER_EVENT)


def refused_bytes(senders: SenderBudgets, size: int) -> bool:
    """Whether a body of that size is over the budget."""
    try:
        senders.for_request(WRITE, "1.1.1.1").reserve(size)
    except OverBudget:
        return True
    return False


def test_a_body_larger_than_the_burst_is_taken_by_a_full_bucket(clock: Clock) -> None:
    send(opened(clock, address=0.5, key=0.5), 1)
    senders = opened(clock, address=0.5)

    assert not refused_bytes(senders, 1024 * 1024)
    assert refused_bytes(senders, 1)


def test_many_addresses_share_the_budget_of_their_key(clock: Clock) -> None:
    senders = opened(clock)
    for number in range(int(50 * BURST_S)):
        send(senders, address=f"1.1.{number % 256}.{number // 256}")

    assert refused(senders, address="9.9.9.9").reason == "key_events"
    send(senders, key=OTHER, address="9.9.9.9")


def test_one_address_does_not_use_up_what_others_send(clock: Clock) -> None:
    senders = opened(clock)
    send(senders, 250)
    refused(senders)

    send(senders, address="2.2.2.2")


@pytest.mark.parametrize("key", [SERVER, ADMIN])
def test_keys_of_trusted_senders_have_no_budget(clock: Clock, key: ApiKey) -> None:
    senders = opened(clock)
    for _ in range(20):
        send(senders, 1000, key=key)

    assert len(senders) == 0


def test_requests_without_a_key_in_their_headers_have_a_budget_too(clock: Clock) -> None:
    senders = opened(clock)
    send(senders, 250, key=None)

    assert refused(senders, key=None).reason == "address_events"


def test_a_rate_of_zero_sets_no_limit(clock: Clock) -> None:
    senders = opened(clock, address=0, key=0)
    for _ in range(100):
        send(senders, 1000)


def test_any_number_of_addresses_takes_bounded_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "MAX_ADDRESSES", 100)
    senders = opened(clock)
    for number in range(1000):
        senders.for_request(WRITE, f"10.0.{number // 256}.{number % 256}")

    assert MAX_ADDRESSES == 20_000
    assert len(senders) == 101


def test_an_address_in_use_is_not_forgotten_for_others(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "MAX_ADDRESSES", 100)
    senders = opened(clock)
    send(senders, 250)
    for number in range(1000):
        senders.for_request(WRITE, f"10.0.{number // 256}.{number % 256}")
        refused(senders)


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("", ""),
        ("a:b", "a:b"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_a_network_of_ipv6_is_one_client(address: str, group: str) -> None:
    assert group == address_group(address)


def test_late_events_are_paid_for_by_what_was_applied_again(clock: Clock) -> None:
    senders = opened(clock)
    budget = senders.for_request(WRITE, "1.1.1.1")
    budget.reserve(100)
    budget.settle_body(100)
    budget.charge_events(1)
    budget.charge_replay(int(10 * BURST_S) * REPLAYED_PER_EVENT)

    assert refused(senders).reason == "address_events"
