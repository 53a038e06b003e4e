"""What gRPC speaks TLS with."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import grpc

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from staytrue.server import ServingSection


def credentials(settings: ServingSection) -> grpc.ServerCredentials | None:
    """The server's certificate, and whose certificates callers must show; None without a certificate.

    Raises:
        InvalidConfig: a file cannot be read, or does not fit.
    """
    certificate, key, ca = settings.tls_certificate, settings.tls_key, settings.tls_client_ca
    if certificate is None or key is None:
        return None
    # gRPC takes anything, and tells nobody why nobody can connect.
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
        if ca is not None:
            context.load_verify_locations(ca)
        pair = (key.read_bytes(), certificate.read_bytes())
        roots = None if ca is None else ca.read_bytes()
    except (OSError, ssl.SSLError) as error:
        where = "serving.tls_certificate, tls_key or tls_client_ca"
        raise InvalidConfig(where, f"cannot be used: {error.strerror or error}") from error
    return grpc.ssl_server_credentials([pair], root_certificates=roots, require_client_auth=ca is not None)
