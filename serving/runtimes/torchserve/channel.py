"""HTTP to TorchServe over a socket in a folder of ours, connections kept, each call within its time."""

from __future__ import annotations

import http.client
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from staytrue.errors import DeadlineExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Connection(http.client.HTTPConnection):
    """A connection to a socket that is a file."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = str(path)

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Channel:
    """Calls to one socket, from many threads.

    Args:
        path: the socket.
        token: what the callee wants to see.
        headers: of every call.
    """

    def __init__(self, path: Path, token: str, headers: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._headers = {"Authorization": f"Bearer {token}", **(headers or {})}
        self._idle: deque[Connection] = deque()
        self._closed = False

    def ask(
        self, method: str, url: str, *, seconds: float, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request; status and body of its answer.

        A kept connection may have been closed by the other side meanwhile: then the request goes once more over a new
        one. It may be done twice; an inference may.

        Raises:
            DeadlineExceeded: no answer within the time; the connection is given up, and with it the request.
            Unavailable: nobody there, or gone before it answered.
        """
        deadline = time.monotonic() + seconds
        while True:
            kept = self._kept()
            connection = kept or Connection(self._path)
            try:
                return self._exchange(connection, method, url, body, {**self._headers, **(headers or {})}, deadline)
            except TimeoutError:
                connection.close()
                raise DeadlineExceeded("TorchServe", f"gave no answer within {seconds:g} s") from None
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept is None:
                    raise Unavailable("TorchServe", f"cannot be reached: {error or type(error).__name__}") from error

    def close(self) -> None:
        """Close what is idle, and whatever comes back."""
        self._closed = True
        self.forget()

    def forget(self) -> None:
        """Close what is idle: the next call has a new connection."""
        while connection := self._kept():
            connection.close()

    def _kept(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _exchange(
        self, connection: Connection, method: str, url: str, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> tuple[int, bytes]:
        _allow(connection, deadline)
        connection.request(method, url, body, dict(headers))
        _allow(connection, deadline)
        answer = connection.getresponse()
        _allow(connection, deadline)
        data = answer.read()
        if answer.will_close or self._closed:
            connection.close()
        else:
            self._idle.append(connection)
        return answer.status, data


def _allow(connection: Connection, deadline: float) -> None:
    """Let the next step take what is left of the time."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.timeout = left
    if connection.sock is not None:
        connection.sock.settimeout(left)
