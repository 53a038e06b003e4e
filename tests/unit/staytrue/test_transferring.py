"""Transfer's settings and the files of weights that they name."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from staytrue.errors import CorruptData, NotFound
from staytrue.project import Project
from staytrue.transferring import TransferSection
from staytrue.weights import files, sha256

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rename": {"(": ""}, "weights": "w"}, "no regular expression"),
        ({"rename": {"a": r"\1"}, "weights": "w"}, "no regular expression"),
        ({"freeze": ["*"]}, "freeze goes with weights"),
        ({"at_least": 0}, "greater than 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TransferSection.model_validate(given)


def test_a_training_is_another_once_the_bytes_of_its_weights_are(tmp_path: Path) -> None:
    """Not where they only lie elsewhere; and without transfer a project's fingerprint knows nothing of it."""
    features = {"x": {"kind": "numeric"}}
    plain: dict[str, Any] = {"name": "toy", "data": {"source": "a.csv", "time": "at", "target": "y"}}
    plain["data"]["features"] = features

    def fingerprint(transfer: dict[str, Any]) -> str:
        return Project.model_validate({**plain, "training": {"transfer": transfer}}).fingerprint()

    for name, written in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(written)
    prints = [fingerprint({"weights": tmp_path / name}) for name in "abc"]
    assert prints[0] == prints[1] != prints[2]
    assert fingerprint({}) == Project.model_validate(plain).fingerprint() not in prints
    with pytest.raises(NotFound, match=r"training\.transfer\.weights: .*gone does not exist; name a file"):
        fingerprint({"weights": tmp_path / "gone"})
    assert TransferSection().sha256() == ""


def test_paths_are_of_the_projects_folder(tmp_path: Path) -> None:
    assert TransferSection.model_validate({"weights": "w"}).within(tmp_path).weights == tmp_path / "w"
    assert TransferSection().within(tmp_path) == TransferSection()


def test_a_folder_gives_what_it_holds(tmp_path: Path) -> None:
    """The usual names first, safetensors before PyTorch's; one other safetensors will do, two will not."""
    with pytest.raises(NotFound, match="got none of them"):
        files(tmp_path)
    for name in ("own.safetensors", "pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
        assert files(tmp_path) == [tmp_path / name]
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a.safetensors", "b.safetensors"):
        (other / name).write_bytes(b"")
    with pytest.raises(NotFound, match=r"got a\.safetensors, b\.safetensors; name the file"):
        files(other)


def test_an_index_gives_its_shards_and_one_digest_of_all(tmp_path: Path) -> None:
    """The digest as `sha256sum` writes its lines, then that of those."""
    shards = {"m-1.safetensors": b"one", "m-2.safetensors": b"two"}
    for name, written in shards.items():
        (tmp_path / name).write_bytes(written)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {"b": "m-2.safetensors", "a": "m-1.safetensors", "c": "m-1.safetensors"}})
    )
    assert files(tmp_path) == [tmp_path / name for name in shards]
    lines = "".join(f"{hashlib.sha256(written).hexdigest()}  {name}\n" for name, written in shards.items())
    assert sha256(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "m-2.safetensors").unlink()
    with pytest.raises(NotFound, match=r"m-2\.safetensors is missing, model\.safetensors\.index\.json names it"):
        files(index)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{", "is no index"),
        ("[]", "is no index"),
        ('{"weight_map": {"a": "../up"}}', r"files beside .*, got '\.\./up'"),
    ],
)
def test_an_index_that_is_none_or_leads_elsewhere_is_refused(tmp_path: Path, written: str, said: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(written, encoding="utf-8")
    with pytest.raises(CorruptData, match=said):
        files(index)
