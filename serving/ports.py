"""The ports of the server: reserved before anything is loaded, so that one that is taken is told of at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.access import key_or_insecure
from staytrue.listening import listen, reserve_shared

if TYPE_CHECKING:
    import socket

    from staytrue.server import ServingSection


@dataclass(frozen=True)
class Ports:
    """Bound sockets, not listening yet."""

    rest: socket.socket
    grpc: socket.socket | None = None
    admin: socket.socket | None = None
    tells: bool = True
    """Whether this process says where it listens: one of several does."""
    pulse: int | None = None
    """A pipe to who watches this process: a byte each second, once it listens."""


def reserve(settings: ServingSection) -> Ports:
    """Bind what the settings name.

    Raises:
        InvalidConfig: an address is taken or none of this machine, or others can reach it and nobody needs a key.
    """
    key_or_insecure(settings.host, keys=settings.keys, insecure=settings.insecure)
    shared = settings.workers > 1

    def bound(port: int, flag: str) -> socket.socket:
        if shared:
            return reserve_shared(settings.host, port, flag=flag)
        return listen(settings.host, port, insecure=True, flag=flag)

    return Ports(
        rest=bound(settings.port, "--port"),
        grpc=None if settings.grpc_port is None else bound(settings.grpc_port, "--grpc-port"),
        admin=None if settings.admin_port is None else bound(settings.admin_port, "--admin-port"),
    )


def again(ports: Ports, *, tells: bool, pulse: int | None = None) -> Ports:
    """The same ports for another process: it has queues of its own there, and the kernel shares callers out."""

    def once_more(bound: socket.socket | None) -> socket.socket | None:
        if bound is None:
            return None
        host, port = bound.getsockname()[:2]
        return listen(host, port, insecure=True, shared=True)

    rest = once_more(ports.rest)
    assert rest is not None  # noqa: S101 - a server always has it
    admin = ports.admin if tells else None
    return Ports(rest=rest, grpc=once_more(ports.grpc), admin=admin, tells=tells, pulse=pulse)
