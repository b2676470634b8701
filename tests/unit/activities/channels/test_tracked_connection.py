"""A request that was given up, or that is late, never sends its first byte."""

import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from activities.channels.http import NotConnected, TrackedConnection


@pytest.fixture
def connection() -> Iterator[HTTPConnection]:
    ours, theirs = socket.socketpair()
    made = HTTPConnection("shop.example.com")
    made.sock = ours
    with ours, theirs:
        yield made


def test_a_request_given_up_while_it_connects_never_begins(connection: HTTPConnection) -> None:
    wire = TrackedConnection(timeout=5, connect_timeout=5)

    with pytest.raises(NotConnected, match="time ran out"), wire.connecting(connection):
        wire.abort()

    assert not wire.request_started
    assert connection.sock is None, "closed, so nothing can be written to it"


def test_a_connection_that_is_made_too_late_is_not_used(connection: HTTPConnection) -> None:
    wire = TrackedConnection(timeout=5, connect_timeout=0.02)

    with pytest.raises(NotConnected, match="time ran out"), wire.connecting(connection):
        time.sleep(0.03)

    assert not wire.request_started


def test_a_request_given_up_before_it_connects_does_not_try(connection: HTTPConnection) -> None:
    wire = TrackedConnection(timeout=5, connect_timeout=5)
    wire.abort()

    with pytest.raises(NotConnected), wire.connecting(connection):
        pytest.fail("it tried to connect")


def test_a_request_that_began_is_cut_off_and_counts_as_begun(connection: HTTPConnection) -> None:
    wire = TrackedConnection(timeout=5, connect_timeout=5)
    with wire.connecting(connection):
        pass

    wire.abort()

    assert wire.request_started
    assert connection.sock.recv(1) == b""


def test_time_to_connect_counts_down_from_the_start(connection: HTTPConnection) -> None:
    wire = TrackedConnection(timeout=5, connect_timeout=2)

    with wire.connecting(connection):
        assert connection.timeout == pytest.approx(2, abs=0.5)

    assert connection.sock.gettimeout() == 5
