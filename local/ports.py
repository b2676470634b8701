"""Which TCP ports a local stack listens on."""

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from local.processes import StackError

HOST = "127.0.0.1"

_MAX_PORTS_TRIED = 50

_FALLBACK_PORTS = range(20_000, 32_768)
"""Below those that systems give to outgoing connections: one of these could take a port between the moment
it is chosen and the moment its process listens on it."""


@dataclass(frozen=True)
class PortRequest:
    """One port to be chosen."""

    env_variable: str
    """The environment variable that sets it."""
    default: int
    requested: int | None
    """Set on purpose: this one or none. 0: any free one. None: the default, else a free one."""


@dataclass(frozen=True)
class Port:
    """A chosen port."""

    number: int
    taken_default: int | None = None
    """The default that was taken by somebody else."""


def choose_ports(requests: Mapping[str, PortRequest]) -> dict[str, Port]:
    """Pick a port for each wish, all different, all free on the loopback address at this moment.

    Raises ``StackError`` when a port that was set on purpose is taken.
    """
    held: list[socket.socket] = []
    try:
        chosen: dict[str, Port] = {}
        # Ports set on purpose go first, so that no fallback takes one of them.
        for name, wish in sorted(requests.items(), key=lambda pair: pair[1].requested is None):
            chosen[name] = _reserve_port(name, wish, held)
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
    """A socket that holds the port (0: any), or None when it is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Connections of an earlier stack may linger in TIME_WAIT; only a listener makes a port taken.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, number))
        bound.listen(1)  # else, with the option above, another socket could still bind it
    except OSError:
        bound.close()
        return None
    return bound
