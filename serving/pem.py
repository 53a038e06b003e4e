"""Certificates and keys in PEM files, each looked at by itself, so that a message names the one that is wrong."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path

_CERTIFICATE, _KEY = b"CERTIFICATE-----", b"PRIVATE KEY-----"
_LOCKED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")
_CERTIFICATES = "certificates in PEM, each after BEGIN CERTIFICATE"


class Named(NamedTuple):
    """A file, and the setting or flag that names it."""

    name: str
    path: Path

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.name} {self.path}"


def load_pair(context: ssl.SSLContext, certificate: Named, key: Named) -> None:
    """Have a context show a certificate.

    Raises:
        InvalidConfig: a file cannot be read or is something else, or the key is another's; says which file.
    """
    _check_certificates(certificate)
    _check_key(key)
    try:
        context.load_cert_chain(certificate.path, key.path, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            expected = f"the key of {certificate.where}"
            raise InvalidConfig(key.where, expected=expected, got="another", hint="take both of one issue") from error
        _load_roots(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate)  # which tells if it is the certificate
        reason = error.reason or error.strerror
        raise InvalidConfig(key.where, expected="a private key in PEM", got=f"a broken one: {reason}") from error
    except OSError as error:  # it went since it was looked at
        raise InvalidConfig(certificate.where, f"cannot be read, or its key: {error.strerror}") from error


def load_roots(context: ssl.SSLContext, roots: Named) -> None:
    """Have a context believe in certificates.

    Raises:
        InvalidConfig: the file cannot be read, or holds none.
    """
    _check_certificates(roots)
    _load_roots(context, roots)


def end_of(certificate: Path) -> float | None:
    """When the first certificate of a file expires, Unix seconds; None where this Python does not tell."""
    read: Any = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)  # what ssl's own tests read them by
    try:
        return float(ssl.cert_time_to_seconds(read(str(certificate))["notAfter"]))
    except (TypeError, KeyError, ValueError, OSError):
        return None


def _load_roots(context: ssl.SSLContext, roots: Named) -> None:
    try:
        context.load_verify_locations(roots.path)
    except ssl.SSLError as error:
        reason = error.reason or error.strerror
        raise InvalidConfig(roots.where, expected=_CERTIFICATES, got=f"a broken one: {reason}") from error
    except OSError as error:
        raise InvalidConfig(roots.where, f"cannot be read: {error.strerror}") from error


def _check_certificates(file: Named) -> None:
    data = data_of(file)
    if _CERTIFICATE not in data:
        got = "a private key" if _KEY in data else _strange(data)
        hint = "are the two files swapped?" if _KEY in data else "`openssl x509 -inform der` makes PEM of DER"
        raise InvalidConfig(file.where, expected=_CERTIFICATES, got=got, hint=hint)


def _check_key(file: Named) -> None:
    data = data_of(file)
    expected = "a private key in PEM, after BEGIN PRIVATE KEY"
    if any(mark in data for mark in _LOCKED):  # OpenSSL would ask whoever sits before the terminal
        hint = "`openssl pkey -in KEY -out PLAIN` takes the password away"
        raise InvalidConfig(file.where, expected="a key without a password", got="one with a password", hint=hint)
    if _KEY not in data:
        got = "a certificate" if _CERTIFICATE in data else _strange(data)
        hint = "are the two files swapped?" if _CERTIFICATE in data else "`openssl pkey -inform der` makes PEM of DER"
        raise InvalidConfig(file.where, expected=expected, got=got, hint=hint)


def _strange(data: bytes) -> str:
    return "something else" if data.strip() else "nothing"


def data_of(file: Named) -> bytes:
    """What a file holds.

    Raises:
        InvalidConfig: it cannot be read.
    """
    try:
        return file.path.read_bytes()
    except OSError as error:
        hint = "name the file that holds it, and let this user read it"
        raise InvalidConfig(
            file.where, f"cannot be read: {error.strerror}", expected="a PEM file", hint=hint
        ) from error


def _no_password() -> str:
    """Rather an error than a question on the terminal, should the look at the file have missed a password."""
    return ""
