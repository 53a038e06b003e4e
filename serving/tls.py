"""The certificate that both protocols show, and whose certificates callers must show."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from staytrue.server import ServingSection


def context_of(settings: ServingSection) -> ssl.SSLContext | None:
    """What speaks TLS; None without a certificate.

    Raises:
        InvalidConfig: a file cannot be read, or does not fit.
    """
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca is not None:
            context.load_verify_locations(settings.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        where = "serving.tls_certificate, tls_key or tls_client_ca"
        raise InvalidConfig(where, f"cannot be used: {error.strerror or error}") from error
    return context
