"""A training that begins with the weights of a run: what stays, what is kept of it, and going on after a kill."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch

from staytrue.bundle import digest
from staytrue.checkpoint import WEIGHTS
from staytrue.errors import Conflict, CorruptData
from staytrue.transferring import TransferSection
from tests.killing import cut
from training import checkpoint as checkpoints
from training.run import train
from training.transfer.reading import read

if TYPE_CHECKING:
    from staytrue.project import Project


def beginning(project: Project, **given: Any) -> Project:
    """A brief training with such a transfer, its state kept after every step."""
    settings = {"epochs": 2, "checkpoint_seconds": 0, "transfer": TransferSection.model_validate(given)}
    return project.model_copy(update={"training": project.training.model_copy(update=settings)})


def test_a_killed_run_goes_on_from_a_runs_weights_to_the_same_ones(project: Project) -> None:
    """To the bit; the frozen layer is the first run's, and with other weights it is not gone on with."""
    first = train(beginning(project), opening="skip")
    names = list(safetensors.torch.load_file(first / WEIGHTS))
    frozen = [name for name in names if name.startswith(names[0].rpartition(".")[0])]
    begun = beginning(project, weights=first, freeze=frozen, layer_decay=0.5)
    said: list[str] = []
    whole = train(begun, opening="skip", say=said.append)
    assert any(line.startswith("transfer: 100.0% of") for line in said)
    folder = cut(begun, 5)
    with pytest.raises(Conflict, match="was made with other settings"):
        train(beginning(project, weights=whole, freeze=frozen, layer_decay=0.5), opening="skip", resume=folder)
    train(begun, opening="skip", resume=folder)
    assert (folder / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes() != (first / WEIGHTS).read_bytes()
    before, after = (safetensors.torch.load_file(run / WEIGHTS) for run in (first, whole))
    assert {name for name in names if torch.equal(before[name], after[name])} == set(frozen)
    report = json.loads((whole / "transfer.json").read_text(encoding="utf-8"))
    lineage = checkpoints.load(whole)[0].lineage
    assert report["sha256"] == lineage.began_with == digest(first / WEIGHTS).sha256
    assert not (first / "transfer.json").exists()
    (first / WEIGHTS).write_bytes((whole / WEIGHTS).read_bytes())
    with pytest.raises(CorruptData, match="SHA-256"):
        read(first)
