"""What gRPC speaks TLS with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from serving.tls import Certificate, Papers


def credentials(certificate: Certificate) -> grpc.ServerCredentials | None:
    """The server's certificate, and whose certificates callers must show, both as they are at each handshake.

    None without a certificate.
    """
    first = certificate.current()
    return None if first is None else _Shown(certificate, first).credentials()


class _Shown:
    """What gRPC shows, and is told of when there is another."""

    def __init__(self, certificate: Certificate, first: Papers) -> None:
        self._certificate, self._papers = certificate, first

    def credentials(self) -> grpc.ServerCredentials:
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._papers),
            self._changed,  # type: ignore[arg-type] # grpcio says that it may give None
            require_client_authentication=self._papers.ca is not None,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What is to be shown from now on, None where it is what it was. Called at each handshake, one at a time."""
        papers = self._certificate.current()
        if papers is None or papers is self._papers:
            return None
        self._papers = papers
        return _configuration(papers)


def _configuration(papers: Papers) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(papers.key, papers.certificate)], papers.ca)
