"""A change of the keys file that could not be read at once is not lost, and one that is broken is told of once."""

from __future__ import annotations

import errno
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from serving import access as accesses
from serving import identity as identities
from serving import keyring
from serving.access import Access
from serving.keyring import Key, digest_of, write
from serving.keys import new_secret
from staytrue.errors import Unauthenticated

SHOP, OPS = new_secret(), new_secret()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A keys file with two keys, whose times are trusted at once."""
    monkeypatch.setattr(identities, "UNSETTLED_SECONDS", -60.0)
    put(tmp_path / "keys.yaml", SHOP, OPS)
    return tmp_path / "keys.yaml"


def put(path: Path, *secrets: str) -> None:
    """Write a keys file."""
    keys = [
        Key(name=f"key-{place}", digest=digest_of(s), scopes=frozenset({"predict"})) for place, s in enumerate(secrets)
    ]
    write(path, tuple(keys))


def let_in(access: Access, secret: str) -> bool:
    """Whether a key may predict, by what was read so far."""
    access._next_look = float("inf")  # this request has nothing read
    try:
        access.admit(secret, "predict", 0.0)
    except Unauthenticated:
        return False
    return True


def test_a_key_removed_while_the_file_could_not_be_opened_is_refused_at_the_next_look(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    access = Access(file)
    put(file, OPS)

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        access.refresh()
        access.refresh()
    assert caplog.text.count("Too many open files") == 1
    assert let_in(access, SHOP)
    access.refresh()
    assert (let_in(access, SHOP), let_in(access, OPS)) == (False, True)


def test_a_broken_file_is_read_once_and_again_when_it_changes(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    access = Access(file)
    reads, parse = list[str](), keyring.parse

    def counted(path: Path, text: str) -> tuple[Key, ...]:
        reads.append(text)
        return parse(path, text)

    monkeypatch.setattr(accesses, "parse", counted)
    file.write_text("keys: 1\n")
    with caplog.at_level(logging.ERROR):
        access.refresh()
        access.refresh()
    assert (len(reads), caplog.text.count("the keys stay what they were")) == (1, 1)
    assert let_in(access, SHOP)
    put(file, OPS)
    access.refresh()
    assert (len(reads), let_in(access, SHOP), let_in(access, OPS)) == (2, False, True)


def test_where_no_thread_can_be_started_the_request_is_answered_by_the_file_as_it_is_now(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(file)
    put(file, OPS)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    key = access.admit(OPS, "predict", 0.0)
    assert key is not None
    assert not let_in(access, SHOP)
