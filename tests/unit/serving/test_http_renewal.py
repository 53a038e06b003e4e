"""A certificate that is renewed is shown to who connects from then on; one that does not fit changes nothing."""

from __future__ import annotations

import shutil
import ssl
import time
from typing import TYPE_CHECKING

from examples.bikeshare.demo.processes import Service
from serving.tls import Certificate
from staytrue.server import ServingSection
from tests.certificates import Paper

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from staytrue.store import Store

PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events, port: 0, grpc_port: null, tls_certificate: shown.crt, tls_key: shown.key}
"""


def put(folder: Path, certificate: Path, key: Path) -> None:
    """Have files with the names in the settings hold these."""
    for path, name in ((certificate, "shown.crt"), (key, "shown.key")):
        shutil.copy(path, folder / "new")
        (folder / "new").replace(folder / name)


def shown(server: Service) -> str:
    """The certificate that a server shows."""
    host, port = server.address.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)), timeout=10)


def test_a_running_server_shows_a_renewed_certificate(store: Store, tmp_path: Path) -> None:
    assert store.models() == ["tiny"]
    paper = Paper(tmp_path, "authority")
    old, new = paper.issue("old"), paper.issue("new")
    put(tmp_path, *old)
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    server = Service("serve", tmp_path / "staytrue.yaml", tmp_path / "out.log")
    try:
        assert shown(server) == old[0].read_text()
        put(tmp_path, *new)
        until = time.monotonic() + 20
        while shown(server) != new[0].read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()
        server.close()


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


def test_files_that_do_not_fit_leave_the_certificate_and_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paper = Paper(tmp_path, "authority")
    old, new = paper.issue("old"), paper.issue("new")
    put(tmp_path, *old)
    settings = ServingSection(tls_certificate=tmp_path / "shown.crt", tls_key=tmp_path / "shown.key")
    certificate = Certificate(settings)
    assert certificate.context is not None
    put(tmp_path, new[0], old[1])
    for _ in range(2):
        certificate.renew()
        assert handshake(certificate.context, paper.ca) == ssl.PEM_cert_to_DER_cert(old[0].read_text())
    assert caplog.text.count("the certificate stays what it was") == 1
    (tmp_path / "shown.key").unlink()
    certificate.renew()
    assert handshake(certificate.context, paper.ca) == ssl.PEM_cert_to_DER_cert(old[0].read_text())
    put(tmp_path, *new)
    certificate.renew()
    assert handshake(certificate.context, paper.ca) == ssl.PEM_cert_to_DER_cert(new[0].read_text())
