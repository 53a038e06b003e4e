"""What gRPC speaks TLS with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from serving.tls import context_of

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
    context_of(settings)  # gRPC takes anything, and tells nobody why nobody can connect
    pair = (key.read_bytes(), certificate.read_bytes())
    roots = None if ca is None else ca.read_bytes()
    return grpc.ssl_server_credentials([pair], root_certificates=roots, require_client_auth=ca is not None)
