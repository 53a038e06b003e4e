"""The certificate that both protocols show, and whose certificates callers must show."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING

from serving.pem import Named, load_pair, load_roots
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.server import ServingSection

log = logging.getLogger(__name__)


def context_of(settings: ServingSection) -> ssl.SSLContext | None:
    """What speaks TLS; None without a certificate.

    Raises:
        InvalidConfig: a file cannot be read, or does not fit; says which.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_pair(context, *_pair(settings.tls_certificate, settings.tls_key))
    if settings.tls_client_ca is not None:
        load_roots(context, Named("serving.tls_client_ca", settings.tls_client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _pair(certificate: Path, key: Path) -> tuple[Named, Named]:
    return Named("serving.tls_certificate", certificate), Named("serving.tls_key", key)


class Certificate:
    """What speaks TLS over HTTP, with the certificate that the files hold; also one that was renewed.

    Raises:
        InvalidConfig: a file cannot be read, or does not fit.
    """

    def __init__(self, settings: ServingSection) -> None:
        self._certificate, self._key = settings.tls_certificate, settings.tls_key
        self._seen, self._fault = self._identities(), ""
        self.context = context_of(settings)
        """The same one for ever; None without a certificate."""

    def renew(self) -> None:
        """Take a certificate whose files have changed, for connections from now on; call it from the loop's thread.

        Files that do not fit, as while only one of them was replaced, change nothing; that is logged once.
        """
        identities = self._identities()
        certificate, key = self._certificate, self._key
        if self.context is None or certificate is None or key is None or identities == self._seen:
            return
        try:
            # First elsewhere: files that do not fit would spoil the context in use.
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *_pair(certificate, key))
            load_pair(self.context, *_pair(certificate, key))
        except (OSError, InvalidConfig) as error:
            if str(error) != self._fault:
                self._fault = str(error)
                log.error("the certificate stays what it was: %s", error)  # noqa: TRY400 - it says all there is
            return
        self._seen, self._fault = identities, ""
        log.info("%s was read again", self._certificate)

    def _identities(self) -> list[tuple[int, ...]]:
        return [_identity(path) for path in (self._certificate, self._key) if path is not None]


def _identity(path: Path) -> tuple[int, ...]:
    """What changes with a file, also when a link on the way to it is swapped; empty where there is none."""
    try:
        at = path.stat()
    except OSError:
        return ()
    return at.st_mtime_ns, at.st_ctime_ns, at.st_size, at.st_ino, at.st_dev
