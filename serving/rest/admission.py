"""Who is let in over HTTP, by the key in a request's headers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from serving.access import secret_of
from serving.keyring import digest_of
from staytrue.errors import StaytrueError

if TYPE_CHECKING:
    from serving.access import Access
    from serving.http.exchange import Exchange
    from serving.http.known import Head
    from serving.keyring import Scope

PROTOCOL = "rest"


class Admission:
    """Lets requests in.

    Args:
        access: knows the keys.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self.everybody = access.everybody

    def admit(self, exchange: Exchange, scope: Scope) -> None:
        """Let a caller in; a known head is told whose it is, for :meth:`again`.

        Raises:
            StaytrueError: no key, one that is unknown, lacks the scope, or asks too often.
        """
        if self.everybody:
            return
        sent = exchange.headers
        authorization, key = sent.get(b"authorization"), sent.get(b"x-api-key")
        secret = secret_of(
            None if authorization is None else authorization.decode("latin-1"),
            None if key is None else key.decode("latin-1"),
        )
        try:
            self._access.admit(secret, scope, time.monotonic())
        except StaytrueError as error:
            self._access.denials.note(PROTOCOL, error, exchange.peer())
            raise
        if exchange.head is not None and secret:
            exchange.head.holder = digest_of(secret)

    def again(self, exchange: Exchange, head: Head) -> None:
        """Let a caller in whose head came before, to predict.

        Raises:
            StaytrueError: as :meth:`admit`; the key may be gone by now.
        """
        try:
            self._access.admit_again(head.holder, "predict", time.monotonic())
        except StaytrueError as error:
            self._access.denials.note(PROTOCOL, error, exchange.peer())
            raise
