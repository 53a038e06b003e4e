"""Signatures of versions: who may write to a store is not always who may say what is served.

Ed25519 (RFC 8032) over the digest that seals a bundle, and so over its manifest and every file which that names. Keys
are PEM files as OpenSSL makes them; the package ``cryptography`` signs and verifies.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from staytrue.errors import CorruptData, InvalidConfig
from staytrue.records import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = "bundle.sig"
_PURPOSE = b"staytrue bundle 1\n"
"""Before what is signed, so that no signature made for anything else is one of a bundle."""
_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)
_MAKE = "openssl genpkey -algorithm ed25519 -out signing.pem"
_PUBLIC = "openssl pkey -in signing.pem -pubout -out trusted.pem"


def sign(folder: Path, digest: str, key: Path) -> None:
    """Write the signature of a sealed bundle beside it.

    Args:
        folder: of the bundle.
        digest: SHA-256 of its manifest, hexadecimal.
        key: PEM file of a private key without a passphrase.

    Raises:
        InvalidConfig: the file holds no such key, or ``cryptography`` is not installed.
    """
    made = private_key(key).sign(_PURPOSE + digest.encode())
    write_atomically(folder / SIGNATURE, base64.b64encode(made) + b"\n")


def check(folder: Path, digest: str, trusted: Path) -> None:
    """Refuse a bundle that none of the trusted keys has signed.

    Args:
        folder: of the bundle.
        digest: SHA-256 of its manifest, hexadecimal.
        trusted: PEM file of one public key or more; read each time, so that keys can be changed.

    Raises:
        CorruptData: no signature, or none by these keys.
        InvalidConfig: the file holds no such keys, or ``cryptography`` is not installed.
    """
    keys = public_keys(trusted)
    try:
        made = _spelt((folder / SIGNATURE).read_bytes())
    except FileNotFoundError as error:
        hint = "sign it: staytrue sign NAME VERSION --key FILE"
        problem = f"is not signed, and {trusted} says whose versions may be used"
        raise CorruptData(str(folder), problem, hint=hint) from error
    except (OSError, binascii.Error) as error:
        raise CorruptData(str(folder / SIGNATURE), "cannot be read as base64", hint="sign the version again") from error
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra: who trusts by files needs none

    for key in keys:
        try:
            key.verify(made, _PURPOSE + digest.encode())
        except InvalidSignature:
            continue
        return
    hint = "sign it with the right key, or add that key to the trusted ones; who changed it otherwise?"
    raise CorruptData(str(folder / SIGNATURE), f"is of none of the keys in {trusted}", hint=hint)


def _spelt(written: bytes) -> bytes:
    """What base64 and a newline stand for; only the one spelling that is written, as bits of the last letter are free.

    Raises:
        binascii.Error: it is another, or none.
    """
    made = base64.b64decode(written.removesuffix(b"\n"), validate=True)
    if base64.b64encode(made) + b"\n" != written:
        raise binascii.Error("no canonical base64")
    return made


def private_key(path: Path) -> Any:
    """The key to sign with.

    Raises:
        InvalidConfig: as :func:`sign`.
    """
    serialization, ed25519 = _library(path)
    try:
        found = serialization.load_pem_private_key(_read(path, _MAKE), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise _no_key(path, "private", _MAKE) from error
    if not isinstance(found, ed25519.Ed25519PrivateKey):
        raise _no_key(path, "private", _MAKE)
    return found


def public_keys(path: Path) -> list[Any]:
    """The keys that are trusted.

    Raises:
        InvalidConfig: as :func:`check`.
    """
    serialization, ed25519 = _library(path)
    found = []
    for block in _PEM.findall(_read(path, _PUBLIC)):
        try:
            key = serialization.load_pem_public_key(block)
        except ValueError as error:
            raise _no_key(path, "public", _PUBLIC) from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise _no_key(path, "public", _PUBLIC)
        found.append(key)
    if not found:
        raise _no_key(path, "public", _PUBLIC)
    return found


def _read(path: Path, make: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidConfig(str(path), f"cannot be read: {error.strerror}", hint=make) from error


def _no_key(path: Path, kind: str, make: str) -> InvalidConfig:
    expected = f"PEM of a {kind} Ed25519 key, without a passphrase"
    return InvalidConfig(str(path), expected=expected, got="something else", hint=make)


def _library(path: Path) -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ModuleNotFoundError as error:
        hint = "pip install -e '.[signing]'; images: --build-arg SIGNING=yes"
        raise InvalidConfig(str(path), "needs the package 'cryptography'", hint=hint) from error
    return serialization, ed25519
