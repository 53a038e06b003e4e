"""Certificates for tests: an authority, and what it signs for this machine."""

from __future__ import annotations

import datetime
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


HOUR = datetime.timedelta(hours=1)


class Paper:
    """An authority and what it signs, as PEM files."""

    def __init__(self, folder: Path, name: str, lasts: datetime.timedelta = HOUR) -> None:
        self._lasts = lasts
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(self._signed(self._name, self._key.public_key(), ca=True))

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1 and hosts by name, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        paths = (self._folder / f"{name}.crt", self._folder / f"{name}.key")
        paths[0].write_bytes(self._signed(subject, key.public_key(), *hosts, ca=False))
        kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        paths[1].write_bytes(key.private_bytes(*kind))
        return paths

    def _signed(self, subject: x509.Name, public: ec.EllipticCurvePublicKey, *hosts: str, ca: bool) -> bytes:
        end = datetime.datetime.now(datetime.UTC) + self._lasts
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 1000 * HOUR)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([here, *map(x509.DNSName, hosts)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)
