"""Where a process listens, and how it is told to end: the same for server and sidecar."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

REACHES_ONE = "reaches one process: models cannot be loaded by hand with several workers"
"""Why there is neither an admin port nor loading over gRPC beside several workers."""


def listen(host: str, port: int, *, insecure: bool, flag: str = "--port", shared: bool = False) -> socket.socket:
    """A bound TCP socket. Loopback by default: other addresses need a deliberate word. ``flag`` sets the port.

    A ``shared`` one may be bound by other processes of this user too; the kernel shares callers out among them.

    Raises:
        InvalidConfig: the address is not loopback and ``insecure`` is not set, is taken, or is none of this machine.
    """
    if not insecure and not loopback(host):
        hint = "set insecure: true only where nothing untrusted can reach the port"
        raise InvalidConfig(f"host {host}", expected="a loopback address such as 127.0.0.1", got=host, hint=hint)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Accepted connections inherit it: without, a small answer waits 40 ms for the caller's delayed acknowledgement.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        hint = f"choose another with {flag}, or 0 for any free one"
        raise InvalidConfig(f"{host}:{port}", f"cannot be listened on: {error.strerror}", hint=hint) from error
    return bound


def reserve_shared(host: str, port: int, *, flag: str) -> socket.socket:
    """A bound socket that never listens; processes that it is handed to bind the same port beside it.

    Raises:
        InvalidConfig: another server has the address, also one that shares it; or it is none of this machine.
    """
    listen(host, port, insecure=True, flag=flag).close()  # not shared: fails where anybody has the port
    bound = listen(host, port, insecure=True, flag=flag, shared=True)
    # Linux lets sockets share a port that all have this option and do not listen: with it, a second server would not
    # see this one while its processes are still starting.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return bound


def address(bound: socket.socket) -> str:
    """``http://127.0.0.1:8080``."""
    return f"http://{place(bound)}"


def place(bound: socket.socket) -> str:
    """``127.0.0.1:8080``."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def endings() -> list[signal.Signals]:
    """What ends a process well; SIGHUP, of a terminal that closes, where it was not started to outlive that (nohup)."""
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if outlives else [signal.SIGHUP])]


@contextlib.contextmanager
def ended_by(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call ``stop`` on what :func:`endings` tells instead of dying, for the length of the block."""
    before = {number: signal.signal(number, stop) for number in endings()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
