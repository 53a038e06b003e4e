"""A store at an address: nothing half seen, nothing written over, no change lost, and every byte checked."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.registry import _registry

from staytrue.bundle import SEAL
from staytrue.clearing import clear
from staytrue.command import main
from staytrue.copies import Copies
from staytrue.errors import Conflict, CorruptData, InvalidConfig, InvalidInput, NotFound, Unavailable
from staytrue.fetching import fetch
from staytrue.objects import MARK_SECONDS, Objects
from staytrue.publishing import Claim
from staytrue.records import to_json
from staytrue.remote import Remote
from staytrue.store import Store
from tests.buckets import Bucket, Heedless, Memory
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Keys(Objects):
    """A version that holds one object, by its key."""

    def __init__(self, key: str) -> None:
        super().__init__("memory://bucket/store")
        self._key = key

    def read(self, path: str) -> bytes | None:
        """A seal, and nothing else."""
        return b"seal" if path.endswith(SEAL) else None

    def sizes(self, folder: str) -> dict[str, int]:
        """That key, as a client lists it, and the seal."""
        del folder
        return {self._key.removeprefix("1/"): 1, SEAL: 1}

    def download(self, path: str, file: Path) -> bool:
        """Written wherever it is asked for."""
        del path
        file.write_bytes(b"!")
        return True


KINDS = {"memory": Memory, "s3": Bucket, "gateway": Heedless}


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Of a store that is empty: one that knows no condition, one that does, and one that does not heed it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where copies lie if nobody says where
    kind = KINDS[request.param]
    monkeypatch.setitem(_registry, kind.protocol, kind)
    made = f"{kind.protocol}://bucket/store"
    yield made
    files, _ = fsspec.core.url_to_fs(made)
    with contextlib.suppress(FileNotFoundError):
        files.rm("/bucket", recursive=True)


@pytest.fixture
def store(address: str, tmp_path: Path) -> Store:
    """Three versions, nobody's champion yet."""
    made = Store(address, cache=tmp_path / "cache")
    for factor in (1.0, 2.0, 3.0):
        publish(made, factor)
    return made


def other(store: Store, tmp_path: Path, **how: Any) -> Store:
    """The same store as another machine sees it."""
    return Store(store.where, cache=tmp_path / "other", **how)


def paths(store: Store) -> dict[str, bytes]:
    """All objects of a store, by their paths from it."""
    objects = Objects(store.where)
    return {path: objects.read(path) or b"" for name in objects.names("") for path in _below(objects, name)}


def _below(objects: Objects, name: str) -> list[str]:
    return [f"{name}/{path}" for path in objects.sizes(name)]


def together(work: Any, times: int) -> list[Any]:
    """What threads gave that did the same at the same time; what one of them raised is raised."""
    done, failed, gate = list[Any](), list[BaseException](), threading.Barrier(times)

    def one(number: int) -> None:
        gate.wait()
        try:
            done.append(work(number))
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return done


def test_versions_are_published_promoted_and_rolled_back_as_in_a_folder(store: Store, tmp_path: Path) -> None:
    assert (store.versions("tiny"), store.models()) == (["1", "2", "3"], [])
    store.promote("tiny", "1", reason="first", figures={"gain": 0.5})
    store.promote("tiny", "2", reason="better", expected="1")
    store.set_canary("tiny", "3", 0.1, reason="try")
    store.set_shadow("tiny", "1", reason="watch")
    there = other(store, tmp_path)
    assert (there.models(), there.versions("tiny")) == (["tiny"], ["1", "2", "3"])
    assert (there.aliases("tiny").champion, there.aliases("tiny").traffic) == ("2", {"3": 0.1})
    assert there.roll_back("tiny", reason="worse").champion == "1"
    told = [(change.revision, change.action, change.champion, change.before) for change in there.journal("tiny")]
    assert told == [
        (1, "promote", "1", ""),
        (2, "promote", "2", "1"),
        (3, "canary", "2", "2"),
        (4, "shadow", "2", "2"),
        (5, "roll back", "1", "2"),
    ]
    assert there.journal("tiny")[0].figures == {"gain": 0.5}
    assert there.load("tiny", "3").version == "3"
    assert there.path("tiny", "3").is_relative_to(tmp_path / "other")


def test_what_is_there_is_never_written_over(store: Store) -> None:
    """Aliases too are new objects: a writer that is late cannot undo what was done since."""
    store.promote("tiny", "1", reason="first")
    before = paths(store)
    publish(store, 4.0)
    store.promote("tiny", "2", reason="second")
    after = paths(store)
    assert {path: after[path] for path in before} == before
    assert sorted(path for path in after.keys() - before.keys() if "/4/" not in path) == [
        "tiny/revisions/00000002.json"
    ]


def test_publishers_at_the_same_time_get_versions_of_their_own(store: Store, address: str, tmp_path: Path) -> None:
    def work(number: int) -> str:
        return publish(Store(address, cache=tmp_path / str(number)), 10.0 + number)

    assert sorted(together(work, 6), key=int) == ["4", "5", "6", "7", "8", "9"]
    assert [store.load("tiny", version).version for version in store.versions("tiny")] == [*"123456789"]
    assert not Objects(address).names("tiny/claims")


def test_changes_at_the_same_time_all_enter_the_journal(store: Store, address: str, tmp_path: Path) -> None:
    store.promote("tiny", "1", reason="first")

    def work(number: int) -> bool:
        mine = Store(address, cache=tmp_path / str(number))
        with contextlib.suppress(Conflict):  # it became the champion already
            mine.promote("tiny", "23"[number % 2], reason=f"race {number}")
            return True
        return False

    done = sum(together(work, 6))
    journal = store.journal("tiny")
    assert [change.revision for change in journal] == list(range(1, done + 2))
    assert [change.before for change in journal[1:]] == [change.champion for change in journal[:-1]]
    assert other(store, tmp_path).aliases("tiny").champion == journal[-1].champion


def test_a_decision_against_another_champion_stands_no_more(store: Store, tmp_path: Path) -> None:
    store.promote("tiny", "1", reason="first")
    other(store, tmp_path).promote("tiny", "2", reason="meanwhile", expected="1")
    with pytest.raises(Conflict, match="expected 1, got 2"):
        store.promote("tiny", "3", reason="too late", expected="1")
    assert other(store, tmp_path).aliases("tiny").champion == "2"


def test_a_version_is_seen_when_all_of_it_is_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, upload, there = list[list[str]](), Objects.upload, other(store, tmp_path)

    def watched(self: Objects, file: Path, path: str) -> None:
        upload(self, file, path)
        seen.append(there.versions("tiny"))

    monkeypatch.setattr(Objects, "upload", watched)
    publish(store, 4.0)
    assert seen == [["1", "2", "3"]] * 4  # model, profile, card, manifest; then the seal
    assert there.load("tiny", "4").version == "4"


@pytest.mark.parametrize("uploads", [0, 2])
def test_one_that_fails_leaves_a_number_that_nobody_gets(
    uploads: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sent may still arrive: in the folder of the next one it would lie among the files of that."""
    before, upload, gone = paths(store), Objects.upload, list[str]()

    def fail(self: Objects, file: Path, path: str) -> None:
        if len(gone) == uploads:
            raise Unavailable(path, "is not reached")
        gone.append(path)
        upload(self, file, path)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "upload", fail)
        with pytest.raises(Unavailable, match="is not reached"):
            publish(store, 4.0)
    assert (paths(store), list(store.root.glob("tiny/.making-*"))) == (before | {f"tiny/4/{SEAL}": b""}, [])
    Objects(store.where).write("tiny/4/model.onnx", b"late")
    assert (publish(store, 5.0), store.versions("tiny")) == ("5", ["1", "2", "3", "5"])
    clear(store, "tiny", keep=9)
    assert Objects(store.where).sizes("tiny/4") == {SEAL: 0}


def test_one_that_fails_before_anything_is_sent_leaves_nothing(store: Store) -> None:
    before = paths(store)

    def failing() -> None:
        with store.new_version("tiny"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert paths(store) == before
    assert publish(store, 4.0) == "4"


def test_one_that_is_interrupted_at_its_seal_is_whole_or_no_version(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the waiting, and not what waits for the store elsewhere: the seal may come when all else is gone."""
    create, late = Objects.create, list[bytes]()

    def interrupted(self: Objects, path: str, data: bytes) -> bool:
        if path == f"tiny/4/{SEAL}" and data:
            late.append(data)
            raise KeyboardInterrupt
        return create(self, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "create", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish(store, 4.0)
    assert not Objects(store.where).create(f"tiny/4/{SEAL}", late[0])
    assert store.versions("tiny") == ["1", "2", "3"]
    assert publish(store, 5.0) == "5"


def test_what_a_killed_publisher_left_is_no_version_and_goes_after_a_day(store: Store, address: str) -> None:
    objects = Objects(address)
    objects.write("tiny/claims/4", to_json(Claim(writer="dead", time=0.0)))
    objects.write("tiny/4/model.onnx", b"half")
    objects.write("tiny/claims/5", to_json(Claim(writer="alive", time=4e9)))
    assert store.versions("tiny") == ["1", "2", "3"]
    with pytest.raises(NotFound, match="versions: 1, 2, 3"):
        store.path("tiny", "4")
    assert publish(store, 5.0) == "6"
    clear(store, "tiny", keep=9)
    assert objects.sizes("tiny/4") == {SEAL: 0}  # nobody gets this number any more
    assert objects.names("tiny/claims") == ["5"]
    assert store.versions("tiny") == ["1", "2", "3", "6"]
    with pytest.raises(NotFound, match="versions: 1, 2, 3, 6"):
        store.path("tiny", "4")


def test_versions_are_cleared_away_and_their_numbers_not_given_again(store: Store, tmp_path: Path) -> None:
    publish(store, 4.0)
    store.promote("tiny", "2", reason="first")
    size = sum(len(data) for path, data in paths(store).items() if path.startswith("tiny/1/"))
    assert clear(store, "tiny", keep=1, dry=True).removed["1"] == size
    assert store.versions("tiny") == ["1", "2", "3", "4"]
    found = clear(store, "tiny", keep=1)
    assert (list(found.removed), found.kept) == (["1", "3"], {"2": "champion", "4": "the newest"})
    assert not [path for path in paths(store) if path.startswith(("tiny/1/", "tiny/3/"))]
    assert [change.action for change in store.journal("tiny")] == ["promote"]
    there = other(store, tmp_path)
    assert (there.versions("tiny"), there.aliases("tiny").champion) == (["2", "4"], "2")
    assert publish(store, 5.0) == "5"


def test_who_gets_a_part_while_versions_are_cleared_away_stays(store: Store, tmp_path: Path) -> None:
    """A lock would hold the other up; here whoever is second looks again."""
    store.promote("tiny", "3", reason="first")
    asked: list[str] = []

    def needed() -> list[str]:
        if not asked:
            other(store, tmp_path).promote("tiny", "1", reason="meanwhile")
        asked.append("asked")
        return ["3"] if len(asked) == 1 else ["3", store.aliases("tiny").champion]

    assert list(store.clear("tiny", needed, dry=False)) == ["2"]
    assert (store.versions("tiny"), store.load("tiny", "1").version) == (["1", "3"], "1")


def test_who_is_leaving_gets_no_part(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was killed between telling and deleting left all its bytes there; the next clearing deletes them."""
    store.promote("tiny", "3", reason="first")
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "_delete", lambda *_: None)
        clear(store, "tiny", keep=1)
    there = other(store, tmp_path)
    with pytest.raises(NotFound, match='has no version "1"'):
        there.promote("tiny", "1", reason="late")
    there.set_shadow("tiny", publish(store, 4.0), reason="go on")
    with pytest.raises(NotFound, match='has no version "1"'):
        there.promote("tiny", "1", reason="later still")
    clear(store, "tiny", keep=9)
    assert store.versions("tiny") == ["3", "4"]


def test_a_plain_store_that_was_copied_there_goes_on(address: str, tmp_path: Path) -> None:
    plain = Store(tmp_path / "plain")
    for factor in (1.0, 2.0):
        plain.promote("tiny", publish(plain, factor), reason=f"factor {factor}")
    files, base = fsspec.core.url_to_fs(address)
    files.put(str(plain.root) + "/", base + "/", recursive=True)
    store = Store(address, cache=tmp_path / "cache")
    assert (store.models(), store.aliases("tiny"), store.journal("tiny")) == (
        ["tiny"],
        plain.aliases("tiny"),
        plain.journal("tiny"),
    )
    assert store.roll_back("tiny", reason="back").champion == "1"
    assert [change.action for change in store.journal("tiny")] == ["promote", "promote", "roll back"]


def test_a_byte_that_changed_at_the_address_is_refused(store: Store, address: str) -> None:
    objects = Objects(address)
    data = objects.read("tiny/2/model.onnx") or b""
    objects.write("tiny/2/model.onnx", data[:50] + bytes([data[50] ^ 1]) + data[51:])
    with pytest.raises(CorruptData, match=f"{address}/tiny/2/model.onnx"):
        store.load("tiny", "2")
    with pytest.raises(CorruptData):
        store.promote("tiny", "2", reason="bad")
    assert not [path for path in store.root.rglob("*") if path.is_file() and path.name != ".lock"]
    assert store.load("tiny", "1").version == "1"


def test_a_promotion_looks_at_the_store_and_not_at_a_copy(store: Store, address: str) -> None:
    store.load("tiny", "2")
    Objects(address).write("tiny/2/model.onnx", b"changed since")
    assert store.load("tiny", "2").version == "2"  # of the copy, which is proven
    with pytest.raises(CorruptData):
        store.promote("tiny", "2", reason="bad")


def test_a_copy_whose_bytes_changed_is_taken_anew(store: Store) -> None:
    file = store.path("tiny", "1") / "model.onnx"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + b"x")
    assert store.load("tiny", "1").version == "1"
    assert file.read_bytes() == before


def test_only_the_copies_asked_for_last_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("staytrue.copies.KEPT", 2)
    for version in ("1", "2", "3"):
        store.load("tiny", version)
    assert sorted(path.name for path in (store.root / "tiny").iterdir()) == [".lock", "2", "3"]


def test_versions_are_signed_and_the_signature_is_taken_along(store: Store, tmp_path: Path) -> None:
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    from cryptography.hazmat.primitives import serialization

    form = serialization.Encoding.PEM
    for name in ("ours", "theirs"):
        key = ed25519.Ed25519PrivateKey.generate()
        plain = (form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(key.private_bytes(*plain))
        public = key.public_key().public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(public)
    there = other(store, tmp_path, trusted_keys=tmp_path / "ours.pub")
    with pytest.raises(CorruptData, match="is not signed"):
        there.load("tiny", "1")
    store.sign("tiny", "1", tmp_path / "theirs.pem")
    with pytest.raises(CorruptData, match="is of none of the keys"):
        there.load("tiny", "1")
    store.sign("tiny", "1", tmp_path / "ours.pem")
    assert there.load("tiny", "1").version == "1"


def test_a_store_at_an_address_is_copied_into_a_folder(store: Store, address: str, tmp_path: Path) -> None:
    store.promote("tiny", "1", reason="first")
    store.promote("tiny", "2", reason="second")
    Objects(address).write("tiny/9/model.onnx", b"still going up")
    assert fetch(address, tmp_path / "target") == {"tiny": ["1", "2", "3"]}
    target = Store(tmp_path / "target")
    assert (target.aliases("tiny"), target.journal("tiny")) == (store.aliases("tiny"), store.journal("tiny"))
    assert target.roll_back("tiny", reason="a folder as any other").champion == "1"
    assert sorted(path.name for path in target.root.iterdir()) == ["tiny"]


@pytest.mark.usefixtures("store")
def test_commands_take_an_address(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = ["--store", address]
    assert main(["promote", "tiny", "1", "--reason", "first", *where]) == 0
    assert main(["promote", "tiny", "3", "--reason", "third", *where]) == 0
    assert main(["rollback", "tiny", "--reason", "back", *where]) == 0
    assert main(["models", *where]) == 0
    assert "tiny: versions 1 (champion), 2, 3\n" in capsys.readouterr().out
    assert main(["show", "tiny", *where]) == 0
    assert main(["diff", "tiny", "1", "2", *where]) == 0
    assert "nothing but name and date" in capsys.readouterr().out
    assert main(["gc", "tiny", "--keep", "1", *where]) == 0
    assert "tiny 2: gone" in capsys.readouterr().out
    objects = Objects(address)
    objects.write("tiny/3/profile.json", b"[]")
    assert main(["verify", "tiny", *where]) == 1
    said = capsys.readouterr().out
    assert f"tiny 3: {address}/tiny/3/profile.json: expected SHA-256" in said
    assert "tiny 1: 3 files, 5 proofs, all hold" in said


def test_a_model_whose_revision_cannot_be_read_hides_no_other(store: Store, address: str) -> None:
    store.promote("tiny", "1", reason="first")
    Objects(address).write("broken/revisions/00000001.json", b"{")
    assert store.models() == ["broken", "tiny"]
    with pytest.raises(CorruptData, match=r"broken/revisions/00000001\.json"):
        store.standing("broken")


@pytest.mark.parametrize("key", ["1//{there}/planted", "1/../../../../planted"])
def test_keys_cannot_lead_out_of_the_copies(key: str, tmp_path: Path) -> None:
    """A key may hold two slashes, and so an absolute path, before any seal or signature is looked at."""
    copies = Copies(Keys(key.format(there=str(tmp_path).lstrip("/"))), tmp_path / "cache")
    with pytest.raises(CorruptData, match="a file outside the bundle"):
        copies.get("tiny", "1")
    assert not list(tmp_path.rglob("planted"))


def test_names_cannot_lead_out_of_the_store(store: Store) -> None:
    for name in ("..", "a/b", "", ".hidden"):
        with pytest.raises(InvalidInput, match="model name"):
            store.aliases(name)
    with pytest.raises(NotFound, match="models: none yet"):
        store.aliases("tinny")


def test_an_address_that_is_not_reached_or_known_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "ls", refuse)
    with pytest.raises(
        Unavailable,
        match=r"memory://bucket/store: is closed to us: PermissionError: Forbidden; look at the credentials",
    ):
        Store("memory://bucket/store").models()
    unknown = Store("nothing-like-it://me:geheim@host/store", cache=tmp_path)
    with pytest.raises(InvalidConfig, match="install the package that reads this kind of address") as caught:
        unknown.models()
    assert "geheim" not in str(caught.value) + unknown.where


def test_writers_without_a_condition_agree_who_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """And wait for nobody who was killed: a mark a minute old counts no more."""
    monkeypatch.setitem(_registry, "memory", Memory)
    objects = Objects("memory://agreeing")
    made = together(lambda number: objects.create("claims/1", str(number).encode()), 6)
    assert sorted(made) == [False] * 5 + [True]
    assert objects.names("claims") == ["1"]
    objects.write("claims/.mark-2-0-dead", b"1")
    assert objects.create("claims/2", b"x")
    assert MARK_SECONDS > 30  # clocks of machines differ


def test_a_write_whose_answer_was_lost_is_known_again() -> None:
    objects = Objects("memory://lost")
    assert objects.create("revisions/1", b"mine")
    assert objects.create("revisions/1", b"mine")
    assert not objects.create("revisions/1", b"theirs")


def test_a_folder_may_be_told_by_its_address(tmp_path: Path) -> None:
    made = Store(f"file://{tmp_path}/store")
    made.promote("tiny", publish(made, 1.0), reason="first")
    assert Store(tmp_path / "store").aliases("tiny").champion == "1"
