"""Of certificates and keys that cannot be used, the file that is wrong is named, and what to do about it."""

from __future__ import annotations

import re
import shutil
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from serving.caller import Caller
from serving.pem import Named, load_pair, load_roots
from serving.tls import LOOK_SECONDS, Certificate
from staytrue.errors import InvalidConfig
from staytrue.server import ServingSection
from tests.certificates import Paper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``one`` and ``other``, each a certificate with its key, and what is neither."""
    paper = Paper(tmp_path, "ours")
    paper.issue("one")
    _, key = paper.issue("other")
    plain = load_pem_private_key(key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"word")
    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (tmp_path / "locked.key").write_bytes(plain.private_bytes(*kind, encryption))
    (tmp_path / "old.key").write_bytes(b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "der").write_bytes(ssl.PEM_cert_to_DER_cert((tmp_path / "one.crt").read_text()))
    (tmp_path / "torn.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "torn.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    return tmp_path


WRONG = {
    "no certificate": (
        "none.crt",
        "one.key",
        "CERTIFICATE none.crt: cannot be read: No such file or directory, expected",
    ),
    "no key": ("one.crt", "none.key", "KEY none.key: cannot be read: No such file or directory, expected a PEM file; "),
    "empty certificate": ("empty", "one.key", "CERTIFICATE empty: expected certificates in PEM, .*, got nothing"),
    "empty key": ("one.crt", "empty", "KEY empty: expected a private key in PEM, .*, got nothing"),
    "swapped": (
        "one.key",
        "one.crt",
        "CERTIFICATE one.key: expected .*, got a private key; are the two files swapped?",
    ),
    "certificate twice": (
        "one.crt",
        "one.crt",
        "KEY one.crt: expected .*, got a certificate; are the two files swapped?",
    ),
    "binary certificate": (
        "der",
        "one.key",
        "CERTIFICATE der: .*, got something else; `openssl x509 -inform der` makes",
    ),
    "binary key": ("one.crt", "der", "KEY der: .*, got something else; `openssl pkey -inform der` makes PEM of DER"),
    "password": (
        "one.crt",
        "locked.key",
        "KEY locked.key: expected a key without a password, got one with .*`openssl pk",
    ),
    "old password": ("one.crt", "old.key", "KEY old.key: expected a key without a password, got one with a password"),
    "another's key": (
        "one.crt",
        "other.key",
        "KEY other.key: expected the key of CERTIFICATE one.crt, got another; take",
    ),
    "torn certificate": ("torn.crt", "one.key", "CERTIFICATE torn.crt: expected certificates .*, got a broken one: "),
    "torn key": ("one.crt", "torn.key", "KEY torn.key: expected a private key in PEM, got a broken one: "),
}


@pytest.mark.parametrize(("certificate", "key", "said"), WRONG.values(), ids=WRONG)
def test_the_file_that_is_wrong_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, certificate: str, key: str, said: str
) -> None:
    settings = ServingSection(tls_certificate=folder / certificate, tls_key=folder / key)
    shown = Caller(scheme="https", certificate=folder / certificate, certificate_key=folder / key)
    ways: dict[tuple[str, str], Callable[[], object]] = {
        ("serving.tls_certificate", "serving.tls_key"): lambda: Certificate(settings),
        ("--certificate", "--certificate-key"): shown.context,
    }
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("somebody was asked for a password"))
    for (its_name, key_name), use in ways.items():
        with pytest.raises(InvalidConfig) as caught:
            use()
        told = str(caught.value).replace(f"{folder}/", "")
        pattern = said.replace("CERTIFICATE ", f"{its_name} ").replace("KEY ", f"{key_name} ").replace("?", r"\?")
        assert re.match(pattern, told), told


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.pem", "cannot be read: No such file or directory"),
        ("empty", "got nothing"),
        ("one.key", "got a private key; are the two files swapped"),
        ("torn.crt", "got a broken one"),
    ],
)
def test_an_authority_that_is_none_is_named(folder: Path, name: str, said: str) -> None:
    settings = ServingSection(
        tls_certificate=folder / "one.crt", tls_key=folder / "one.key", tls_client_ca=folder / name
    )
    ways: dict[str, Callable[[], object]] = {
        "serving.tls_client_ca": lambda: Certificate(settings),
        "--ca": Caller(scheme="https", ca=folder / name).context,
    }
    for whose, use in ways.items():
        with pytest.raises(InvalidConfig) as caught:
            use()
        assert str(caught.value).startswith(f"{whose} {folder / name}: ")
        assert said in str(caught.value)


def test_what_fits_is_taken(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, Named("a", folder / "one.crt"), Named("b", folder / "one.key"))
    load_roots(context, Named("c", folder / "ours.pem"))
    assert len(context.get_ca_certs()) == 1
    both = folder / "both.pem"
    both.write_bytes((folder / "one.crt").read_bytes() + (folder / "one.key").read_bytes())
    load_pair(context, Named("a", both), Named("b", both))


def test_while_only_one_file_was_replaced_the_log_names_the_key(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for end in ("crt", "key"):
        shutil.copy(folder / f"one.{end}", folder / f"shown.{end}")
    certificate = Certificate(ServingSection(tls_certificate=folder / "shown.crt", tls_key=folder / "shown.key"))
    shutil.copy(folder / "other.crt", folder / "shown.crt")
    certificate._next_look -= LOOK_SECONDS
    certificate.current()
    said = "certificates stay what they were: serving.tls_key .*shown.key: expected the key of serving.tls_certificate "
    assert re.search(said, caplog.text)
