"""Who is let in: keys, scopes, rates, rotation while requests come, and no word of a key anywhere."""

from __future__ import annotations

import logging
import math
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import access as accesses
from serving import identity as identities
from serving.access import LONGEST_SECRET, LOOK_SECONDS, Access, Bucket, key_or_insecure, secret_of
from serving.grpc.errors import STATUS as GRPC_STATUS
from serving.grpc.errors import trailing
from serving.identity import identity_of
from serving.keyring import SCOPES, Key, Limit, Scope, digest_of, write
from serving.keys import new_secret
from serving.rest.errors import STATUS as REST_STATUS
from serving.rest.errors import headers
from staytrue.errors import (
    ErrorCode,
    InvalidConfig,
    NotFound,
    Overloaded,
    PermissionDenied,
    StaytrueError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOP, OPS = new_secret(), new_secret()


def key(secret: str, name: str, *scopes: Scope, limit: Limit | None = None) -> Key:
    """A key as the file holds it."""
    return Key(name=name, digest=digest_of(secret), scopes=frozenset(scopes), limit=limit)


def put(path: Path, *keys: Key) -> None:
    """Write a keys file."""
    write(path, keys)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the times of files trusted at once, as they are later on."""
    monkeypatch.setattr(identities, "UNSETTLED_SECONDS", -60.0)


def settle(access: Access) -> None:
    """Wait for the thread that reads."""
    if access._reader is not None:
        access._reader.join(10)
        assert not access._reader.is_alive()


def let_in(access: Access, secret: str, now: float = 0.0) -> bool:
    """Whether a key may predict."""
    try:
        access.admit(secret, "predict", now)
    except Unauthenticated:
        return False
    return True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A keys file with two keys."""
    path = tmp_path / "keys.yaml"
    put(path, key(SHOP, "shop", "predict"), key(OPS, "ops", "admin", "metrics"))
    return path


def test_a_key_is_let_in_for_its_scopes_and_no_other(file: Path) -> None:
    access = Access(file)
    allowed = {"shop": {"predict"}, "ops": {"admin", "metrics"}}
    for name, secret in (("shop", SHOP), ("ops", OPS)):
        for scope in SCOPES:
            if scope in allowed[name]:
                found = access.admit(secret, scope, 0.0)
                assert found is not None
                assert found.name == name
            else:
                with pytest.raises(PermissionDenied, match=f'^key "{name}": expected scope {scope}, got'):
                    access.admit(secret, scope, 0.0)


@pytest.mark.parametrize(
    ("secret", "got"),
    [
        (None, "nothing"),
        ("", "a header without a key"),
        ("st_unknown", "a key that is not known here"),
        (SHOP[:-1], "a key that is not known here"),
        (SHOP + "A" * LONGEST_SECRET, "a key that is not known here"),
        ("\ud83d", "a key that is not known here"),
    ],
    ids=["none", "empty", "unknown", "cut", "long", "half"],
)
def test_who_has_no_key_and_who_has_a_wrong_one_is_told_so(file: Path, secret: str | None, got: str) -> None:
    with pytest.raises(Unauthenticated, match=f"^header Authorization: expected Bearer KEY, got {got}; or send"):
        Access(file).admit(secret, "predict", 0.0)


def test_the_hash_of_a_key_is_no_key(file: Path) -> None:
    access = Access(file)
    assert not let_in(access, digest_of(SHOP).hex())
    assert not let_in(access, digest_of(SHOP).decode("latin-1"))
    assert let_in(access, SHOP)


def test_a_longer_text_is_not_taken_for_the_key_that_it_begins_with(tmp_path: Path) -> None:
    longest = "x" * LONGEST_SECRET
    put(tmp_path / "keys.yaml", key(longest, "long", "predict"))
    access = Access(tmp_path / "keys.yaml")
    assert let_in(access, longest)
    assert not let_in(access, longest + "x")


def test_without_a_file_everybody_is_let_in() -> None:
    for secret in (None, "", "anything"):
        for scope in SCOPES:
            assert Access.open().admit(secret, scope, 0.0) is None


def test_a_file_without_keys_lets_nobody_in(tmp_path: Path) -> None:
    put(tmp_path / "keys.yaml")
    assert not let_in(Access(tmp_path / "keys.yaml"), SHOP)


@pytest.mark.parametrize("text", ["", "keys:", "- 1", "keys: [1]"])
def test_a_server_does_not_start_with_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.yaml").write_text(text)
    with pytest.raises(InvalidConfig, match=r"keys\.yaml"):
        Access(tmp_path / "keys.yaml")


def test_a_server_does_not_start_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"cannot be read: No such file or directory; `staytrue keys new"):
        Access(tmp_path / "keys.yaml")


@pytest.mark.usefixtures("settled")
def test_a_key_that_is_removed_stops_working_and_a_new_one_works_within_a_look(file: Path) -> None:
    access = Access(file)
    assert let_in(access, SHOP, 10.0)
    new = new_secret()
    put(file, key(OPS, "ops", "admin"), key(new, "shop", "predict"))
    assert let_in(access, SHOP, 10.0 + LOOK_SECONDS / 2)  # looked at once a second, no more
    access.admit(OPS, "admin", 10.0 + LOOK_SECONDS)
    settle(access)
    assert not let_in(access, SHOP, 10.0 + LOOK_SECONDS)
    assert let_in(access, new, 10.0 + LOOK_SECONDS)


@pytest.mark.usefixtures("settled")
def test_a_request_with_a_wrong_key_has_the_file_looked_at_too(file: Path) -> None:
    access = Access(file)
    new = new_secret()
    put(file, key(new, "new", "predict"))
    assert not let_in(access, "wrong", LOOK_SECONDS)
    settle(access)
    assert let_in(access, new, LOOK_SECONDS)


def test_a_change_that_leaves_size_and_times_as_they_were_is_seen_while_the_file_is_young(tmp_path: Path) -> None:
    path, new = tmp_path / "keys.yaml", new_secret()
    write(path, (key(SHOP, "shop", "predict"),))
    access = Access(path)
    before = identity_of(path)
    other = path.read_bytes().replace(digest_of(SHOP).hex().encode(), digest_of(new).hex().encode())
    with path.open("r+b") as file:  # in place, so that inode and size stay
        file.write(other)
    os.utime(path, ns=(before[0], before[0]))
    access.refresh()
    assert (let_in(access, new), let_in(access, SHOP)) == (True, False)


@pytest.mark.usefixtures("settled")
def test_a_secret_of_kubernetes_is_followed_through_its_links(tmp_path: Path) -> None:
    for version, secret in (("..1", SHOP), ("..2", OPS)):
        (tmp_path / version).mkdir()
        put(tmp_path / version / "keys.yaml", key(secret, "shop", "predict"))
    same = (1000.0, 1000.0)
    for version in ("..1", "..2"):
        os.utime(tmp_path / version / "keys.yaml", same)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "keys.yaml").symlink_to("..data/keys.yaml")
    access = Access(tmp_path / "keys.yaml")
    assert (let_in(access, SHOP), let_in(access, OPS)) == (True, False)
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    access.refresh()
    assert (let_in(access, SHOP), let_in(access, OPS)) == (False, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys:\n- {name: shop\n", r"keys\.yaml:3: is not YAML"),
        ("keys:\n- name: shop\n  sha256: nothing\n", r"keys\.yaml:2 keys\.0\.sha256: expected 64 hexadecimal digits"),
        ("", "expected one key `keys` with a list, got nothing"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_broken_file_leaves_the_keys_as_they_were_and_is_logged_once(
    file: Path, text: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    access, good = Access(file), file.read_text()
    caplog.set_level(logging.INFO)
    for turn in range(2):  # what was mended may break again
        caplog.clear()
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        for _ in range(3):
            access.refresh()
        assert (let_in(access, SHOP), let_in(access, "wrong")) == (True, False)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert caplog.records[0].getMessage().startswith("the keys stay what they were: keys ")
        with pytest.raises(InvalidConfig, match=said):
            raise InvalidConfig(caplog.records[0].getMessage())
        file.write_text(good + "\n" * turn)
        access.refresh()
        assert let_in(access, SHOP)


@pytest.mark.usefixtures("settled")
def test_a_file_that_did_not_change_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(file)
    access.refresh()

    def fail(_: Path) -> str:
        raise AssertionError

    monkeypatch.setattr(accesses, "text_of", fail)
    for second in range(5):
        assert let_in(access, SHOP, float(second))
    assert access._reader is None


def test_a_key_may_ask_as_often_as_its_rate_and_is_told_truly_when_again(tmp_path: Path) -> None:
    put(tmp_path / "keys.yaml", key(SHOP, "shop", "predict", limit=Limit(4.0, 2.0)), key(OPS, "ops", "predict"))
    access = Access(tmp_path / "keys.yaml")
    for _ in range(2):
        access.admit(SHOP, "predict", 100.0)
    with pytest.raises(Overloaded, match=r'^key "shop": expected at most 4 requests a second, got more') as refused:
        access.admit(SHOP, "predict", 100.0)
    assert refused.value.retry_seconds == 0.25
    with pytest.raises(Overloaded) as refused:
        access.admit(SHOP, "predict", 100.125)
    assert refused.value.retry_seconds == 0.125
    assert access.admit(SHOP, "predict", 100.25) is not None
    for _ in range(100):
        access.admit(OPS, "predict", 100.25)


def test_what_a_key_has_used_of_its_rate_outlives_a_change_of_others(tmp_path: Path) -> None:
    path, limited = tmp_path / "keys.yaml", key(SHOP, "shop", "predict", limit=Limit(0.001, 1.0))
    put(path, limited)
    access = Access(path)
    access.admit(SHOP, "predict", 0.0)
    put(path, limited, key(OPS, "ops", "admin"))
    access.refresh()
    access.admit(OPS, "admin", 0.0)
    with pytest.raises(Overloaded):
        access.admit(SHOP, "predict", 0.0)
    put(path, key(SHOP, "shop", "predict", limit=Limit(0.001, 2.0)))
    access.refresh()
    access.admit(SHOP, "predict", 0.0)


def test_many_threads_take_no_more_than_there_is() -> None:
    bucket, taken = Bucket(Limit(0.001, 500.0)), []

    def take() -> None:
        taken.append(sum(bucket.take(0.0) == 0.0 for _ in range(200)))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(taken) == 500


@given(
    st.floats(0.001, 1e6),
    st.floats(1.0, 1e4),
    st.lists(st.floats(-1.0, 10.0, allow_nan=False), min_size=1, max_size=60),
)
def test_over_any_times_a_bucket_gives_no_more_than_burst_and_rate(
    rate: float, burst: float, steps: Iterable[float]
) -> None:
    bucket, now, latest, first, given_ = Bucket(Limit(rate, burst)), 0.0, -math.inf, None, 0
    for step in steps:
        now += step  # which may go back: threads come in any order
        first = now if first is None else first
        latest = max(latest, now)
        wait = bucket.take(now)
        assert 0.0 <= wait <= 1.0 / rate + 1e-9
        given_ += wait == 0.0
        assert given_ <= burst + (latest - first) * rate + 1e-6 * (1 + rate)


@given(st.floats(0.001, 1e4), st.floats(1.0, 20.0))
def test_who_waits_as_long_as_told_is_let_in(rate: float, burst: float) -> None:
    bucket = Bucket(Limit(rate, burst))
    while not (wait := bucket.take(0.0)):
        pass
    assert bucket.take(wait * 0.99) > 0.0
    assert bucket.take(wait * 1.001) == 0.0


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "secret"),
    [
        ("Bearer k", None, "k"),
        ("bearer  k ", None, "k"),
        ("BEARER k", None, "k"),
        (None, "k", "k"),
        (None, " k\t", "k"),
        ("Basic dXNlcg==", "k", "k"),
        ("Bearer of-a-proxy", "k", "k"),
        ("Bearer k", "", "k"),
        ("Bearer k", " ", "k"),
        ("Bearer", None, ""),
        ("Bearer ", None, ""),
        ("Bearerk", None, ""),
        ("k", None, ""),
        ("", None, ""),
        (None, "", ""),
        (None, None, None),
    ],
)
def test_the_key_is_found_in_both_headers(authorization: str | None, x_api_key: str | None, secret: str | None) -> None:
    assert secret_of(authorization, x_api_key) == secret


ANY = st.one_of(
    st.none(), st.text(), st.binary().map(lambda sent: sent.decode("latin-1")), st.text().map("Bearer ".__add__)
)
"""Headers as nobody should send them; texts of Hypothesis hold no halves of characters, so these are added."""
HALF = st.sampled_from(["\ud800", "Bearer \udfff", "\ud83d" * 300])


@given(st.one_of(ANY, HALF), st.one_of(ANY, HALF), st.sampled_from(SCOPES))
def test_any_headers_are_let_in_or_refused_in_our_words(
    authorization: str | None, x_api_key: str | None, scope: Scope
) -> None:
    access = Access.open()
    access._path = Path(__file__)  # as if there were a file, which is not looked at
    access._next_look = math.inf
    with pytest.raises(StaytrueError) as refused:
        access.admit(secret_of(authorization, x_api_key), scope, 0.0)
    assert refused.value.code is ErrorCode.UNAUTHENTICATED
    str(refused.value).encode()


def test_no_key_and_no_part_of_one_is_shown_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "keys.yaml"
    put(path, key(SHOP, "shop", "predict", limit=Limit(1.0, 1.0)))
    access = Access(path)
    told: list[str] = [repr(access), str(access)]
    attempts: list[tuple[str, Scope]] = [(SHOP, "predict"), (SHOP, "predict"), (SHOP, "admin"), (OPS, "predict")]
    for secret, scope in attempts:
        try:
            told.append(repr(access.admit(secret, scope, 0.0)))
        except StaytrueError as error:
            told += [str(error), repr(error), repr(vars(error)), repr(headers(error)), repr(trailing(error))]
    # Keys in the wrong place: what is said of the file does not quote them either.
    for text in (
        f"keys: {OPS}",
        f"keys: [{OPS}]",
        f"keys: [*{OPS}]",
        f"keys: [!{OPS} a]",
        f"{OPS}: 1",
        f"keys: [{{{OPS}: 1}}]",
        f"keys: [{{name: {OPS}, sha256: {'0' * 64}, scopes: [predict]}}]",
        f"keys: [{{name: {OPS[3:]}, sha256: {'0' * 64}, scopes: [predict]}}]",
        f"keys: [{{name: a, sha256: {OPS}, scopes: [predict]}}]",
        f"keys: [{{name: a, sha256: {'0' * 64}, scopes: [{OPS}]}}]",
        f"keys: [{{name: a, sha256: {'0' * 64}, scopes: {OPS}}}]",
        f"keys: [{{name: a, sha256: {'0' * 64}, scopes: [predict], burst: {OPS}}}]",
        f"keys: [{{name: a, {OPS}: 1, {OPS}: 2}}]",
        f"keys: [{{{OPS}",
    ):
        path.write_text(text)
        access.refresh()
    assert len(told) == 2 + 1 + 3 * 5
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) > 8
    told += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    parts = [secret[at : at + 6] for secret in (SHOP, OPS) for at in range(3, len(secret) - 6)]
    assert [part for part in parts if part in "\n".join(told)] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_loopback_needs_no_keys(host: str) -> None:
    key_or_insecure(host, keys=None, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])  # noqa: S104 - not bound
def test_another_address_needs_keys_or_a_deliberate_word(host: str) -> None:
    key_or_insecure(host, keys=Path("keys.yaml"), insecure=False)
    key_or_insecure(host, keys=None, insecure=True)
    with pytest.raises(
        InvalidConfig, match=f"^host {host}: expected a loopback address .*, or keys, got {host}; `stay"
    ):
        key_or_insecure(host, keys=None, insecure=False)


def test_both_tables_know_who_is_not_let_in_and_who_asks_too_often() -> None:
    codes = (ErrorCode.UNAUTHENTICATED, ErrorCode.PERMISSION_DENIED, ErrorCode.OVERLOADED)
    assert [REST_STATUS[code] for code in codes] == [401, 403, 429]
    names = ["UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"]
    assert [GRPC_STATUS[code].name for code in codes] == names
    assert set(REST_STATUS) == set(GRPC_STATUS) == set(ErrorCode)


@pytest.mark.parametrize(
    ("error", "rest", "pushback"),
    [
        (Overloaded("a"), {"Retry-After": "1"}, "1000"),
        (Unavailable("a"), {"Retry-After": "1"}, "1000"),
        (Overloaded("a", retry_seconds=0.25), {"Retry-After": "1"}, "250"),
        (Overloaded("a", retry_seconds=0.0), {"Retry-After": "1"}, "1"),
        (Overloaded("a", retry_seconds=2.0), {"Retry-After": "2"}, "2000"),
        (Overloaded("a", retry_seconds=2.0001), {"Retry-After": "3"}, "2001"),
        (NotFound("a"), {}, None),
        (PermissionDenied("a"), {}, None),
        (Unauthenticated("a"), {"WWW-Authenticate": "Bearer"}, None),
    ],
)
def test_both_protocols_say_when_to_come_again(
    error: StaytrueError, rest: dict[str, str], pushback: str | None
) -> None:
    assert headers(error) == rest
    more: dict[str, Any] = dict(trailing(error))
    assert more == {"staytrue-code": error.code.value} | ({"grpc-retry-pushback-ms": pushback} if pushback else {})
