"""The certificate that both protocols show, and whose certificates callers must show, as the files have them now."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from serving.identity import Identity, identity_of, settled
from serving.pem import Named, data_of, end_of, load_pair, load_roots
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from staytrue.server import ServingSection

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
DAY_SECONDS, SOON_DAYS = 86400.0, 7.0
"""So long before its end a certificate is warned of, when it is read."""


class Papers(NamedTuple):
    """What the files held at one time, of which all fits together."""

    certificate: bytes
    key: bytes
    ca: bytes | None
    """Callers must show a certificate of it; None: none."""
    context: ssl.SSLContext
    """What speaks TLS with them."""

    def __repr__(self) -> str:
        return f"Papers(ca={self.ca is not None})"  # a key is shown to nobody


class Certificate:
    """The papers of a server, also those that were renewed. For any number of threads.

    Args:
        settings: of serving, that name the files.

    Raises:
        InvalidConfig: a file cannot be read, or does not fit.
    """

    def __init__(self, settings: ServingSection) -> None:
        self._settings = settings
        self._turn = threading.Lock()
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._fault = ""
        self._seen = self._identities()
        self._papers = self._read()
        self._look_at_its_end()

    def current(self) -> Papers | None:
        """Those to show to who connects now; the same as before while they are, None without a certificate.

        The files are looked at once a second at most. Files that do not fit, as while only one of them was replaced,
        change nothing; that is logged once. Whoever comes while another reads them gets what was there.
        """
        if self._papers is not None and time.monotonic() >= self._next_look and self._turn.acquire(blocking=False):
            try:
                self._next_look = time.monotonic() + LOOK_SECONDS
                self._look()
            finally:
                self._turn.release()
        return self._papers

    def _look(self) -> None:
        identities = self._identities()
        if identities == self._seen and all(map(settled, identities)):
            return
        try:
            papers = self._read()
        except InvalidConfig as error:
            if str(error) != self._fault:
                self._fault = str(error)
                log.error("certificates stay what they were: %s", error)  # noqa: TRY400 - it says all there is
            return
        self._seen, self._fault = identities, ""
        assert papers is not None  # noqa: S101 - the settings are what they were
        if self._papers is None or papers[:3] != self._papers[:3]:
            self._papers = papers
            log.info("%s was read again", self._settings.tls_certificate)
            self._look_at_its_end()

    def _look_at_its_end(self) -> None:
        """Warn of a certificate that callers refuse, or soon will."""
        path = self._settings.tls_certificate
        end = None if path is None or self._papers is None else end_of(path)
        if end is not None and (left := (end - time.time()) / DAY_SECONDS) < SOON_DAYS:
            said = "has expired: callers refuse it" if left < 0 else f"expires in {left:.1f} days"
            log.warning("serving.tls_certificate %s %s; put a renewed one in its place", path, said)

    def _identities(self) -> list[Identity]:
        named = (self._settings.tls_certificate, self._settings.tls_key, self._settings.tls_client_ca)
        return [identity_of(path) for path in named if path is not None]

    def _read(self) -> Papers | None:
        """What the files hold.

        Raises:
            InvalidConfig: a file cannot be read, or does not fit.
        """
        certificate, key, ca = self._settings.tls_certificate, self._settings.tls_key, self._settings.tls_client_ca
        if certificate is None or key is None:
            return None
        pair = Named("serving.tls_certificate", certificate), Named("serving.tls_key", key)
        roots = None if ca is None else Named("serving.tls_client_ca", ca)
        held = _held(*pair, roots)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        load_pair(context, *pair)
        if roots is not None:
            load_roots(context, roots)
            context.verify_mode = ssl.CERT_REQUIRED
        if held != _held(*pair, roots):  # what gRPC is given would not be what was tried
            raise InvalidConfig(pair[0].where, "changed while it was read, or the files beside it", hint="try again")
        return Papers(*held, context)


def _held(certificate: Named, key: Named, roots: Named | None) -> tuple[bytes, bytes, bytes | None]:
    return data_of(certificate), data_of(key), None if roots is None else data_of(roots)
