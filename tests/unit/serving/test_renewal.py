"""Certificates that are renewed hold for who connects from then on, over both protocols, without a restart."""

from __future__ import annotations

import queue
import shutil
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from examples.bikeshare.demo.processes import Service
from serving.proto import open_inference_grpc_pb2 as proto
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tests.certificates import Paper
from tests.unit.serving.grpc_house import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.store import Store

    Pair = tuple[Path, Path]

NAMES = ("shown.crt", "shown.key", "ca.pem")
PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events, port: 0, grpc_port: 0, tls_certificate: shown.crt, tls_key: shown.key%s}
"""
ASKED = {
    "http": b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n",
    "grpc": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",  # and settings, none
}
BOTH = [*ASKED]


@pytest.fixture
def serve(store: Store, tmp_path: Path) -> Iterator[Callable[[str], Service]]:
    """Starts a server on the files in the folder, with more settings."""
    assert store.models() == ["tiny"]
    started: list[Service] = []

    def start(more: str) -> Service:
        (tmp_path / "staytrue.yaml").write_text(PROJECT % more)
        started.append(Service("serve", tmp_path / "staytrue.yaml", tmp_path / "out.log"))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()
        server.close()


def put(folder: Path, *files: Path) -> None:
    """Have files with the names in the settings hold these, one after the other."""
    for path, name in zip(files, NAMES, strict=False):
        shutil.copy(path, folder / "new")
        (folder / "new").replace(folder / name)


def mount(folder: Path, version: str, *files: Path) -> None:
    """Have them hold these all at once, as a kubelet does with a Secret: by one link that is swapped."""
    (folder / version).mkdir()
    for path, name in zip(files, NAMES, strict=True):
        shutil.copy(path, folder / version / name)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..new").symlink_to(version)
    (folder / "..new").replace(folder / "..data")


def place_of(server: Service, protocol: str) -> tuple[str, int]:
    """Where a server listens."""
    host, port = (server.grpc if protocol == "grpc" else server.address.removeprefix("https://")).split(":")
    return host, int(port)


class Caller:
    """One who trusts an authority, and may show a certificate; keeps its session as a client that comes again."""

    def __init__(self, ca: Path, pair: Pair | None = None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.context = ssl.create_default_context(cafile=str(ca))
        self.context.maximum_version = version
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        if pair is not None:
            self.context.load_cert_chain(*pair)
        self.session: ssl.SSLSession | None = None

    def meets(self, server: Service, protocol: str) -> str | None:
        """The certificate that a server shows on a new connection, in PEM; None where it lets go of the caller."""
        with socket.create_connection(place_of(server, protocol), timeout=10) as plain:
            try:
                with self.context.wrap_socket(plain, server_hostname="127.0.0.1", session=self.session) as secure:
                    secure.sendall(ASKED[protocol])
                    if not secure.recv(1):
                        return None
                    self.session = secure.session
                    return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True) or b"")
            except (ssl.SSLError, ConnectionError):
                return None


def until(true: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_running_server_shows_a_renewed_certificate_and_old_connections_go_on(
    serve: Callable[[str], Service], tmp_path: Path
) -> None:
    paper = Paper(tmp_path, "authority")
    old, new = paper.issue("old"), paper.issue("new")
    put(tmp_path, *old)
    server, caller = serve(""), Caller(paper.ca)
    credentials = grpc.ssl_channel_credentials(paper.ca.read_bytes())
    with (
        grpc.secure_channel(server.grpc, credentials) as channel,
        socket.create_connection(place_of(server, "http"), timeout=10) as plain,
        caller.context.wrap_socket(plain, server_hostname="127.0.0.1") as kept,
    ):
        stub: Any = GRPCInferenceServiceStub(channel)
        requests: queue.Queue[proto.ModelInferRequest | None] = queue.Queue()
        requests.put(request())
        stream = stub.ModelStreamInfer(iter(requests.get, None), timeout=60)
        assert next(stream).error_message == ""
        assert [caller.meets(server, protocol) for protocol in BOTH] == [old[0].read_text()] * 2
        put(tmp_path, new[0])
        until(lambda: "certificates stay what they were" in server.log.read_text())
        assert [caller.meets(server, protocol) for protocol in BOTH] == [old[0].read_text()] * 2
        put(tmp_path, *new)
        for protocol in BOTH:
            until(lambda: Caller(paper.ca).meets(server, protocol) == new[0].read_text())  # noqa: B023 - at once
        kept.sendall(ASKED["http"])
        assert kept.recv(15) == b"HTTP/1.1 200 OK"
        requests.put(request())
        assert next(stream).error_message == ""
        assert stub.ServerLive(proto.ServerLiveRequest(), timeout=10).live
        requests.put(None)
    assert server.log.read_text().count("certificates stay what they were") == 1
    assert server.stop() == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_callers_show_certificates_of_the_new_authority_and_no_longer_of_the_old(
    serve: Callable[[str], Service], tmp_path: Path, version: ssl.TLSVersion
) -> None:
    ours, before, after = Paper(tmp_path, "ours"), Paper(tmp_path, "before"), Paper(tmp_path, "after")
    old, new = before.issue("old-caller"), after.issue("new-caller")
    shown, renewed = ours.issue("first"), ours.issue("second")
    mount(tmp_path, "..1", *shown, before.ca)
    server = serve(", tls_client_ca: ca.pem")
    known = {protocol: Caller(ours.ca, old, version) for protocol in BOTH}
    for protocol, caller in known.items():
        assert caller.meets(server, protocol) == shown[0].read_text()
        assert caller.meets(server, protocol) == shown[0].read_text()  # with its session
        assert Caller(ours.ca, new, version).meets(server, protocol) is None
        assert Caller(ours.ca, None, version).meets(server, protocol) is None
    mount(tmp_path, "..2", *renewed, after.ca)
    for protocol, caller in known.items():
        until(lambda: Caller(ours.ca, new, version).meets(server, protocol) == renewed[0].read_text())  # noqa: B023
        assert caller.meets(server, protocol) is None  # also not by the session that it has
        assert Caller(ours.ca, old, version).meets(server, protocol) is None
        assert Caller(ours.ca, None, version).meets(server, protocol) is None
    (tmp_path / "empty").write_bytes(b"")
    mount(tmp_path, "..3", *shown, tmp_path / "empty")
    until(lambda: "certificates stay what they were" in server.log.read_text())
    for protocol in BOTH:
        assert Caller(ours.ca, new, version).meets(server, protocol) == renewed[0].read_text()
    assert server.stop() == 0
