"""What a caller shows to a server and asks of it: its key, its certificate, and whose certificate it believes."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.pem import Named, load_pair, load_roots
from staytrue.errors import InvalidConfig, InvalidInput

if TYPE_CHECKING:
    from pathlib import Path


_KEY = re.compile(rb"[\x21-\x7e]{1,1000}")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Options of ``staytrue ping``.

    Raises:
        InvalidInput: some that do not go together, or not with the address.
    """

    scheme: str
    key_file: Path | None = None
    ca: Path | None = None
    server_name: str = ""
    certificate: Path | None = None
    certificate_key: Path | None = None
    unverified: bool = False

    def __post_init__(self) -> None:
        given = [self.ca, self.server_name, self.certificate, self.certificate_key, self.unverified]
        if not self.secure and any(given):
            hint = "ca, server-name, certificate, certificate-key and unverified are for TLS"
            raise InvalidInput("address", expected="https:// or grpcs:// with them", got=f"{self.scheme}://", hint=hint)
        if (self.certificate is None) != (self.certificate_key is None):
            raise InvalidInput("--certificate", "and --certificate-key come together")
        if self.unverified and self.scheme == "grpcs":
            hint = "give --ca; the server's own certificate will do"
            raise InvalidInput("--unverified", expected="https://", got="grpcs://", hint=hint)
        if self.unverified and (self.key_file or self.ca):
            raise InvalidInput(
                "--unverified", "a key would go to whoever answers", hint="leave out --key-file and --ca"
            )

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme.endswith("s")

    def headers(self) -> list[tuple[str, str]]:
        """The key, for REST and gRPC alike; empty without one.

        Raises:
            InvalidConfig: its file cannot be read, or holds something else than one key.
        """
        if self.key_file is None:
            return []
        key = _bytes(self.key_file, "--key-file").strip()
        if not _KEY.fullmatch(key):  # which it shows to nobody
            raise InvalidConfig(f"--key-file {self.key_file}", expected="one line that holds the key", got="another")
        return [("authorization", f"Bearer {key.decode()}")]

    def context(self) -> ssl.SSLContext | None:
        """For HTTPS; None where TLS is not spoken.

        Raises:
            InvalidConfig: a file cannot be used.
        """
        if not self.secure:
            return None
        if self.ca is not None:  # in a context of its own, as the real one begins with what is in the file
            load_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), Named("--ca", self.ca))
        context = ssl.create_default_context(cafile=self.ca)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # so that the server's own certificate will do
        if self.certificate is not None and self.certificate_key is not None:
            pair = Named("--certificate", self.certificate), Named("--certificate-key", self.certificate_key)
            load_pair(context, *pair)
        if self.unverified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def files(self) -> tuple[bytes | None, bytes | None, bytes | None] | None:
        """For gRPC over TLS: whom to believe, the key, the certificate; None where TLS is not spoken.

        Raises:
            InvalidConfig: a file cannot be used.
        """
        if self.context() is None:  # which looks into the files: gRPC would take anything
            return None
        named = ((self.ca, "--ca"), (self.certificate_key, "--certificate-key"), (self.certificate, "--certificate"))
        roots, key, chain = (None if path is None else _bytes(path, flag) for path, flag in named)
        return roots, key, chain


def _bytes(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidConfig(f"{flag} {path}", f"cannot be read: {error.strerror}") from error
