"""One request and its answer, as the connection hands them to whoever answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    # Nothing decodes this struct, so that nothing looks its types up.
    from collections.abc import Callable  # noqa: TC004

    from serving.http.connection import Connection  # noqa: TC004
    from serving.http.known import Head  # noqa: TC004

log = logging.getLogger(__name__)
JSON = b"application/json"


class Fault(NamedTuple):
    """Why a connection itself refuses a request: by its framing, before anything reads it."""

    status: int
    where: str
    problem: str = ""
    expected: str = ""
    got: str = ""
    hint: str = ""


class Exchange(msgspec.Struct, eq=False):
    """A request that has come whole. It is answered once, by :meth:`answer`, in the thread of the event loop."""

    to: Connection
    """It came by."""
    method: bytes = b""
    """As it was sent."""
    path: bytes = b""
    """As it was sent, without the query; of a whole URL, what follows its authority."""
    query: bytes = b""
    """What follows the question mark."""
    headers: dict[bytes, bytes] = {}
    """Names in small letters; what came twice is joined by commas."""
    keep_alive: bool = False
    """Whether the connection goes on after the answer."""
    head: Head | None = None
    """Shared by all requests whose head has the same bytes, once they were read before."""
    body: bytes = b""
    held: int = 0
    """Bytes of the body, counted among those of all requests until the answer."""
    fault: Fault | None = None
    """Set where the request is to be refused, whatever it asks for."""
    cancelled: bool = False
    """The caller has hung up: an answer goes nowhere."""
    on_cancel: Callable[[Exchange], None] | None = None
    """Called once when the caller hangs up before the answer."""
    work: Any = None
    """What whoever answers has begun, for ``on_cancel``."""

    def text(self, name: bytes, default: str = "") -> str:
        """A header as text."""
        value = self.headers.get(name)
        return default if value is None else value.decode("latin-1")

    def peer(self) -> str:
        """Address and port at the other end of the connection; empty once that has gone."""
        at = None if self.to.transport is None else self.to.transport.get_extra_info("peername")
        return f"{at[0]}:{at[1]}" if isinstance(at, tuple) else ""

    def cancel(self) -> None:
        """The caller has hung up; whoever works on its answer is told, once."""
        self.cancelled = True
        told, self.on_cancel = self.on_cancel, None
        if told is not None:
            try:
                told(self)
            except Exception:
                log.exception("a request could not be cancelled")

    def answer(
        self, status: int, body: bytes, *, kind: bytes = JSON, headers: bytes = b"", close: bool = False
    ) -> None:
        """Send the answer; ``headers`` are whole lines, each with its line end."""
        if close:
            self.keep_alive = False
        self.to.send(self, status, body, kind, headers)
