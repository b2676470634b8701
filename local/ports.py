"""Choice of the TCP ports that a local stack listens on."""

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from local.processes import StackError

HOST = "127.0.0.1"

_MAX_PORTS_TRIED = 50

_FALLBACK_PORTS = range(20_000, 32_768)
"""Below the ephemeral ports of outgoing connections, which could take a port between its choice and the
moment when its process listens on it."""


@dataclass(frozen=True)
class PortRequest:
    """A request for one port."""

    env_variable: str
    """The environment variable that sets it."""
    default: int
    requested: int | None
    """A number: this port only. 0: any free port. None: the default port, or a free one if it is taken."""


@dataclass(frozen=True)
class Port:
    """A chosen port."""

    number: int
    taken_default: int | None = None
    """The default port, if another process had taken it."""


def choose_ports(requests: Mapping[str, PortRequest]) -> dict[str, Port]:
    """Choose different free ports. Raises ``StackError`` if a requested one is taken, or none is free."""
    held: list[socket.socket] = []
    try:
        chosen: dict[str, Port] = {}
        # Explicitly requested ports go first, so that no fallback takes one of them.
        for name, request in sorted(requests.items(), key=lambda pair: pair[1].requested is None):
            chosen[name] = _reserve_port(name, request, held)
        return {name: chosen[name] for name in requests}
    finally:
        for each in held:
            each.close()


def _reserve_port(name: str, wish: PortRequest, held: list[socket.socket]) -> Port:
    if wish.requested is not None:
        bound = _bind(wish.requested) if wish.requested else _bind_any()
        if bound is None:
            raise StackError(
                f"{wish.env_variable}={wish.requested} is taken by another process; "
                f"stop that process, choose another port, or unset {wish.env_variable} to let Waypost choose"
            )
        held.append(bound)
        return Port(bound.getsockname()[1])
    nearby = map(_bind, range(wish.default, wish.default + _MAX_PORTS_TRIED))
    if (bound := next(filter(None, nearby), None) or _bind_any()) is not None:
        held.append(bound)
        number: int = bound.getsockname()[1]
        return Port(number, taken_default=None if number == wish.default else wish.default)
    raise StackError(f"no free port for {name}: set {wish.env_variable} to one that is free")


def _bind_any() -> socket.socket | None:
    quiet = map(_bind, random.sample(_FALLBACK_PORTS, _MAX_PORTS_TRIED))
    return next(filter(None, quiet), None) or _bind(0)


def _bind(number: int) -> socket.socket | None:
    """Return a socket that listens on the port (0: any), or None if the port is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Connections of an earlier stack may be in TIME_WAIT; only a listening socket makes a port taken.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, number))
        bound.listen(1)  # without it, SO_REUSEADDR lets another socket bind the same port
    except OSError:
        bound.close()
        return None
    return bound
