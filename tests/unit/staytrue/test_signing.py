"""With trusted keys a version loads only if one of them signed just these bytes; keys of OpenSSL do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from staytrue import bundle as bundles
from staytrue.bundle import MANIFEST
from staytrue.command import main
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.signing import SIGNATURE, public_keys, sign
from staytrue.store import Store
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from pathlib import Path

PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()
PKCS8, PUBLIC = serialization.PrivateFormat.PKCS8, serialization.PublicFormat.SubjectPublicKeyInfo


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A new pair of keys as files: to sign with, and to trust."""
    made = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(made.private_bytes(PEM, PKCS8, PLAIN))
    public.write_bytes(made.public_key().public_bytes(PEM, PUBLIC))
    return private, public


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two versions, nobody's champion."""
    made = Store(tmp_path / "store")
    publish(made, 1.0)
    publish(made, 2.0)
    return made


def signed(store: Store, version: str, key: Path) -> Path:
    """A version's folder, with its signature."""
    folder = store.path("tiny", version)
    bundles.sign(folder, key)
    return folder


def test_a_version_loads_if_one_of_the_trusted_keys_signed_it(store: Store, tmp_path: Path) -> None:
    (first, trusted), (second, other), (third, _) = (pair(tmp_path, name) for name in "abc")
    trusted.write_bytes(b"# ours\n" + trusted.read_bytes() + b"\n# theirs\n" + other.read_bytes())
    strict = Store(store.root, trusted)
    with pytest.raises(CorruptData, match=r"tiny/1: is not signed, and .*a\.pub\.pem says whose versions may be used"):
        strict.load("tiny", "1")
    for key in (first, second):
        signed(store, "1", key)
        assert strict.load("tiny", "1").version == "1"
    signed(store, "1", third)
    with pytest.raises(CorruptData, match=r"bundle\.sig: is of none of the keys in"):
        strict.load("tiny", "1")
    assert store.load("tiny", "1").version == "1"


def test_a_signature_is_of_one_version_and_every_byte_of_it_counts(store: Store, tmp_path: Path) -> None:
    private, trusted = pair(tmp_path, "a")
    folder = signed(store, "1", private)
    made = (folder / SIGNATURE).read_bytes()
    (store.path("tiny", "2") / SIGNATURE).write_bytes(made)
    with pytest.raises(CorruptData, match="of none of the keys"):
        Store(store.root, trusted).load("tiny", "2")
    for place in range(len(made)):
        changed = bytearray(made)
        changed[place] ^= 1
        (folder / SIGNATURE).write_bytes(changed)
        with pytest.raises(CorruptData, match=SIGNATURE):
            bundles.load(folder, trusted)


def test_who_rewrites_a_version_and_its_seal_cannot_sign_it(store: Store, tmp_path: Path) -> None:
    private, trusted = pair(tmp_path, "a")
    folder = signed(store, "1", private)
    manifest = folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"max_batch": 16', b'"max_batch": 15'))
    bundles.seal(folder)
    with pytest.raises(CorruptData, match="of none of the keys"):
        Store(store.root, trusted).load("tiny", "1")


def test_files_that_hold_no_such_keys_are_refused_with_what_makes_one(tmp_path: Path) -> None:
    private, public = pair(tmp_path, "a")
    foreign = tmp_path / "rsa.pem"
    made = rsa.generate_private_key(65537, 2048)
    foreign.write_bytes(made.private_bytes(PEM, PKCS8, PLAIN) + made.public_key().public_bytes(PEM, PUBLIC))
    locked = tmp_path / "locked.pem"
    secret = serialization.BestAvailableEncryption(b"word")
    locked.write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, secret))
    for path in (foreign, locked, public):
        with pytest.raises(
            InvalidConfig, match=r"expected PEM of a private Ed25519 key, without a passphrase.*openssl"
        ):
            sign(tmp_path, "0" * 64, path)
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for path in (foreign, empty, private):
        with pytest.raises(InvalidConfig, match=r"expected PEM of a public Ed25519 key.*openssl pkey"):
            public_keys(path)
    with pytest.raises(InvalidConfig, match=r"gone\.pem: cannot be read: No such file"):
        public_keys(tmp_path / "gone.pem")


def test_the_commands_sign_verify_and_promote(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    private, trusted = pair(tmp_path, "a")
    (tmp_path / "staytrue.yaml").write_text(
        "name: tiny\ndata: {source: x.csv, time: t, target: y, features: {x: {kind: numeric}}}\n"
        "serving: {trusted_keys: a.pub.pem}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["promote", "tiny", "1", "--reason", "test"]) == 1
    assert "is not signed" in capsys.readouterr().err
    assert main(["sign", "tiny", "1", "--key", str(private)]) == 0
    assert main(["promote", "tiny", "1", "--reason", "test"]) == 0
    assert main(["verify", "tiny"]) == 1
    said = capsys.readouterr().out
    assert "tiny 1: 3 files, 5 proofs, all hold" in said
    assert "tiny 2: " in said
    assert "staytrue sign NAME VERSION" in said
    assert main(["verify", "tiny", "--store", str(store.root)]) == 0
    assert main(["verify", "tiny", "--store", str(store.root), "--trusted-keys", str(trusted)]) == 1
    assert main(["verify", "tiny", "1", "--store", str(store.root), "--trusted-keys", str(trusted)]) == 0
    capsys.readouterr()
    assert main(["verify", "tiny", "--store", str(store.root), "--trusted-keys", "gone.pem"]) == 2
    assert "gone.pem: cannot be read" in capsys.readouterr().err


def test_a_server_whose_trusted_keys_cannot_be_read_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staytrue.logs.configure", lambda: None)
    (tmp_path / "staytrue.yaml").write_text(
        "name: tiny\ndata: {source: x.csv, time: t, target: y, features: {x: {kind: numeric}}}\n"
        "serving: {port: 0, grpc_port: 0, trusted_keys: gone.pem}\n"
    )
    assert main(["serve", "--project", str(tmp_path / "staytrue.yaml")]) == 2
    assert "gone.pem: cannot be read: No such file or directory; openssl pkey" in capsys.readouterr().err


def test_without_the_package_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(InvalidConfig, match=r"needs the package 'cryptography'; pip install -e '\.\[signing\]'"):
        public_keys(tmp_path / "a.pem")


def test_loading_a_store_without_keys_needs_no_package() -> None:
    code = "import sys, staytrue.store, staytrue.upkeep; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
