"""``staytrue ping`` against a real server, and against nobody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from examples.bikeshare.demo.processes import Service
from serving.keyring import Key, digest_of, write
from serving.keys import new_secret
from staytrue.command import main
from tests.certificates import Paper
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events}
"""


@pytest.fixture
def places(store: Store, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Address by protocol of a server that has one model."""
    del store  # it lies where the project looks for it
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    server = Service("serve", tmp_path / "staytrue.yaml", tmp_path / "log", "--port", "0", "--grpc-port", "0")
    line = next(line for line in (tmp_path / "log").read_text().splitlines() if "grpc listening on" in line)
    yield {"http": server.address, "grpc": f"grpc://{line.rsplit(maxsplit=1)[1]}"}
    server.stop()


def test_a_server_and_its_model_are_ready_over_both_protocols(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for address in places.values():
        assert main(["ping", address]) == 0
        assert main(["ping", address, "--model", "tiny"]) == 0
        ready, model = capsys.readouterr().out.splitlines()
        assert (ready, model) == (f"{address}: ready: True", f"{address}: tiny version 1 is ready")


def test_a_model_that_is_not_there_fails(places: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    for address in places.values():
        assert main(["ping", address, "--model", "none"]) == 1
        assert 'model "none": is not served here; models: tiny' in capsys.readouterr().err.replace('\\"', '"')


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there_fails_in_time(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(["ping", f"{scheme}://127.0.0.1:{port}", "--seconds", "2"]) == 1
    assert f"{scheme}://127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8080", "ftp://127.0.0.1:1", "http://127.0.0.1", "http://:80", "http://a:b"]
)
def test_an_address_that_is_none_says_what_is_one(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", address]) == 1
    assert "expected http://HOST:PORT, https://HOST:PORT, grpc://HOST:PORT or grpcs" in capsys.readouterr().err


@pytest.fixture
def guarded(store: Store, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Address by scheme of a server that wants keys and certificates; the files that callers need lie beside it."""
    del store
    ours, secret = Paper(tmp_path, "ours"), new_secret()
    certificate, key = ours.issue("server", "bikes.example")
    ours.issue("caller")
    (tmp_path / "key").write_text(f"{secret}\n")
    (tmp_path / "wrong").write_text(new_secret())
    write(tmp_path / "keys.yaml", (Key(name="shop", digest=digest_of(secret), scopes=frozenset({"predict"})),))
    tls = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": ours.ca, "keys": tmp_path / "keys.yaml"}
    inner = ", ".join(f"{name}: {path}" for name, path in tls.items())
    (tmp_path / "staytrue.yaml").write_text(PROJECT.replace("log: events", f"log: events, {inner}"))
    server = Service("serve", tmp_path / "staytrue.yaml", tmp_path / "log", "--port", "0", "--grpc-port", "0")
    yield {"https": server.address, "grpcs": f"grpcs://{server.grpc}"}
    server.stop()


def files(folder: Path, **options: str) -> list[str]:
    """Options of files beside the server."""
    return [part for name, file in options.items() for part in (f"--{name.replace('_', '-')}", str(folder / file))]


def test_keys_and_certificates_are_shown_over_both_protocols(
    guarded: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = files(tmp_path, certificate="caller.crt", certificate_key="caller.key")
    for address in guarded.values():
        known = [address, *shown, *files(tmp_path, ca="ours.pem", key_file="key")]
        assert main(["ping", *known, "--model", "tiny"]) == 0
        assert main(["ping", *known, "--live"]) == 0
        # The server's own certificate will do, by whatever name it has there.
        pinned = [address, *shown, *files(tmp_path, ca="server.crt"), "--server-name", "bikes.example"]
        assert main(["ping", *pinned]) == 0
        told = [f"{address}: {said}" for said in ("tiny version 1 is ready", "live: True", "ready: True")]
        assert capsys.readouterr().out.splitlines() == told


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ({"ca": "ours.pem"}, [], "no answer|UNAVAILABLE"),  # shows no certificate
        ({"ca": "caller.crt", "certificate": "caller.crt", "certificate_key": "caller.key"}, [], "CERTIFICATE_VERIFY"),
        ({"certificate": "caller.crt", "certificate_key": "caller.key"}, [], "CERTIFICATE_VERIFY_FAILED"),
        (
            {"ca": "ours.pem", "certificate": "caller.crt", "certificate_key": "caller.key"},
            ["--server-name", "other.example"],
            "CERTIFICATE_VERIFY_FAILED|UNAVAILABLE",
        ),
        (
            {"ca": "ours.pem", "certificate": "caller.crt", "certificate_key": "caller.key", "key_file": "wrong"},
            ["--model", "tiny"],
            "a key that is not known here",
        ),
        ({"ca": "ours.pem", "certificate": "caller.crt", "certificate_key": "caller.key"}, ["--model", "tiny"], "KEY"),
        ({"ca": "none.pem"}, [], "none.pem: cannot be read: No such file"),
    ],
)
def test_what_does_not_fit_is_not_ready(
    guarded: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, str],
    options: list[str],
    said: str,
) -> None:
    for address in guarded.values():
        assert main(["ping", address, *files(tmp_path, **given), *options, "--seconds", "5"]) > 0
        assert re.search(said, capsys.readouterr().err)


def test_a_probe_takes_any_certificate_and_sends_no_key(guarded: dict[str, str], tmp_path: Path) -> None:
    shown = files(tmp_path, certificate="caller.crt", certificate_key="caller.key")
    assert main(["ping", guarded["https"], "--unverified", *shown]) == 0
    assert main(["ping", guarded["https"], "--unverified", "--live"]) == 1  # the server still wants a certificate


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["http://127.0.0.1:1", "--unverified"], "expected https:// or grpcs:// with them, got http://"),
        (["grpc://127.0.0.1:1", "--ca", "ca.crt"], "expected https:// or grpcs:// with them, got grpc://"),
        (["https://127.0.0.1:1", "--certificate", "a.crt"], "--certificate: and --certificate-key come together"),
        (["grpcs://127.0.0.1:1", "--unverified"], "the server's own certificate will do"),
        (["https://127.0.0.1:1", "--unverified", "--key-file", "key"], "a key would go to whoever answers"),
        (["http://127.0.0.1:1", "--key-file", "/no/key"], "--key-file /no/key: cannot be read"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    line: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ping", *line]) > 0
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "st_one\nst_two\n", "schlüssel"], ids=["empty", "two lines", "no ASCII"])
def test_a_file_that_does_not_hold_one_key_is_told_of_without_its_text(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "note"
    file.write_text(text, encoding="utf-8")
    assert main(["ping", "http://127.0.0.1:1", "--key-file", str(file)]) > 0
    said = capsys.readouterr().err
    assert f"--key-file {file}: expected one line that holds the key" in said
    assert "st_two" not in said
