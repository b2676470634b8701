"""Ports of a local stack: set on purpose they hold, else they give way."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ports import HOST, PortRequest, choose_ports
from local.processes import StackError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody else listens on."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


def test_an_unset_port_is_its_default_when_that_is_free() -> None:
    with socket.create_server((HOST, 0)) as held:
        free = held.getsockname()[1]

    assert choose_ports({"api": PortRequest("API_PORT", free, None)})["api"].number == free


def test_an_unset_port_gives_way_to_another_process_and_says_so(taken: int) -> None:
    port = choose_ports({"api": PortRequest("API_PORT", taken, None)})["api"]

    assert port.taken_default == taken
    assert port.number != taken


def test_a_port_set_on_purpose_and_taken_is_refused_by_name(taken: int) -> None:
    with pytest.raises(StackError, match=f"API_PORT={taken} is taken"):
        choose_ports({"api": PortRequest("API_PORT", 8000, taken)})


def test_no_fallback_takes_a_port_that_was_set_on_purpose(taken: int) -> None:
    with socket.create_server((HOST, 0)) as held:
        wanted = held.getsockname()[1]

    ports = choose_ports(
        {"api": PortRequest("API_PORT", wanted, None), "ui": PortRequest("TEMPORAL_UI_PORT", 8233, wanted)}
    )

    assert ports["ui"].number == wanted
    assert ports["api"].number != wanted


def test_zero_asks_for_any_free_port_and_no_two_are_the_same() -> None:
    ports = choose_ports({str(n): PortRequest("X_PORT", 8000, 0) for n in range(20)})

    assert len({port.number for port in ports.values()}) == 20


def test_any_free_port_is_none_that_an_outgoing_connection_may_take() -> None:
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not outgoing.is_file():
        pytest.skip("only Linux tells which ports its outgoing connections take")
    first, last = map(int, outgoing.read_text().split())

    ports = choose_ports({str(n): PortRequest("X_PORT", 8000, 0) for n in range(20)})

    assert [port.number for port in ports.values() if first <= port.number <= last] == []
