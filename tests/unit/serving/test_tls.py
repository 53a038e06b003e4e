"""A server's papers: read again when files change, and kept where these do not fit."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from serving import identity as identities
from serving import tls
from serving.tls import Certificate, Papers
from staytrue.errors import InvalidConfig
from staytrue.server import ServingSection
from tests.certificates import Paper
from tests.unit.serving.test_renewal import put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at whenever asked; times of files are trusted at once."""
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(identities, "UNSETTLED_SECONDS", -60.0)


def settings(folder: Path, *, ca: bool = False) -> ServingSection:
    """Those that name the files."""
    named = folder / "ca.pem" if ca else None
    return ServingSection(tls_certificate=folder / "shown.crt", tls_key=folder / "shown.key", tls_client_ca=named)


def held(certificate: Certificate) -> Papers:
    """What it has now."""
    papers = certificate.current()
    assert papers is not None
    return papers


def handshake(server: ssl.SSLContext, ca: Path) -> bytes | None:
    """Whom a server that has a context shows itself as, in DER; both ends in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(ca)).wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, other, client, other):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert(binary_form=True)


def test_files_that_do_not_fit_leave_what_is_shown_and_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paper = Paper(tmp_path, "authority")
    old, new = paper.issue("old"), paper.issue("new")
    put(tmp_path, *old)
    certificate = Certificate(settings(tmp_path))
    first = held(certificate)
    put(tmp_path, new[0], old[1])
    for _ in range(3):
        assert held(certificate) is first
    assert handshake(first.context, paper.ca) == ssl.PEM_cert_to_DER_cert(old[0].read_text())
    assert caplog.text.count("certificates stay what they were") == 1
    (tmp_path / "shown.key").unlink()
    assert held(certificate) is first
    assert caplog.text.count("certificates stay what they were") == 2
    put(tmp_path, *new)
    papers = held(certificate)
    assert (papers.certificate, papers.key) == (new[0].read_bytes(), new[1].read_bytes())
    assert handshake(papers.context, paper.ca) == ssl.PEM_cert_to_DER_cert(new[0].read_text())


def test_an_authority_that_is_none_leaves_the_old_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paper = Paper(tmp_path, "authority")
    put(tmp_path, *paper.issue("shown"), paper.ca)
    certificate = Certificate(settings(tmp_path, ca=True))
    first = held(certificate)
    assert first.context.verify_mode == ssl.CERT_REQUIRED
    (tmp_path / "ca.pem").write_bytes(b"none")
    assert held(certificate) is held(certificate) is first
    assert caplog.text.count("certificates stay what they were") == 1


def test_files_that_are_touched_or_written_anew_with_the_same_bytes_change_nothing(tmp_path: Path) -> None:
    pair = Paper(tmp_path, "authority").issue("shown")
    put(tmp_path, *pair)
    certificate = Certificate(settings(tmp_path))
    first = held(certificate)
    put(tmp_path, *pair)
    assert held(certificate) is first


def test_files_are_looked_at_once_a_second_at_most_and_read_when_they_changed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, *Paper(tmp_path, "authority").issue("shown"))
    now, looks, reads = [0.0], [0], [0]
    monkeypatch.setattr(tls, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    certificate = Certificate(settings(tmp_path))
    read = certificate._read

    def look(path: Path) -> identities.Identity:
        looks[0] += 1
        return identities.identity_of(path)

    def counted() -> Papers | None:
        reads[0] += 1
        return read()

    monkeypatch.setattr(tls, "identity_of", look)
    monkeypatch.setattr(certificate, "_read", counted)
    for now[0] in (0.1, 0.9, 1.0, 1.5, 1.99, 2.0):
        certificate.current()
    assert (looks[0], reads[0]) == (2 * 2, 0)


def test_a_file_changed_a_moment_ago_is_read_again_as_its_times_may_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "UNSETTLED_SECONDS", 60.0)
    paper = Paper(tmp_path, "authority")
    put(tmp_path, *paper.issue("shown"), paper.ca)
    certificate = Certificate(settings(tmp_path, ca=True))
    first, seen = held(certificate), certificate._identities()
    put(tmp_path, *paper.issue("other"))
    monkeypatch.setattr(certificate, "_identities", lambda: seen)
    assert held(certificate) is not first


def test_whoever_asks_while_another_reads_does_not_wait(tmp_path: Path) -> None:
    put(tmp_path, *Paper(tmp_path, "authority").issue("shown"))
    certificate = Certificate(settings(tmp_path))
    with certificate._turn:
        assert certificate.current() is certificate._papers


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    shown, key = Paper(tmp_path, "authority").issue("shown")
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    key.write_bytes(plain.private_bytes(*kind, serialization.BestAvailableEncryption(b"secret")))
    put(tmp_path, shown, key)
    with pytest.raises(InvalidConfig, match=r"tls_key .*: expected a key without a password, got one with a password"):
        Certificate(settings(tmp_path))


def test_papers_show_no_key(tmp_path: Path) -> None:
    put(tmp_path, *Paper(tmp_path, "authority").issue("shown"))
    assert "PRIVATE" not in repr(held(Certificate(settings(tmp_path))))
